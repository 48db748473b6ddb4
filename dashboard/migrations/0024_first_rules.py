"""Whoever could delete becomes a maintainer of everything; everybody who signs in may read, as before."""

from django.db import migrations
from django.utils import timezone

READER, MAINTAINER, ADMINISTRATOR = 1, 3, 4


def keep_what_people_may_do(apps, _schema_editor):
    rule, user = apps.get_model("dashboard", "AccessRule"), apps.get_model("dashboard", "User")
    permissions = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="dashboard", codename="delete_image"
    )
    same = {"registry": None, "pattern": "**", "created_at": timezone.now()}
    rule.objects.create(who="everybody", role=READER, **same)
    for one in user.objects.filter(user_permissions__in=permissions, is_superuser=False).distinct():
        rule.objects.create(who="user", user=one, role=ADMINISTRATOR if one.is_staff else MAINTAINER, **same)
    for group in apps.get_model("auth", "Group").objects.filter(permissions__in=permissions).distinct():
        rule.objects.create(who="group", group=group, role=MAINTAINER, **same)
    permissions.delete()


class Migration(migrations.Migration):
    dependencies = [("dashboard", "0023_access_rules")]

    operations = [migrations.RunPython(keep_what_people_may_do, migrations.RunPython.noop)]

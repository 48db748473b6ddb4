"""Access rules."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("dashboard", "0022_people_in_the_audit"),
    ]

    operations = [
        migrations.CreateModel(
            name="AccessRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "who",
                    models.CharField(
                        choices=[
                            ("user", "a user"),
                            ("group", "a group"),
                            ("everybody", "everybody who signs in"),
                            ("visitors", "visitors without sign-in"),
                        ],
                        max_length=10,
                    ),
                ),
                ("pattern", models.CharField(max_length=255)),
                (
                    "role",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "reader"), (2, "developer"), (3, "maintainer"), (4, "administrator")]
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(blank=True, max_length=150)),
                (
                    "group",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="access_rules",
                        to="auth.group",
                    ),
                ),
                (
                    "registry",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="access_rules",
                        to="dashboard.registry",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="access_rules",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "access rule",
                "verbose_name_plural": "access rules",
                "constraints": [
                    models.CheckConstraint(
                        name="access_rule_names_whom",
                        condition=models.Q(who="user", user__isnull=False, group=None)
                        | models.Q(who="group", group__isnull=False, user=None)
                        | models.Q(who__in=["everybody", "visitors"], user=None, group=None),
                    ),
                    models.CheckConstraint(
                        name="access_rule_lets_visitors_read", condition=~models.Q(who="visitors") | models.Q(role=1)
                    ),
                ],
            },
        ),
        migrations.AlterModelOptions(
            name="registry",
            options={"ordering": ["slug"], "verbose_name": "registry", "verbose_name_plural": "registries"},
        ),
    ]

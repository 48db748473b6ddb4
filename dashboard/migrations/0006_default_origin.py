"""A default credential that the interface keeps is bound to the origin it was given for."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column; no default credential was kept in a row before it."""

    dependencies = [("dashboard", "0005_job_log")]
    operations = [
        migrations.AddField(
            model_name="registry",
            name="default_origin",
            field=models.CharField(blank=True, editable=False, max_length=500),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dashboard", "0021_pushed_at")]

    operations = [
        migrations.AlterField(
            model_name="auditentry",
            name="action",
            field=models.CharField(
                choices=[
                    ("delete", "deleted"),
                    ("untag", "untagged"),
                    ("restore", "restored"),
                    ("retag", "tagged"),
                    ("move", "pointed elsewhere"),
                    ("remove-directory", "directory removed"),
                    ("collect", "garbage collected"),
                    ("remove-upload", "upload removed"),
                    ("deep-check", "deep check begun"),
                    ("rule", "protection changed"),
                    ("access", "access changed"),
                    ("person", "person changed"),
                    ("credential", "credential changed"),
                    ("registry-user", "registry user changed"),
                    ("sign-in", "signed in"),
                ],
                max_length=20,
            ),
        ),
    ]

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [("dashboard", "0012_deletions_as_items")]

    operations = [
        migrations.RemoveField(
            model_name='deletion',
            name='children',
        ),
        migrations.RemoveField(
            model_name='deletion',
            name='digest',
        ),
        migrations.RemoveField(
            model_name='deletion',
            name='method',
        ),
        migrations.RemoveField(
            model_name='deletion',
            name='restorable',
        ),
        migrations.RemoveField(
            model_name='deletion',
            name='step',
        ),
        migrations.RemoveField(
            model_name='deletion',
            name='tag',
        ),
        migrations.RemoveField(
            model_name='deletion',
            name='throwaway_digest',
        ),
        migrations.RemoveField(
            model_name='deletionplan',
            name='digest',
        ),
        migrations.RemoveField(
            model_name='deletionplan',
            name='tag',
        ),
        migrations.RemoveField(
            model_name='trashedmanifest',
            name='kept_until',
        ),
        migrations.RemoveField(
            model_name='trashedmanifest',
            name='tag',
        ),
    ]

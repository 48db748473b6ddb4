"""`manage.py restore FILE`: a backup into a database that bootstrap has just made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from dashboard.services import backup


class Command(BaseCommand):
    """Thin: dashboard/services/backup.py."""

    help = "Reads a backup into a new database (run bootstrap first); the next refresh builds the index."

    def add_arguments(self, parser: CommandParser) -> None:
        """FILE."""
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises CommandError with one sentence; then nothing was changed."""
        file = options["file"]
        try:
            rows = backup.restore(file)
        except backup.NotEmpty as error:
            raise CommandError(
                _("This database is in use already; a backup is restored into a new one only.")
            ) from error
        except backup.NotABackup as error:
            raise CommandError(_("%(file)s is not a backup: %(reason)s") % {"file": file, "reason": error}) from error
        except OSError as error:
            raise CommandError(
                _("%(file)s cannot be read: %(reason)s") % {"file": file, "reason": error.strerror}
            ) from error
        self.stdout.write(_("%(rows)d rows restored") % {"rows": rows})

"""`manage.py backup FILE`: everything of ours in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from dashboard.services import backup


class Command(BaseCommand):
    """Thin: dashboard/services/backup.py."""

    help = "Writes people, credentials (encrypted), history, trash and snapshots to FILE (gzip). The index is left out."

    def add_arguments(self, parser: CommandParser) -> None:
        """FILE."""
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises CommandError where the file cannot be written."""
        try:
            rows = backup.backup(options["file"])
        except OSError as error:
            raise CommandError(
                _("%(file)s cannot be written: %(reason)s") % {"file": options["file"], "reason": error.strerror}
            ) from error
        self.stdout.write(_("%(rows)d rows in %(file)s") % {"rows": rows, "file": options["file"]})

"""`manage.py storage_report ROOT [--json] [--full]`: the accounting of a storage directory or bucket, printed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dashboard.storage.command import run
from dashboard.storage.errors import StorageError


class Command(BaseCommand):
    """Needs no environment variable, database, registry or system check."""

    help = "Reads a registry's storage directory and prints where every byte is."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "root", metavar="ROOT", help="the directory that holds docker/registry/v2, or s3://bucket/prefix"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
        parser.add_argument("--full", action="store_true", help="also read every link and directory (slower)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = run(
                options["root"],
                as_json=options["json"],
                full=options["full"],
                in_flight_seconds=settings.IN_FLIGHT_SECONDS,
                endpoint=settings.STORAGE_ENDPOINT,
            )
        except StorageError as error:
            raise CommandError(str(error), returncode=2) from error
        self.stdout.write(report)

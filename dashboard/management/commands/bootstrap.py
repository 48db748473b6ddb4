"""`manage.py bootstrap`: everything that must be true before the servers start, in one process."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import reverse

from dashboard.services import people, registries, set_up, static_files


class Command(BaseCommand):
    """Checks, migrations, static files, the environment's registry, the administrator."""

    help = "Checks the configuration, then brings database, static files, registry and administrator up to date."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Does it all; what is up to date already costs next to nothing."""
        self._check()
        settings.STATE_DIR.mkdir(parents=True, exist_ok=True)
        self._migrate()
        if static_files.collect_if_changed():
            self.stdout.write("static files collected")
        registry = registries.follow_environment()
        made = people.ensure_administrator()
        self.stdout.write(f"registry: {registry.url if registry else 'none configured'}")
        if made:
            self.stdout.write(f"administrator {made} created")
        elif set_up.is_needed():
            address = urljoin(settings.BASE_URL, reverse("set-up"))
            self.stdout.write(f"there is nobody yet: open {address} and enter the code {set_up.new_code()}")

    def _check(self) -> None:
        problems = [message for message in run_checks() if message.level >= ERROR]
        if problems:
            lines = [f"{p.id}: {p.msg}\n    {p.hint or ''}".rstrip() for p in problems]
            raise CommandError("The configuration does not hold:\n" + "\n".join(lines))

    def _migrate(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", interactive=False, verbosity=0)
            self.stdout.write("database migrated")

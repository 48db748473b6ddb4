"""`manage.py demo`: fills the configured registry with demo images."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from dashboard.models import Registry
from dashboard.registry.errors import RegistryError
from dashboard.services import connections
from dashboard.services.demo import fill, people


class Command(BaseCommand):
    """Thin: everything happens in dashboard/services/demo."""

    help = "Fills the configured registry with demo images; refuses one that has repositories."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--force, --people."""
        parser.add_argument(
            "--force", action="store_true", help="fill it although it has repositories; demo tags of the same name move"
        )
        parser.add_argument(
            "--people",
            type=Path,
            metavar="DIRECTORY",
            help="also make the demo's users maria and jonas, their passwords in DIRECTORY/<name>_password",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError with one sentence."""
        registry = Registry.objects.filter(slug=settings.REGISTRY_SLUG).first()
        if registry is None:
            raise CommandError(_("No registry is configured: set DASHBOARD_REGISTRY_URL and run bootstrap."))
        if options["people"]:
            people.make_people(_passwords(options["people"]))
        session = connections.background(registry=registry).session
        began = time.monotonic()
        try:
            filled = fill.fill(session, force=options["force"], begin=lambda name: self.stdout.write(f"  {name}"))
        except fill.NotEmpty as full:
            raise CommandError(
                _(
                    "%(registry)s has repositories already (%(count)d), and nothing was pushed; "
                    "--force adds the demo images to them."
                )
                % {"registry": registry, "count": full.repositories}
            ) from full
        except RegistryError as problem:
            raise CommandError(
                _("The demo images could not be pushed to %(registry)s: %(problem)s")
                % {"registry": registry, "problem": problem}
            ) from problem
        self.stdout.write(
            _("%(repositories)d repositories, %(tags)d tags, %(blobs)d blobs, %(mib).0f MiB in %(seconds).1f s")
            % {
                "repositories": filled.repositories,
                "tags": filled.tags,
                "blobs": filled.blobs,
                "mib": filled.bytes / 1024**2,
                "seconds": time.monotonic() - began,
            }
        )


def _passwords(directory: Path) -> dict[str, str]:
    passwords = {}
    for person in people.PEOPLE:
        try:
            passwords[person.username] = (directory / f"{person.username}_password").read_text(encoding="utf-8").strip()
        except OSError as problem:
            raise CommandError(
                _("The password of %(name)s cannot be read: %(reason)s")
                % {"name": person.username, "reason": problem.strerror}
            ) from problem
    return passwords

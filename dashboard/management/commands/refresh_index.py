"""`manage.py refresh_index [--registry SLUG] [--rebuild]`: brings the index up to date, here and now."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from dashboard.models import IndexedTag, Job, Registry
from dashboard.services import jobs
from dashboard.services.index import refresh


class Command(BaseCommand):
    """Runs the refresh job in this process; a worker that has one running is left to it."""

    help = "Brings the index of the registries up to date (or empties it first); the last line: counts and seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        """--registry, --rebuild."""
        parser.add_argument("--registry", metavar="SLUG", help="only this registry (default: all)")
        parser.add_argument("--rebuild", action="store_true", help="empty the index first; the history stays")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises CommandError where a registry could not be read."""
        registries = Registry.objects.all()
        if options["registry"]:
            registries = registries.filter(slug=options["registry"])
        if not registries.exists():
            raise CommandError(_("There is no such registry."))
        failed = [registry.slug for registry in registries if not self._refresh(registry, rebuild=options["rebuild"])]
        if failed:
            raise CommandError(_("Not refreshed: %(registries)s") % {"registries": ", ".join(failed)})

    def _refresh(self, registry: Registry, *, rebuild: bool) -> bool:
        job = jobs.claim(refresh.ask_for_refresh(registry=registry, user=None).pk)
        if job is None:
            self.stderr.write(_("%(registry)s: a refresh is running already") % {"registry": registry.slug})
            return False
        if rebuild:
            refresh.empty(registry)
        began = time.monotonic()
        refresh.run_refresh(job, self._progress_since(began) if sys.stderr.isatty() else None)
        job.refresh_from_db()
        if job.state != Job.State.DONE:
            self.stderr.write(f"{registry.slug}: {job.outcome_code} {job.outcome}")
            return False
        self.stdout.write(
            _("%(registry)s: %(repositories)d repositories, %(tags)d tags, %(changed)d changed, in %(seconds).2f s")
            % {
                "registry": registry.slug,
                "repositories": job.outcome["repositories"],
                "tags": IndexedTag.objects.filter(repository__registry=registry).count(),
                "changed": job.outcome["changed"],
                "seconds": time.monotonic() - began,
            }
        )
        return True

    def _progress_since(self, began: float) -> Callable[[int, int], None]:
        """A line on the terminal, written over: how far, how fast, how long still."""

        def show(done: int, total: int) -> None:
            rate = done / max(0.001, time.monotonic() - began)
            left = (total - done) / rate if rate else 0
            self.stderr.write(f"\r{done}/{total}  {rate:.0f}/s  {left:.0f} s left   ", ending="")
            if done == total:
                self.stderr.write("\r\x1b[K", ending="")

        return show

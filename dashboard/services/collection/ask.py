"""Asking for a collection: by an administrator, where this installation has a command for it."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dashboard.models import AuditEntry, Collection, Job, Registry
from dashboard.services import audit, jobs
from dashboard.services.access import Access
from dashboard.services.audit import Actor

from .live import is_changing, is_collecting

NO_COMMAND, NOT_EXECUTABLE, TYPE, BUSY, RUNNING = "no-command", "not-executable", "type-the-name", "busy", "running"
NOT_MOUNTED = "not-mounted"


class CollectionRefused(Exception):
    """Nothing was asked for. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def command_of(registry: Registry) -> str:
    """The command that collects this registry; "" if there is none: it belongs to the registry of the environment."""
    return settings.GC_COMMAND if registry.from_environment else ""


def is_program(path: str) -> bool:
    """Whether this is the absolute path of a file that can be executed here."""
    return Path(path).is_absolute() and Path(path).is_file() and os.access(path, os.X_OK)


def unusable(registry: Registry) -> str:
    """Why this registry cannot be collected from here at all; "" if it can."""
    command = command_of(registry)
    if not command:
        return NO_COMMAND
    if not is_program(command):
        return NOT_EXECUTABLE
    if not registry.storage_root:
        return NOT_MOUNTED
    return ""


def why_not(registry: Registry) -> str:
    """Why no collection can be asked for now; "" if one can."""
    if code := unusable(registry):
        return code
    if is_collecting(registry):
        return RUNNING
    return BUSY if is_changing(registry) else ""


def ask_for(access: Access, *, typed: str, actor: Actor) -> Collection:
    """Has the worker collect. Raises CollectionRefused."""
    registry = access.registry
    code = why_not(registry) or ("" if typed.strip() == registry.slug else TYPE)
    if code:
        audit.record(
            actor=actor,
            action=AuditEntry.Action.COLLECT,
            outcome=AuditEntry.Outcome.REFUSED,
            registry=registry.slug,
            code=code,
        )
        raise CollectionRefused(code)
    with transaction.atomic():
        job = jobs.ask_for(kind=Job.Kind.COLLECTION, registry=registry, user=access.user)
        return Collection.objects.get_or_create(
            job_id=job.pk,
            defaults={
                "registry": registry,
                "user": access.user,
                "user_name": actor.user,
                "address": actor.address[:45],
                "asked_at": timezone.now(),
            },
        )[0]


def settle() -> int:
    """Ends collections whose job was cancelled before it began, or is not there (a restored backup); how many."""
    unended = Collection.objects.filter(state__in=Collection.LIVE)
    jobs_of = [pk for pk in unended.values_list("job_id", flat=True) if pk is not None]
    live = list(Job.objects.filter(pk__in=jobs_of, state__in=Job.LIVE).values_list("pk", flat=True))
    left = unended.exclude(job_id__in=live)
    now = timezone.now()
    ended = left.filter(state=Collection.State.WAITING).update(
        state=Collection.State.STOPPED, outcome_code="cancelled", ended_at=now
    )
    return ended + left.filter(state=Collection.State.RUNNING).update(
        state=Collection.State.INTERRUPTED, outcome_code="interrupted", ended_at=now
    )


def recent(registry: Registry, *, limit: int = 20) -> list[Collection]:
    """The last collections, run here or noticed."""
    return list(Collection.objects.filter(registry=registry).order_by("-asked_at")[:limit])

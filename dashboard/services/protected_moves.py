"""Notices of protected tags that somebody else moved or deleted: raised, brought up to date, dismissed.

They are raised where the history of tags is written, whoever read the registry: a page, a notification, a refresh.
What this dashboard did itself stands in the audit and raises none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from dashboard.models import AuditEntry, IndexedRepository, ProtectedMove, Registry

from . import audit
from .access import Visible
from .audit import Actor
from .protection import rule_for, rules_of

MAX_LISTED = 200
MAX_BY = 255
CLOCKS_DIFFER = dt.timedelta(minutes=2)
"""A period may begin by the registry's clock; what we did has our time."""
DISMISSED = "notice-dismissed"

_Action = AuditEntry.Action
_OUR_MOVES = (_Action.MOVE, _Action.RETAG, _Action.RESTORE, _Action.DELETE, _Action.UNTAG)

Key = tuple[str, str]
"""A repository and a tag."""


@dataclass(frozen=True, slots=True)
class Change:
    """A tag pointed to `before` ("": nothing) since `since`, and points to `after` ("": it is gone) since `at`."""

    repository: str
    tag: str
    before: str
    after: str
    at: dt.datetime
    since: dt.datetime

    @property
    def key(self) -> Key:
        """Which tag."""
        return self.repository, self.tag


@dataclass(frozen=True, slots=True)
class Listed:
    """Open notices, the latest first; `more`: there are more than these."""

    moves: Sequence[ProtectedMove]
    more: bool


def notice(*, registry: Registry, changes: Sequence[Change]) -> None:
    """Raises a notice for each protected tag among `changes` that somebody else moved; within the caller's transaction.

    An open notice follows its tag: to what it points at now, or to its end where the tag came back by itself.
    """
    if not changes:
        return
    rules = rules_of(registry) if any(change.before for change in changes) else []
    raised = _open_of(registry, {change.repository for change in changes})
    concerned = {
        change: rule
        for change in changes
        if (rule := rule_for(rules, *change.key) if change.before else None) or change.key in raised
    }
    ours = _ours(registry, concerned)
    new: list[ProtectedMove] = []
    for change, rule in concerned.items():
        move = raised.get(change.key)
        if move is None and rule is not None and change not in ours:
            new.append(
                ProtectedMove(
                    registry=registry,
                    repository=change.repository,
                    tag=change.tag,
                    rule=str(rule),
                    before=change.before,
                    after=change.after,
                    at=change.at,
                )
            )
        elif move is not None and (change in ours or change.after == move.before):
            move.dismissed_at = timezone.now()
            move.save(update_fields=["dismissed_at"])
        elif move is not None:
            move.after, move.at, move.by = change.after, change.at, ""
            move.save(update_fields=["after", "at", "by"])
    ProtectedMove.objects.bulk_create(new, ignore_conflicts=True)


def name_actors(*, registry: Registry, events: Iterable[Mapping[str, str]]) -> None:
    """Notes on open notices who did it, as far as `events` (stored payloads of notifications) tell."""
    pushes: dict[tuple[str, str, str], str] = {}
    deletions: dict[Key, str] = {}
    for event in events:
        repository, tag, digest, actor = (event.get(name, "") for name in ("repository", "tag", "digest", "actor"))
        if actor and event.get("action") == "push":
            pushes[repository, tag, digest] = actor
        elif actor and event.get("action") == "delete":
            deletions[repository, tag or digest] = actor
    if not pushes and not deletions:
        return
    for move in ProtectedMove.objects.filter(registry=registry, dismissed_at=None, by=""):
        if move.after:
            by = pushes.get((move.repository, move.tag, move.after), "")
        else:
            by = deletions.get((move.repository, move.tag)) or deletions.get((move.repository, move.before), "")
        if by:
            ProtectedMove.objects.filter(pk=move.pk, after=move.after).update(by=by[:MAX_BY])


def of_repository(registry: Registry, repository: str) -> Listed:
    """The open notices of a repository. One query. Who may read it is the gate's to say."""
    return _listed(ProtectedMove.objects.filter(registry=registry, repository=repository))


def of_registry(registry: Registry, visible: Visible) -> Listed:
    """The open notices of a registry, as far as somebody may know of the repositories. One query."""
    moves = ProtectedMove.objects.filter(registry=registry)
    if visible.filter:
        names = IndexedRepository.objects.filter(registry=registry).filter(visible.filter).values("name")
        moves = moves.filter(repository__in=names)
    return _listed(moves)


def open_move(registry: Registry, pk: int) -> ProtectedMove | None:
    """An open notice by its id."""
    return ProtectedMove.objects.filter(registry=registry, pk=pk, dismissed_at=None).first()


def leads_back(registry: Registry, repository: str, tag: str, digest: str) -> bool:
    """Whether an open notice says that the tag pointed to `digest` before somebody moved it."""
    moves = ProtectedMove.objects.filter(registry=registry, repository=repository, tag=tag, dismissed_at=None)
    return moves.filter(before=digest).exists()


def dismiss(*, move: ProtectedMove, actor: Actor) -> bool:
    """Ends a notice because somebody says so, and says it in the audit; False where it had ended already."""
    with transaction.atomic():
        if not end(registry=move.registry, repository=move.repository, tag=move.tag, by=actor.user):
            return False
        audit.record(
            actor=actor,
            action=AuditEntry.Action.RULE,
            outcome=AuditEntry.Outcome.DONE,
            registry=move.registry.slug,
            repository=move.repository,
            tags=[move.tag],
            before=move.before,
            after=move.after,
            code=DISMISSED,
        )
    return True


def end(*, registry: Registry, repository: str, tag: str, by: str) -> bool:
    """Ends the tag's open notice, because `by` has seen to it; whether there was one."""
    moves = ProtectedMove.objects.filter(registry=registry, repository=repository, tag=tag, dismissed_at=None)
    return bool(moves.update(dismissed_at=timezone.now(), dismissed_by=by[:150]))


def _listed(moves: QuerySet[ProtectedMove]) -> Listed:
    found = list(moves.filter(dismissed_at=None).order_by("-at", "-pk")[: MAX_LISTED + 1])
    return Listed(found[:MAX_LISTED], more=len(found) > MAX_LISTED)


def _open_of(registry: Registry, repositories: set[str]) -> dict[Key, ProtectedMove]:
    moves = ProtectedMove.objects.filter(registry=registry, dismissed_at=None, repository__in=repositories)
    return {(move.repository, move.tag): move for move in moves}


def _ours(registry: Registry, changes: Iterable[Change]) -> set[Change]:
    """Those of `changes` that the audit tells of: made here since the tag pointed to what it pointed to before."""
    by_key = {change.key: change for change in changes}
    if not by_key:
        return set()
    entries = AuditEntry.objects.filter(
        registry=registry.slug,
        repository__in={repository for repository, _ in by_key},
        at__gte=min(change.since for change in by_key.values()) - CLOCKS_DIFFER,
        outcome=AuditEntry.Outcome.DONE,
        action__in=_OUR_MOVES,
        digest_after__in={change.after for change in by_key.values()},
    )
    found: set[Change] = set()
    for repository, tags, after, at in entries.values_list("repository", "tags", "digest_after", "at").iterator():
        for tag in tags:
            change = by_key.get((repository, tag))
            if change is not None and change.after == after and at >= change.since - CLOCKS_DIFFER:
                found.add(change)
    return found

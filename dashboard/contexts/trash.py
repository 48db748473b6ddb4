"""The trash as its page shows it: what was deleted, by whom, when and why, and whether it can be brought back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.models import DeletionItem
from dashboard.registry.references import short
from dashboard.services.access import Access
from dashboard.services.trash.kept import TrashPage
from dashboard.services.trash.restore import Outcome

from . import links
from .errors import problem_of
from .formats import count, legible

MAX_TAGS = 6


@dataclass(frozen=True, slots=True)
class TrashLine:
    """One thing in the trash. `can` tells whether it can be brought back, `why` what is missing otherwise."""

    pk: int
    name: str
    more_tags: str
    repository: str
    repository_url: str
    digest: str
    what: str
    bytes: int | None
    deleted_at: dt.datetime
    deleted_by: str
    reason: str
    deletion_url: str
    kept_until: dt.datetime
    can: bool
    may: bool
    why: str
    looked_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class TrashView:
    """Everything that trash.html shows."""

    url: str
    restore_url: str
    contains: str
    repository: str
    lines: Sequence[TrashLine]
    older_url: str
    newest_url: str
    may_restore: bool


@dataclass(frozen=True, slots=True)
class RestoredLine:
    """How bringing one thing back ended, in a sentence."""

    name: str
    digest: str
    back: bool
    sentence: str
    taken: bool
    pk: int


def trash_view(access: Access, found: TrashPage, *, contains: str, repository: str, first: bool) -> TrashView:
    """The view model of a page of the trash."""
    path = links.trash(access.registry)
    asked = {"name": contains, "repository": repository}
    return TrashView(
        url=path,
        restore_url=reverse("restore", args=[access.registry.slug]),
        contains=contains,
        repository=repository,
        lines=[_line(access, item) for item in found.items],
        older_url=links.with_query(path, **asked, before=found.older) if found.older else "",
        newest_url="" if first else links.with_query(path, **asked),
        may_restore=access.may_delete_somewhere,
    )


def restored(outcomes: Sequence[Outcome]) -> list[RestoredLine]:
    """One line for each thing that was to be brought back."""
    return [
        RestoredLine(
            name=_name(outcome.item),
            digest=outcome.item.digest,
            back=outcome.is_back,
            sentence=_sentence(outcome),
            taken=outcome.code == "taken",
            pk=outcome.item.pk,
        )
        for outcome in outcomes
    ]


def _line(access: Access, item: DeletionItem) -> TrashLine:
    deletion, registry = item.deletion, access.registry
    more = len(item.tags) - 1
    return TrashLine(
        pk=item.pk,
        name=_name(item),
        more_tags=", ".join(legible(tag, 60) for tag in item.tags[1:MAX_TAGS]) + (" …" if more >= MAX_TAGS else ""),
        repository=deletion.repository,
        repository_url=links.repository(registry, deletion.repository),
        digest=item.digest,
        what=_what(item),
        bytes=item.bytes,
        deleted_at=item.finished_at or deletion.created_at,
        deleted_by=legible(deletion.user_name, 100),
        reason=legible(deletion.reason, 200),
        deletion_url=links.deletion(registry, deletion.repository, deletion.pk),
        kept_until=deletion.kept_until,
        can=item.restorable,
        may=access.may_delete_in(deletion.repository),
        why=_missing(item.missing),
        looked_at=item.looked_at,
    )


def _name(item: DeletionItem) -> str:
    return legible(item.tags[0], 128) if item.tags else short(item.digest)


def _what(item: DeletionItem) -> str:
    if item.method == DeletionItem.Method.UNTAG:
        return _("only the name")
    if item.children:
        n = len(item.children)
        return ngettext("index and %(n)s entry", "index and %(n)s entries", n) % {"n": count(n)}
    return _("index") if item.kind == "index" else _("image") if item.tags else _("untagged image")


def _missing(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    names = ", ".join(short(text) if ":" in text else text for text in missing[:3])
    n = len(missing)
    return ngettext("%(names)s is gone", "%(names)s and others, %(n)s in all, are gone", n) % {"names": names, "n": n}


def _sentence(outcome: Outcome) -> str:
    if outcome.error is not None:
        problem = problem_of(outcome.error)
        return f"{problem.title}. {problem.sentence}"
    taken = ", ".join(legible(tag, 60) for tag in outcome.taken)
    missing = ", ".join(outcome.missing)
    return {
        "": _("It is back, and its tags point at it."),
        "gone": _("A garbage collection removed what it needs: %(missing)s. Nothing was changed.")
        % {"missing": missing},
        "not-kept": _("Its manifests are not kept any more: %(missing)s.") % {"missing": missing},
        "taken": _("%(tags)s exists by now and points elsewhere. Nothing was changed.") % {"tags": taken},
        "protected": _("%(tags)s is protected and points elsewhere by now. Nothing was changed.") % {"tags": taken},
    }.get(outcome.code, "")

"""How a deletion stands: its progress, one line for each tag, and what can be done about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from dashboard.models import Deletion, DeletionItem
from dashboard.registry.references import short

from . import links
from .deletion import chose_untagged
from .errors import operation_name
from .formats import count, legible

MAX_LINES = 500
_OPEN = (DeletionItem.State.WAITING,)
_ENDED_BADLY = (DeletionItem.State.REFUSED, DeletionItem.State.ROLLED_BACK, DeletionItem.State.FAILED)


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One tag (or untagged image) and what became of it. `level`: success, warning, danger, or "" while it waits."""

    name: str
    digest: str
    level: str
    title: str
    sentence: str
    said: Sequence[dict[str, str]]
    restored: bool


@dataclass(frozen=True, slots=True)
class ResultPage:
    """Everything that deletion.html shows. `onward_url`: what else is untagged, where a rule for that chose it."""

    title: str
    level: str
    sentences: Sequence[str]
    running: bool
    waiting: bool
    done: int
    total: int
    lines: Sequence[ResultLine]
    more_lines: int
    frees: int
    can_undo: bool
    deletion_id: str
    undo_url: str
    kept_until: dt.datetime
    url: str
    resume_url: str
    abandon_url: str
    repository: str
    repository_url: str
    trash_url: str
    again_url: str
    onward_url: str


def result_page(row: Deletion) -> ResultPage:
    """The view model; two queries."""
    registry = row.registry
    items = list(row.items.order_by("position"))
    lines = [line for item in items for line in _lines(row, item)]
    ended = [item for item in items if item.state not in _OPEN]
    gone = [item for item in items if item.state == DeletionItem.State.DONE]
    bad = [item for item in items if item.state in _ENDED_BADLY]
    running = row.state == Deletion.State.IN_PROGRESS
    back = [item for item in gone if item.restored_at is None and item.restorable]
    arguments = [registry.slug, row.repository, row.pk]
    return ResultPage(
        title=_title(row, lines, running=running, images=not any(item.tags for item in items)),
        level="" if running else "danger" if bad and not gone else "warning" if bad else "success",
        sentences=_sentences(row, items, running=running),
        running=running,
        waiting=bool(row.outcome_code),
        done=len(ended),
        total=len(items),
        lines=lines[:MAX_LINES],
        more_lines=max(0, len(lines) - MAX_LINES),
        frees=sum(item.frees or 0 for item in gone if item.restored_at is None),
        can_undo=bool(back) and not running and row.kept_until > timezone.now(),
        deletion_id=str(row.pk),
        undo_url=reverse("restore", args=[registry.slug]),
        kept_until=row.kept_until,
        url=links.deletion(registry, row.repository, row.pk),
        resume_url=reverse("resume-deletion", args=arguments),
        abandon_url=reverse("abandon-deletion", args=arguments),
        repository=row.repository,
        repository_url=links.repository(registry, row.repository),
        trash_url=links.trash(registry),
        again_url=links.delete(registry, row.repository, bad[0].tags[0]) if len(bad) == 1 and bad[0].tags else "",
        onward_url=links.registry_untagged(registry, days) if (days := chose_untagged(row.plan)) is not None else "",
    )


def _title(row: Deletion, lines: Sequence[ResultLine], *, running: bool, images: bool) -> str:
    if running:
        if len(lines) == 1:
            return _("Deleting %(name)s is in progress") % {"name": lines[0].name}
        return _("Deleting from %(repository)s is in progress") % {"repository": row.repository}
    gone = sum(line.level in ("success", "warning") for line in lines)
    if len(lines) == 1:
        name = lines[0].name
        return (_("%(name)s was deleted") if gone else _("%(name)s was not deleted")) % {"name": name}
    if images:
        if gone == len(lines):
            return ngettext("%(n)s untagged image deleted", "%(n)s untagged images deleted", gone) % {"n": count(gone)}
        return _("%(n)s of %(total)s untagged images deleted") % {"n": count(gone), "total": count(len(lines))}
    if gone == len(lines):
        return ngettext("%(n)s tag deleted", "%(n)s tags deleted", gone) % {"n": count(gone)}
    return _("%(n)s of %(total)s tags deleted") % {"n": count(gone), "total": count(len(lines))}


def _sentences(row: Deletion, items: Sequence[DeletionItem], *, running: bool) -> list[str]:
    found = []
    if running and row.outcome_code == "credential-gone":
        found.append(_("The credential that began it is gone or refused, so it cannot go on. Enter it again."))
    elif running and row.outcome_code:
        found.append(
            _("%(registry)s did not answer as it should; what was done is kept. The worker goes on by itself.")
            % {"registry": row.registry.public_host}
        )
    elif running:
        found.append(_("It goes on by itself; you can leave this page and come back to it."))
    if row.abandoned:
        found.append(_("The rest was left as it is."))
    if put_back := row.outcome.get("put_back", []):
        digests = ", ".join(short(text) for text in put_back)
        found.append(_("An index that was pushed meanwhile needs %(digests)s: put back.") % {"digests": digests})
    mended = [name for item in items for name in item.outcome.get("mended", [])]
    if mended:
        found.append(_("Unreadable links of these tags were written again: %(names)s.") % {"names": ", ".join(mended)})
    return found


def _lines(row: Deletion, item: DeletionItem) -> list[ResultLine]:
    name = short(item.digest)
    moved = item.outcome.get("moved", {}) if item.state == DeletionItem.State.DONE else {}
    again = item.outcome.get("again", {})
    found = []
    for tag in item.tags or [""]:
        if tag in moved:
            code, level = ("moved" if moved[tag] else "vanished"), "danger"
            sentence = _sentence(row, item, "moved" if moved[tag] else "vanished", tag, str(moved[tag]))
        elif item.state == DeletionItem.State.DONE and again and tag not in again:
            code, level = "removed", "success"
            sentence = _sentence(row, item, item.method + "d" if item.method == "remove" else "untagged", tag, "")
        else:
            code, level = item.outcome_code, _level(item)
            sentence = _sentence(row, item, code, tag, str(again.get(tag) or item.outcome.get("now", "")))
        found.append(
            ResultLine(
                name=legible(tag, 128) or name,
                digest=item.digest,
                level=level,
                title=str(DeletionItem.State(item.state).label) if level != "danger" or not moved else _("left alone"),
                sentence=sentence,
                said=item.outcome.get("said", []),
                restored=item.restored_at is not None,
            )
        )
    return found


def _level(item: DeletionItem) -> str:
    if item.state == DeletionItem.State.DONE:
        return "success" if item.outcome_code in ("removed", "untagged") else "warning"
    return "danger" if item.state in _ENDED_BADLY else ""


def _sentence(row: Deletion, item: DeletionItem, code: str, tag: str, now: str) -> str:
    if item.state == DeletionItem.State.WAITING:
        return _("It is under way.") if item.step else ""
    if item.state == DeletionItem.State.LEFT:
        return _("Nothing was done to it.")
    error = item.outcome.get("error", {})
    values = {
        "tag": tag or short(item.digest),
        "digest": short(item.digest),
        "now": short(now) if now else "",
        "names": ", ".join(legible(str(name), 60) for name in item.outcome.get("tags", [])),
        "rule": legible(str(item.outcome.get("rule", "")), 401),
        "registry": row.registry.public_host,
        "operation": operation_name(str(error.get("operation", ""))) if isinstance(error, dict) else "",
        "user": (error.get("user") if isinstance(error, dict) else "") or pgettext("acting as", "nobody"),
    }
    return _texts().get(code, _("%(registry)s refused %(operation)s. Nothing was changed.")) % values


def _texts() -> dict[str, str]:
    return {
        "removed": _("The name and what it named, %(digest)s, are gone. A garbage collection frees the bytes."),
        "untagged": _("Only the name is gone; %(digest)s can still be pulled by its digest."),
        "only-untagged": _(
            "The name is gone; %(digest)s stays, because something needs it or the registry kept it. %(names)s"
        ),
        "deleted-late": _("The tag is gone; the registry could not take the manifest back."),
        "pushed-meanwhile": _("It was gone, and somebody pushed %(tag)s again: it now points at %(now)s and stays."),
        "siblings-put-back": _(
            "The name is gone. These tags were moved onto the same image at the last moment, and were put back: "
            "%(names)s."
        ),
        "put-back": _("The registry refused the second half, so it was put back as it was."),
        "still-there": _("The registry accepted the deletion, but still lists it."),
        "dangling": _("The registry broke off half-way: it lists %(names)s, which point at nothing."),
        "would-break-off": _(
            "%(names)s cannot be read, and because of it this registry would break off half-way. Nothing was changed. "
            "Push it again or point it at an image, then delete."
        ),
        "gave-up": _("It could not be finished for a week."),
        "moved": _(
            "It was pushed again since you looked and now points at %(now)s. Nothing goes that you did not see."
        ),
        "vanished": _("It was gone already."),
        "protected": _("The rule %(rule)s protects it since. Nothing was changed."),
        "alias-since": _("%(names)s points at the same image since you looked. Nothing was changed."),
        "parent-since": _("An index reached by %(names)s lists it since you looked. Nothing was changed."),
        "unread": _(
            "Not everything could be read (%(names)s), so nobody can say what else needs it. Nothing was changed."
        ),
        "deletion-disabled": _("Deletion is switched off on %(registry)s. Nothing was changed."),
        "read-only": _("%(registry)s is in read-only mode. Nothing was changed."),
        "unauthorized": _(
            "%(registry)s answered 401 to %(operation)s as %(user)s: this credential may not delete here. "
            "Nothing was changed."
        ),
        "forbidden": _("%(registry)s answered 403 to %(operation)s as %(user)s. Nothing was changed."),
    }

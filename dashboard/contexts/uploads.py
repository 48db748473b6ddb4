"""The pages of unfinished uploads: the list, what a removal takes, and what became of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.registry.references import is_repository
from dashboard.services import repository_removal
from dashboard.services import uploads as services
from dashboard.services.access import Access
from dashboard.services.uploads import Listing, Outcome, Sum
from dashboard.storage import uploads as disk
from dashboard.storage.uploads import RemovalRefused, Upload

from . import links
from .errors import Problem, problem_of
from .formats import count, duration, legible

MAX_SHOWN = 500
MAX_FOREIGN = 50
GOING, QUIET, ABANDONED, LEFTOVER = "going", "quiet", "abandoned", "leftover"


@dataclass(frozen=True, slots=True)
class UploadLine:
    """One upload. `state` is one of going, quiet, abandoned, leftover; `value` what a tick sends, "" for no tick."""

    repository: str
    url: str
    id: str
    started: dt.datetime | None
    written: dt.datetime
    bytes: int
    state: str
    value: str


@dataclass(frozen=True, slots=True)
class RepositorySum:
    """The uploads of a repository."""

    name: str
    url: str
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Purging:
    """Whether the registry's own purging seems to work: `level` of a notice, and what is said."""

    level: str
    title: str
    sentence: str


@dataclass(frozen=True, slots=True)
class UploadsPage:
    """Everything that uploads.html shows. Sums are of the whole registry; lines of what this person may see."""

    mounted: bool
    problem: Problem | None
    total: Sum
    abandoned: Sum
    leftovers: Sum
    lines: Sequence[UploadLine]
    more: int
    hidden: int
    repositories: Sequence[RepositorySum]
    foreign: Sequence[str]
    foreign_count: int
    complete: bool
    purging: Purging
    age: str
    leftover_age: str
    ticks: bool
    impossible: str
    settings_url: str
    remove_url: str


@dataclass(frozen=True, slots=True)
class ConfirmPage:
    """What goes, before it does. `left`: how many of the chosen are not abandoned (any more)."""

    lines: Sequence[UploadLine]
    bytes: int
    left: int
    title: str
    url: str
    back_url: str


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    """What became of one."""

    repository: str
    id: str
    bytes: int | None
    gone: bool
    why: str


@dataclass(frozen=True, slots=True)
class ResultPage:
    """What became of all of them."""

    title: str
    level: str
    sentence: str
    lines: Sequence[OutcomeLine]
    back_url: str


def uploads_page(access: Access, found: Listing) -> UploadsPage:
    """The view model of the list."""
    registry = access.registry
    allowed = found.impossible != repository_removal.NOT_ALLOWED
    ticks = found.offered and not found.impossible
    return UploadsPage(
        mounted=bool(registry.storage_root),
        problem=problem_of(found.problem) if found.problem is not None else None,
        total=found.total,
        abandoned=found.abandoned,
        leftovers=found.leftovers,
        lines=[_line(access, found, upload, ticks=ticks) for upload in found.uploads[:MAX_SHOWN]],
        more=max(0, len(found.uploads) - MAX_SHOWN),
        hidden=found.hidden,
        repositories=[
            RepositorySum(name, _url(access, name), total.count, total.bytes)
            for name, total in found.by_repository[:MAX_SHOWN]
        ],
        foreign=[legible(name, 300) for name in found.foreign[:MAX_FOREIGN]],
        foreign_count=len(found.foreign),
        complete=found.complete,
        purging=_purging(found),
        age=duration(int(found.bounds.age)),
        leftover_age=duration(int(found.bounds.leftover)),
        ticks=ticks,
        impossible=_why(found.impossible, "") if found.offered and allowed else "",
        settings_url=reverse("edit-registry", args=[registry.slug]) if found.offered and not allowed else "",
        remove_url=reverse("remove-uploads", args=[registry.slug]),
    )


def confirm_page(access: Access, found: Listing, uploads: Sequence[Upload], chosen: int) -> ConfirmPage:
    """What the button takes. `chosen` is how many were ticked."""
    number = len(uploads)
    title = ngettext("Remove %(n)s abandoned upload", "Remove %(n)s abandoned uploads", number)
    return ConfirmPage(
        lines=[_line(access, found, upload, ticks=True) for upload in uploads],
        bytes=sum(upload.bytes for upload in uploads),
        left=chosen - number,
        title=title % {"n": count(number)},
        url=reverse("remove-uploads", args=[access.registry.slug]),
        back_url=links.uploads(access.registry),
    )


def result_page(access: Access, outcomes: Sequence[Outcome]) -> ResultPage:
    """What became of each."""
    gone = [outcome.upload for outcome in outcomes if outcome.upload is not None]
    left = len(outcomes) - len(gone)
    title = ngettext("%(n)s upload is gone", "%(n)s uploads are gone", len(gone)) % {"n": count(len(gone))}
    sentence = ""
    if left:
        text = ngettext("%(n)s was left as it is.", "%(n)s were left as they are.", left)
        sentence = text % {"n": count(left)}
    return ResultPage(
        title=title,
        level="warning" if left else "success",
        sentence=sentence,
        lines=[
            OutcomeLine(
                repository=outcome.repository,
                id=outcome.id,
                bytes=outcome.upload.bytes if outcome.upload else None,
                gone=outcome.upload is not None,
                why=_why(outcome.code, outcome.id),
            )
            for outcome in outcomes
        ],
        back_url=links.uploads(access.registry),
    )


def refused_sentence(refused: RemovalRefused) -> str:
    """Why none was removed."""
    return _("Nothing was removed. %(why)s") % {"why": _why(refused.code, refused.subject)}


def value_of(upload: Upload) -> str:
    """What a tick sends: neither a repository's name nor an id has a space."""
    return f"{upload.repository} {upload.id}"


def chosen_of(values: Sequence[str]) -> list[tuple[str, str]]:
    """The ticked uploads; what makes no sense counts as not ticked."""
    pairs = [value[:600].partition(" ") for value in values[: services.MAX_CHOSEN]]
    return [(repository, upload_id) for repository, _, upload_id in pairs if is_repository(repository) and upload_id]


def _line(access: Access, found: Listing, upload: Upload, *, ticks: bool) -> UploadLine:
    abandoned = disk.is_abandoned(upload, found.now, found.bounds)
    if abandoned:
        state = ABANDONED if upload.started is not None else LEFTOVER
    else:
        state = GOING if found.now - upload.written <= found.bounds.leftover else QUIET
    return UploadLine(
        repository=upload.repository,
        url=_url(access, upload.repository),
        id=upload.id,
        started=_moment(upload.started),
        written=_moment(upload.written) or dt.datetime.fromtimestamp(0, dt.UTC),
        bytes=upload.bytes,
        state=state,
        value=value_of(upload) if ticks and abandoned and is_repository(upload.repository) else "",
    )


def _moment(seconds: float | None) -> dt.datetime | None:
    """A time of the file system, which may be any number."""
    if seconds is None:
        return None
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _url(access: Access, name: str) -> str:
    return links.repository(access.registry, name) if is_repository(name) else ""


def _purging(found: Listing) -> Purging:
    age = duration(int(found.bounds.age))
    if found.overdue.count:
        text = ngettext(
            "%(n)s upload is older than the %(age)s after which the registry removes them, and a day more.",
            "%(n)s uploads are older than the %(age)s after which the registry removes them, and a day more.",
            found.overdue.count,
        )
        more = _("Either it is switched off or set to another age, or it is a dry run, or the registry was down.")
        sentence = f"{text % {'n': count(found.overdue.count), 'age': age}} {more}"
        return Purging("warning", _("The registry's own purging does not seem to work."), sentence)
    if any(upload.started is not None for upload in found.uploads) or found.hidden:
        sentence = _("No upload is older than the %(age)s after which the registry removes them.") % {"age": age}
        return Purging("success", _("Nothing speaks against the registry's own purging."), sentence)
    sentence = _("There is no upload by which it could be told.")
    return Purging("", _("Whether the registry's own purging works cannot be seen."), sentence)


def _why(code: str, subject: str) -> str:
    texts = {
        "": "",
        repository_removal.NOT_ALLOWED: _("No administrator has allowed it for this registry."),
        repository_removal.NOT_MOUNTED: _("The registry's storage is not mounted here, or is of another registry."),
        repository_removal.CANNOT_TELL: _(
            "Whether the mounted storage is this registry's cannot be told now: there is no tag to compare, or it "
            "does not answer."
        ),
        disk.MISSING: _("It is not there (any more)."),
        disk.RUNNING: _("Somebody wrote to it of late: it is not abandoned."),
        disk.SYMLINK: _("%(subject)s is a link to somewhere else; nothing behind a link is removed."),
        disk.FOREIGN: _("%(subject)s is not what a registry makes."),
        disk.READ_ONLY: _("The storage is mounted read-only here, or belongs to somebody else."),
        services.FAULT: _("The file system refused; what is left is no longer seen by the registry."),
    }
    return texts.get(code, _("It was refused.")) % {"subject": legible(subject, 200)}

"""The activity as its pages show it: lines by day, the newest first, and what is folded into them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext, ngettext

from dashboard.models import AuditEntry, IndexedRepository, RegistryEvent
from dashboard.registry.references import is_repository
from dashboard.services.access import Access
from dashboard.services.activity.asked import Asked, What
from dashboard.services.activity.stream import Change, Deed, Known, Pulls, Stream

from . import activity_words as words
from . import links
from .formats import count, legible, moment
from .last_pull import Told
from .links import with_query
from .lists import Choice

MAX_NAME, MAX_TAG, MAX_ANSWER = 120, 128, 300
SHOWN_TAGS = 4

Named = tuple[str, str]
"""A text, and where it leads ("" for nowhere)."""


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened. `who` is "" where nobody was named; `level`: "danger", "warning" or "" for done.

    `moved_from` is the digest that tags pointed to before; `details` are labels with their texts, `answers` the
    registry's in order, `inside` the lines folded into this one, and `more_inside` those that are in the file alone.
    """

    at: Told
    who: str
    icon: str
    what: str
    level: str = ""
    outcome: str = ""
    repository: str = ""
    repository_url: str = ""
    tags: Sequence[Named] = ()
    more_tags: int = 0
    digest: str = ""
    digest_url: str = ""
    moved_from: str = ""
    frees: int | None = None
    because: str = ""
    reason: str = ""
    details: Sequence[tuple[str, str]] = ()
    answers: Sequence[str] = ()
    inside: Sequence[Line] = ()
    more_inside: int = 0
    fold: str = ""


@dataclass(slots=True)
class Day:
    """The lines of one day, in the zone of the page's times."""

    title: str
    iso: str
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """Everything that activity.html shows; `repository` and what belongs to it is "" on the registry's page.

    `tags` None: the repository is not in the index (any more).
    """

    host: str
    url: str
    repository: str
    namespace: str
    namespace_url: str
    short_name: str
    reference: str
    tags: int | None
    days: Sequence[Day]
    count: int
    who: str
    whats: Sequence[Choice]
    name: str
    first_day: str
    last_day: str
    is_filtered: bool
    is_notified: bool
    is_first_page: bool
    newest_url: str
    older_url: str
    clear_url: str
    csv_url: str
    json_url: str


def activity_page(
    access: Access, asked: Asked, found: Stream, *, repository: str = "", row: IndexedRepository | None = None,
) -> ActivityPage:  # fmt: skip
    """The view model. `row`: what the index says of `repository`."""
    registry = access.registry
    path = links.activity(registry, repository)
    namespace, _sep, short_name = repository.rpartition("/")
    teller = _Teller(access, found.known, alone=bool(repository))
    lines = [(_time(each), teller.line(each)) for each in found.rows]
    return ActivityPage(
        host=registry.public_host,
        url=path,
        repository=repository,
        namespace=namespace,
        namespace_url=with_query(links.repositories(registry), namespace=namespace) if namespace else "",
        short_name=short_name,
        reference=f"{registry.public_host}/{repository}",
        tags=row.tags if row else None,
        days=_days(lines),
        count=len(lines),
        who=asked.who,
        whats=_whats(asked, is_repository=bool(repository)),
        name=asked.repository,
        first_day=asked.first_day.isoformat() if asked.first_day else "",
        last_day=asked.last_day.isoformat() if asked.last_day else "",
        is_filtered=asked.is_filtered,
        is_notified=found.is_notified,
        is_first_page=asked.before is None,
        newest_url=_address(path, replace(asked, before=None)) if asked.before else "",
        older_url=_address(path, replace(asked, before=found.older)) if found.older else "",
        clear_url=path,
        csv_url=_address(path, replace(asked, before=None), file_format="csv"),
        json_url=_address(path, replace(asked, before=None), file_format="json"),
    )


@dataclass(frozen=True, slots=True)
class _Teller:
    """Makes lines for one person. `alone`: of one repository, which is not named in each."""

    access: Access
    known: Known
    alone: bool

    def line(self, row: Deed | Change | Pulls) -> Line:
        if isinstance(row, Deed):
            return self._deed(row)
        return self._change(row) if isinstance(row, Change) else self._pulls(row)

    def _deed(self, row: Deed) -> Line:
        if row.count == 1:
            return self._entry(row.entries[0])
        last = row.entries[0]
        level, outcome = "", ""
        if row.bad:
            levels = {_level(entry) for entry in row.entries if entry.outcome != AuditEntry.Outcome.DONE}
            level = "danger" if "danger" in levels else "warning"
            outcome = (
                gettext("failed or refused")
                if row.bad == row.count
                else ngettext("%(n)s not done", "%(n)s not done", row.bad) % {"n": count(row.bad)}
            )
        things, bad = (row.tags, row.bad_tags) if row.tags else (row.count, row.bad)
        digests = {entry.digest_before or entry.digest_after for entry in row.entries}
        shared = digests.pop() if len(digests) == 1 and len(row.entries) == row.count else ""
        inside = [self._entry(entry, inside=True) for entry in row.entries]
        return replace(
            self._entry(last),
            what=words.deeds(
                restoration=last.action == AuditEntry.Action.RESTORE, things=things, bad=bad, untagged=not row.tags
            ),
            level=level,
            outcome=outcome,
            tags=(),
            more_tags=0,
            digest=shared,
            digest_url=self._digest_url(last.repository, shared),
            frees=row.bytes,
            because="",
            details=(),
            answers=(),
            inside=inside,
            more_inside=row.count - len(inside),
            fold=ngettext("%(n)s line", "%(n)s lines", row.count) % {"n": count(row.count)},
        )

    def _entry(self, entry: AuditEntry, *, inside: bool = False) -> Line:
        done = entry.outcome == AuditEntry.Outcome.DONE
        moved = entry.action == AuditEntry.Action.MOVE
        digest = entry.digest_after if moved or not entry.digest_before else entry.digest_before
        tags, more = self._tags(entry.repository, entry.tags, is_linked=not inside)
        details = [
            (gettext("Method"), words.method(entry.method)),
            (gettext("Registry user"), legible(entry.acted_as, MAX_NAME)),
            (gettext("Address"), self._address(entry.address)),
        ]
        return Line(
            at=_told(entry.at),
            who=legible(entry.user, MAX_NAME),
            icon=words.ICONS.get(entry.action, "list"),
            what=words.deed(entry, done=done),
            level="" if done else _level(entry),
            outcome="" if done else str(AuditEntry.Outcome(entry.outcome).label),
            repository="" if self.alone or inside else legible(entry.repository, 255),
            repository_url=self._repository_url(entry.repository),
            tags=tags,
            more_tags=more,
            digest=digest,
            digest_url="" if inside else self._digest_url(entry.repository, digest),
            moved_from=entry.digest_before if moved else "",
            frees=entry.bytes,
            because=words.reason(entry.code),
            reason="" if inside else legible(entry.reason, 200),
            details=[(label, text) for label, text in details if text],
            answers=[legible(str(answer), MAX_ANSWER) for answer in entry.answers],
            fold=gettext("Details"),
        )

    def _change(self, row: Change) -> Line:
        events = row.events
        last = events[0]
        tags = list(dict.fromkeys(event.tag for event in reversed(events) if event.tag))
        is_push = last.action == RegistryEvent.Action.PUSH
        named = [event for event in events if event.tag and event.digest] or [event for event in events if event.digest]
        digests = {event.digest for event in named}
        shown, more = self._tags(last.repository, tags)
        digest = named[0].digest if len(digests) == 1 else ""
        details = [
            (gettext("Client"), legible(last.user_agent, 200)),
            (gettext("Address"), self._address(last.address)),
        ]
        return Line(
            at=_told(last.at),
            who=legible(last.actor, MAX_NAME),
            icon="push" if is_push else "trash",
            what=words.pushed(len(tags)) if is_push else words.deleted(len(tags)),
            repository="" if self.alone else last.repository,
            repository_url=self._repository_url(last.repository),
            tags=shown,
            more_tags=more,
            digest=digest,
            digest_url=self._digest_url(last.repository, digest),
            details=[(label, text) for label, text in details if text],
            inside=[self._event(event) for event in events] if len(events) > 1 else (),
            fold=ngettext("%(n)s manifest", "%(n)s manifests", len(events)) % {"n": count(len(events))}
            if is_push and len(events) > 1
            else gettext("Details"),
        )

    def _event(self, event: RegistryEvent) -> Line:
        is_push = event.action == RegistryEvent.Action.PUSH
        tags, more = self._tags(event.repository, [event.tag] if event.tag else [])
        return Line(
            at=_told(event.at),
            who="",
            icon="",
            what=words.pushed(len(tags)) if is_push else words.deleted(len(tags)),
            tags=tags,
            more_tags=more,
            digest=event.digest,
            digest_url=self._digest_url(event.repository, event.digest),
        )

    def _pulls(self, row: Pulls) -> Line:
        tags, more = self._tags(row.repository, row.tags)
        return Line(
            at=_told(row.place.at),
            who="",
            icon="pull" if row.gets else "eye",
            what=words.pulled(row.gets, row.heads, date_format(row.day, "j F")),
            repository="" if self.alone else row.repository,
            repository_url=self._repository_url(row.repository),
            tags=tags,
            more_tags=more,
            digest=row.digest,
            digest_url=self._digest_url(row.repository, row.digest),
            because=words.looked_up(row.heads) if row.gets else "",
        )

    def _tags(self, repository: str, tags: Iterable[str], *, is_linked: bool = True) -> tuple[list[Named], int]:
        every = list(tags)
        registry = self.access.registry
        shown = [
            (
                legible(str(tag), MAX_TAG),
                links.tag(registry, repository, tag) if is_linked and (repository, tag) in self.known.tags else "",
            )
            for tag in every[:SHOWN_TAGS]
        ]
        return shown, len(every) - len(shown)

    def _repository_url(self, repository: str) -> str:
        if repository in self.known.repositories and is_repository(repository):
            return links.repository(self.access.registry, repository)
        return ""

    def _digest_url(self, repository: str, digest: str) -> str:
        is_held = (repository, digest) in self.known.digests
        return links.manifest(self.access.registry, repository, digest) if is_held else ""

    def _address(self, address: str) -> str:
        return legible(address, 100) if self.access.administers else ""


def _level(entry: AuditEntry) -> str:
    return "danger" if entry.outcome == AuditEntry.Outcome.FAILED else "warning"


def _time(row: Deed | Change | Pulls) -> dt.datetime:
    return row.place.at


def _told(at: dt.datetime) -> Told:
    """The time of day, for the day stands above it; the tooltip has all of it."""
    shown = moment(at)
    local = timezone.localtime(at)
    return Told(time_format(local, "H:i"), f"{shown.relative}: {shown.exact}", shown.iso) if shown else Told("", "")


def _days(lines: Sequence[tuple[dt.datetime, Line]]) -> list[Day]:
    found: list[Day] = []
    for at, line in lines:
        local = timezone.localtime(at)
        iso = local.date().isoformat()
        if not found or found[-1].iso != iso:
            found.append(Day(_day_title(local.date()), iso))
        found[-1].lines.append(line)
    return found


def _day_title(day: dt.date) -> str:
    title = date_format(day, "j F Y")
    age = (timezone.localdate() - day).days
    if age == 0:
        return gettext("Today, %(day)s") % {"day": title}
    return gettext("Yesterday, %(day)s") % {"day": title} if age == 1 else title


def _whats(asked: Asked, *, is_repository: bool) -> list[Choice]:
    return [
        Choice(what.value, str(label), what == asked.what)
        for what, label in words.FILTERS.items()
        if not (is_repository and what == What.SIGN_INS)
    ]


def _address(path: str, asked: Asked, *, file_format: str = "") -> str:
    parameters = {
        "who": asked.who,
        "what": asked.what.value,
        "repository": asked.repository,
        "from": asked.first_day.isoformat() if asked.first_day else "",
        "to": asked.last_day.isoformat() if asked.last_day else "",
        "before": str(asked.before) if asked.before else "",
        "format": file_format,
    }
    return with_query(path, **parameters)

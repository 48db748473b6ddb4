"""What a search found, as its page and the box in the masthead show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from dashboard.registry.references import short
from dashboard.services.index.search import MAX_HITS, Found, Group, Hit, Incomplete

from . import links
from .errors import Problem, problem_of
from .formats import legible

SHOWN_IN_BOX = 5
SHOWN_IN_GROUP = 20
MAX_NOTE = 120
_NAMES: Mapping[str, Promise] = {
    "repositories": _("Repositories"),
    "tags": _("Tags"),
    "digests": _("Digests"),
    "labels": _("Labels and annotations"),
    "platforms": _("Platforms"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A hit: `before` is the registry where there are several, `name` the repository, `tag` and `digest` as found."""

    before: str
    name: str
    tag: str
    digest: str
    note: str
    url: str


@dataclass(frozen=True, slots=True)
class Section:
    """A group of hits. `count` is text, for it may be "1,000 or more"; `all_url` where not all are shown."""

    name: str
    lines: Sequence[Line]
    count: int
    at_least: bool
    all_url: str


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Everything that search.html shows."""

    query: str
    sections: Sequence[Section]
    problems: Sequence[tuple[str, Problem]]
    incomplete: Sequence[Incomplete]
    url: str
    csv_url: str
    json_url: str

    @property
    def is_empty(self) -> bool:
        """Whether something was looked for and nothing found."""
        return bool(self.query) and not self.sections


def shown_in_group(*, only: str = "", in_box: bool = False) -> int:
    """How many hits of a group are shown."""
    return SHOWN_IN_BOX if in_box else MAX_HITS if only else SHOWN_IN_GROUP


def search_page(found: Found, *, path: str, only: str = "", several: bool = False, in_box: bool = False) -> SearchPage:
    """The view model. `only` shows one group whole, `several` names the registry of each hit."""
    most = shown_in_group(only=only, in_box=in_box)
    return SearchPage(
        query=found.query,
        sections=[_section(group, found.query, path, most, several=several) for group in found.groups],
        problems=[(host, problem_of(error)) for host, error in found.unsearched.items()],
        incomplete=found.incomplete,
        url=links.with_query(path, q=found.query),
        csv_url=links.with_query(path, q=found.query, only=only, format="csv"),
        json_url=links.with_query(path, q=found.query, only=only, format="json"),
    )


def _section(group: Group, query: str, path: str, most: int, *, several: bool) -> Section:
    return Section(
        name=str(_NAMES[group.kind]),
        lines=[_line(hit, several=several) for hit in group.hits[:most]],
        count=group.count,
        at_least=group.more,
        all_url=links.with_query(path, q=query, only=group.kind) if group.count > most else "",
    )


def _line(hit: Hit, *, several: bool) -> Line:
    if hit.is_blob:
        url = links.blob(hit.registry, hit.repository, hit.digest)
    elif hit.tag:
        url = links.tag(hit.registry, hit.repository, hit.tag)
    elif hit.digest:
        url = links.manifest(hit.registry, hit.repository, hit.digest)
    else:
        url = links.repository(hit.registry, hit.repository)
    return Line(
        before=hit.registry.public_host if several else "",
        name=hit.repository,
        tag=hit.tag,
        digest=short(hit.digest) if hit.digest else "",
        note=legible(hit.note, MAX_NOTE),
        url=url,
    )

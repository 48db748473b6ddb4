"""The tags of a repository as their page shows them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dashboard.charts.bars import Segment, segments
from dashboard.models import IndexedRepository, TagRule
from dashboard.registry.client import Deletion as Ability
from dashboard.registry.manifests import Kind
from dashboard.services import protection
from dashboard.services.access import Access
from dashboard.services.index.attached import Attached
from dashboard.services.index.check import Checked
from dashboard.services.index.image_strata import MadeOf, Stratum
from dashboard.services.index.lists import ListQuery
from dashboard.services.index.tag_list import COLUMNS, DEFAULT_ORDER, TagList, TagRow

from . import links
from .deletion import why_impossible
from .errors import Problem, problem_of
from .formats import legible, size
from .kinds import attachment, kind_name
from .last_pull import Told, pull, push
from .lists import Choice, Head, Pagination, address, choices, heads, orders, pagination
from .platforms import PlatformName, platform_box
from .pull import PullBox, pull_box
from .unread import Unread, unread

MAX_NAME = 128
MAX_ALIASES = 4
_BLANK, _GAP = "", "gap"
"""Keys of what is not drawn: what an image lacks to the longest bar of its page, what separates platforms."""
_GAP_SHARE = 250
_REFERRER = re.compile(r"sha256-([a-f0-9]{12})[a-f0-9]{52}(\.\w+)?")

ORDERS = {
    "pushed": _("Pushed, newest first"),
    "-pushed": _("Pushed, oldest first"),
    "name": _("Name, by version"),
    "-name": _("Name, highest version first"),
    "created": _("Created, newest first"),
    "-created": _("Created, oldest first"),
    "size": _("Size, largest first"),
    "-size": _("Size, smallest first"),
    "pulled": _("Last pulled, newest first"),
    "-pulled": _("Last pulled, oldest first"),
}
_SENTENCES = {
    "pushed": _("the newest push first"),
    "-pushed": _("the oldest push first"),
    "name": _("sorted by name"),
    "-name": _("sorted by name, the highest version first"),
    "created": _("the newest build first"),
    "-created": _("the oldest build first"),
    "size": _("the largest first"),
    "-size": _("the smallest first"),
    "pulled": _("the most recently pulled first"),
    "-pulled": _("those not pulled for longest first"),
}


@dataclass(frozen=True, slots=True)
class AttachedLine:
    """What belongs to an image: its tag or digest as shown, where it leads, what it is, bytes."""

    name: str
    title: str
    url: str
    what: str
    bytes: int | None


@dataclass(frozen=True, slots=True)
class TagLine:
    """A row of the list. `brace` joins neighbours of one digest: start, middle, end or nothing.

    `url` and `delete_url` are empty for a name that the registry lists and the grammar forbids. `makes` says in words
    what is attached ("Signed, SBOM").
    """

    name: str
    shown_name: str
    url: str
    delete_url: str
    chosen_as: str
    protected: str
    digest: str
    digest_url: str
    aliases: Sequence[tuple[str, str]]
    more_aliases: int
    makes: str
    attached: Sequence[AttachedLine]
    platforms: Sequence[PlatformName]
    kind: str
    bytes: int | None
    partial: bool
    bar: Sequence[Segment]
    bar_label: str
    pushed: Told
    created: dt.datetime | None
    pulled: Told
    brace: str
    repeated: bool
    unread: Unread | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """What was checked before the page was shown. `problem`: why it could not be; then what is shown is `as_of`."""

    whole: bool
    problem: Problem | None
    as_of: dt.datetime | None
    unwritten: bool


@dataclass(frozen=True, slots=True)
class TagsPage:
    """Everything that tags.html shows. `exclusive_at_most`: it may be fewer, as the storage is not read.

    `untagged` counts the revisions that no tag reaches; None where nobody can tell.
    """

    repository: str
    namespace: str
    namespace_url: str
    short_name: str
    reference: str
    host: str
    url: str
    refresh_url: str
    freshness: Freshness
    lines: Sequence[TagLine]
    contains: str
    filtered: bool
    total: int
    rows: int
    count: int
    images: int
    bytes: int
    exclusive: int
    shared: int
    exclusive_at_most: bool
    layers: int
    made_of: Sequence[Segment]
    last_push: Told
    last_pull: Told
    platforms: Sequence[Choice]
    orders: Sequence[Choice]
    heads: Mapping[str, Head]
    order: str
    pagination: Pagination
    clear_url: str
    csv_url: str
    json_url: str
    pull: PullBox | None
    pull_tag: str
    may_delete: bool
    impossible: str
    fix: str
    delete_path: str
    delete_all_url: str
    untagged: int | None

    @property
    def is_empty(self) -> bool:
        """Whether the repository has no tag at all."""
        return self.count == 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the page tells beside the list."""

    checked: Checked
    made_of: MadeOf
    exact: bool
    pulled_since: dt.datetime | None
    rules: Sequence[TagRule] = ()
    ability: Ability = Ability.UNKNOWN
    untagged: int | None = None


def tags_page(
    access: Access, repository: IndexedRepository, query: ListQuery, found: TagList, around: Surroundings
) -> TagsPage:
    """The view model of the list."""
    registry = access.registry
    path = links.repository(registry, repository.name)
    rows = found.page.rows
    scale = max((sum(stratum.bytes for stratum in row.strata) for row in rows), default=0)
    lines = [_line(access, repository.name, rows, index, scale, around) for index in range(len(rows))]
    namespace, _sep, name = repository.name.rpartition("/")
    exclusive = min(repository.exclusive_bytes, repository.bytes)
    closed = around.ability in (Ability.DISABLED, Ability.READ_ONLY)
    impossible, fix = why_impossible(around.ability, registry.public_host, access.acting.name) if closed else ("", "")
    newest = rows[0] if rows and query.order.text == DEFAULT_ORDER and query.page == 1 else None
    return TagsPage(
        repository=repository.name,
        namespace=namespace,
        namespace_url=links.with_query(links.repositories(registry), namespace=namespace) if namespace else "",
        short_name=name,
        reference=f"{registry.public_host}/{repository.name}",
        host=registry.public_host,
        url=path,
        refresh_url=address(path, query),
        freshness=_freshness(around.checked),
        lines=lines,
        contains=query.contains,
        filtered=query.is_filtered,
        total=found.page.total,
        rows=found.rows,
        count=found.tags,
        images=found.images,
        bytes=repository.bytes,
        exclusive=exclusive,
        shared=repository.bytes - exclusive,
        exclusive_at_most=not around.exact,
        layers=around.made_of.layers,
        made_of=_made_of(repository.bytes, exclusive, around.made_of),
        last_push=push(repository.pushed_at, is_push=newest.since_is_push if newest else True),
        last_pull=pull(repository.pulled_at, around.pulled_since),
        platforms=choices(repository.platforms.split(), query.platform),
        orders=orders(query, ORDERS),
        heads=heads(path, query, COLUMNS, DEFAULT_ORDER),
        order=str(_SENTENCES[query.order.text]),
        pagination=pagination(path, query, found.page),
        clear_url=address(path, replace(query, contains="", platform="", page=1)),
        csv_url=address(path, query, format="csv"),
        json_url=address(path, query, format="json"),
        pull=pull_box(registry.public_host, repository.name, tag=found.newest[0], digest=found.newest[1])
        if found.newest
        else None,
        pull_tag=found.newest[0] if found.newest else "",
        may_delete=access.may_delete,
        impossible=impossible,
        fix=fix,
        delete_path=links.delete_path(registry, repository.name),
        delete_all_url=links.with_query(
            links.delete_path(registry, repository.name), all=1, name=query.contains, platform=query.platform
        ),
        untagged=around.untagged,
    )


def _freshness(checked: Checked) -> Freshness:
    return Freshness(
        whole=checked.whole,
        problem=problem_of(checked.error) if checked.error else None,
        as_of=checked.as_of,
        unwritten=checked.unwritten,
    )


def _line(
    access: Access, repository: str, rows: Sequence[TagRow], index: int, scale: int, around: Surroundings
) -> TagLine:
    row = rows[index]
    above = index > 0 and bool(row.digest) and rows[index - 1].digest == row.digest
    below = index + 1 < len(rows) and bool(row.digest) and rows[index + 1].digest == row.digest
    brace = {(False, True): "start", (True, True): "middle", (True, False): "end"}.get((above, below), "")
    registry = access.registry
    own = sum(stratum.bytes for stratum in row.strata if stratum.own)
    words = [made for each in row.attached if (made := attachment(each.tag, each.artifact_type).makes)]
    return TagLine(
        name=legible(row.name, MAX_NAME),
        shown_name=_shown_name(row.name),
        url=links.tag(registry, repository, row.name) if row.supported else "",
        delete_url=links.delete(registry, repository, row.name) if access.may_delete and row.supported else "",
        chosen_as=f"{row.name}@{row.digest.partition(':')[2][:12]}" if row.digest else row.name,
        protected=str(rule) if (rule := protection.rule_for(around.rules, repository, row.name)) else "",
        digest=row.digest,
        digest_url=links.manifest(registry, repository, row.digest) if row.digest else "",
        aliases=[(name, links.tag(registry, repository, name)) for name in row.aliases[:MAX_ALIASES]],
        more_aliases=max(0, len(row.aliases) - MAX_ALIASES),
        makes=", ".join(dict.fromkeys(words)) or gettext("Attachments"),
        attached=[_attached(access, repository, each) for each in row.attached],
        platforms=platform_box(row.platforms),
        kind=_kind(row),
        bytes=row.bytes or (None if row.kind in (Kind.LEGACY, Kind.UNKNOWN) else row.bytes),
        partial=row.is_partial,
        bar=_bar(row.strata, scale),
        bar_label=gettext("%(name)s: %(own)s only in this image, %(shared)s also in other images")
        % {
            "name": legible(row.name, MAX_NAME),
            "own": size(own),
            "shared": size(sum(stratum.bytes for stratum in row.strata) - own),
        },
        pushed=push(row.since, is_push=row.since_is_push),
        created=row.created_at,
        pulled=pull(row.pulled_at, around.pulled_since),
        brace=brace,
        repeated=above,
        unread=unread(row.error_code, registry.public_host) if row.error_code and row.supported else None,
    )


def _attached(access: Access, repository: str, each: Attached) -> AttachedLine:
    url = (
        links.tag(access.registry, repository, each.tag)
        if each.tag
        else links.manifest(access.registry, repository, each.digest)
    )
    shown = _shown_name(each.tag) if each.tag else f"{each.digest[:19]}…"
    title = legible(each.tag or each.digest, 200)
    return AttachedLine(shown, title, url, attachment(each.tag, each.artifact_type).name, each.bytes)


def _kind(row: TagRow) -> str:
    """The kind where no platform tells it."""
    if row.about:
        return attachment(row.name, row.artifact_type).name
    if row.kind == Kind.INDEX and not row.platforms:
        return gettext("Index")
    return kind_name(row.kind, row.artifact_type)


def _shown_name(tag: str) -> str:
    """A tag as shown: the digest in a referrer's tag is cut to what people read."""
    match = _REFERRER.fullmatch(tag)
    return f"sha256-{match[1]}…{match[2] or ''}" if match else legible(tag, MAX_NAME)


def _bar(strata: Sequence[Stratum], scale: int) -> list[Segment]:
    """The layers in their order on the page's one scale; slivers of one platform together, a gap between platforms."""
    parts: list[tuple[str, int]] = []
    gap = max(1, scale // _GAP_SHARE)
    gaps = 0
    for part in sorted({stratum.part for stratum in strata}):
        if parts:
            parts.append((_GAP, gap))
            gaps += gap
        parts += [("own" if each.own else "shared", each.bytes) for each in strata if each.part == part]
    drawn = sum(stratum.bytes for stratum in strata)
    whole = scale + 12 * gap
    blank = (_BLANK, max(0, whole - drawn - gaps))
    return [each for each in segments([*_joined(parts, whole // 400), blank]) if each.key not in (_BLANK, _GAP)]


def _joined(parts: Sequence[tuple[str, int]], least: int) -> list[tuple[str, int]]:
    """Neighbours of one kind that are too small to be told apart, joined."""
    found: list[tuple[str, int]] = []
    for key, value in parts:
        if found and key == found[-1][0] != _GAP and (value < least or found[-1][1] < least):
            found[-1] = (key, found[-1][1] + value)
        else:
            found.append((key, value))
    return found


def _made_of(whole: int, exclusive: int, made_of: MadeOf) -> list[Segment]:
    """The largest layers, what it has alone first; all the rest of each kind is one last piece."""
    own = [("own", value) for value in made_of.own] + [("own", max(0, exclusive - sum(made_of.own)))]
    shared = [("shared", value) for value in made_of.shared]
    shared.append(("shared", max(0, whole - exclusive - sum(made_of.shared))))
    joined = _joined([*own, *shared], max(1, whole // 300))
    return segments(joined)

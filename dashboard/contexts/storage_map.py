"""The treemap of who holds what is tagged: rectangles with their names, addresses and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from dashboard.charts.treemap import Area, treemap
from dashboard.models import MeasuredTag, Registry
from dashboard.services.access import Access
from dashboard.services.usage.map import OWN, REST, SHARED, MapGroup, MapPart, UsageMap

from . import links
from .formats import legible, size
from .storage_bar import repository_url

_LETTER = 7.4  # pixels; of the bold sans at 12 pixels, generously
_MONO = 7.6
_NAMED_FROM = 17.0  # pixels of height for one line, and for two
_SIZED_FROM = 36.0
_PADDING = 14.0


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of the map. `title` says it all; `name` and `size` are written into it where there is room."""

    area: Area
    css: str
    title: str
    url: str
    name: str
    size: str


@dataclass(frozen=True, slots=True)
class Box:
    """A namespace with its tiles; without a headline (`title` only) where there is no room for one, or no name."""

    area: Area
    headed: bool
    title: str
    url: str
    name: str
    size: str
    size_x: int
    tiles: Sequence[Tile]


@dataclass(frozen=True, slots=True)
class Crumb:
    """A step of the way to where the map stands."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class StorageMap:
    """The map, and the way to it. `bytes` is what it sums to."""

    namespace: str
    bytes: int
    boxes: Sequence[Box]
    crumbs: Sequence[Crumb]
    hidden: bool


def storage_map(access: Access, found: UsageMap) -> StorageMap:
    """The map of a namespace, or of the registry."""
    registry = access.registry
    parts = {f"{number}": group for number, group in enumerate(found.groups)}
    drawn = treemap(
        [
            (key, [(f"{i}", part.bytes) for i, part in enumerate(group.parts)], group.is_namespace)
            for key, group in parts.items()
        ]
    )
    boxes = []
    for group in drawn:
        what = parts[group.area.key]
        inside = what.name if what.is_namespace else found.namespace
        tiles = [_tile(access, area, what, what.parts[int(area.key)], inside) for area in group.areas]
        boxes.append(_box(registry, group.area, what, tiles, headed=group.headed))
    return StorageMap(found.namespace, found.bytes, boxes, _crumbs(registry, found.namespace), found.hidden)


def tag_map(registry: Registry, repository: str, tags: Sequence[MeasuredTag], own: int) -> StorageMap:
    """The map of one repository: what each of its tags has alone (`tags`), and what lies between them of its `own`."""
    named = [tag for tag in tags if tag.exclusive_bytes]
    between = own - sum(tag.exclusive_bytes for tag in named)
    keys = [(f"{number}", tag.exclusive_bytes) for number, tag in enumerate(named)]
    drawn = treemap([("", [*keys, ("between", max(0, between))], False)])
    tiles = []
    for area in drawn[0].areas if drawn else []:
        if area.key == "between":
            tiles.append(_written(area, "tile-shared", _("shared between its tags"), ""))
        else:
            tag = named[int(area.key)]
            tiles.append(_written(area, "tile", tag.name, links.tag(registry, repository, tag.name)))
    boxes = [Box(drawn[0].area, False, "", "", "", "", 0, tiles)] if drawn else []
    return StorageMap("", own, boxes, [], hidden=False)


def _box(registry: Registry, area: Area, group: MapGroup, tiles: Sequence[Tile], *, headed: bool) -> Box:
    url = links.storage_of(registry, group.name) if group.is_namespace else ""
    text = str(size(group.bytes))
    name = legible(group.name.rpartition("/")[2], 60) if group.is_namespace else ""
    wide = int(len(name) * _MONO) + 12
    has_room = headed and bool(name) and area.across >= wide
    return Box(
        area=area,
        headed=headed,
        title=_("%(name)s: %(size)s, go in") % {"name": legible(group.name, 120), "size": text} if url else "",
        url=url,
        name=name if has_room else "",
        size=text if has_room and area.across >= wide + len(text) * _LETTER else "",
        size_x=wide,
        tiles=tiles,
    )


def _tile(access: Access, area: Area, group: MapGroup, part: MapPart, inside: str) -> Tile:
    if part.kind == OWN:
        return _written(area, "tile", part.name, repository_url(access, part.name), inside)
    if part.kind == SHARED:
        name = _("shared") if group.is_namespace else _("shared by several")
        return _written(area, "tile-shared", name, "")
    return _written(area, "tile-rest" if part.kind == REST else "tile-shared", _("others"), "")


def _written(area: Area, css: str, name: str, url: str, inside: str = "") -> Tile:
    text = str(size(area.value))
    short = legible(name.removeprefix(f"{inside}/") if inside else name, 80)
    room = int((area.across - _PADDING) / _LETTER)
    if len(short) > room:
        short = f"{short[: room - 1]}…" if room >= 4 else ""
    shows_name = area.height >= _NAMED_FROM and bool(short)
    shows_size = shows_name and area.height >= _SIZED_FROM and len(text) <= room
    title = f"{legible(name, 120)}: {text}"
    return Tile(area, css, title, url, short if shows_name else "", text if shows_size else "")


def _crumbs(registry: Registry, namespace: str) -> list[Crumb]:
    if not namespace:
        return []
    crumbs = [Crumb(registry.public_host, links.storage_of(registry, ""))]
    parts = namespace.split("/")
    for number, part in enumerate(parts):
        here = number == len(parts) - 1
        crumbs.append(
            Crumb(legible(part, 60), "" if here else links.storage_of(registry, "/".join(parts[: number + 1])))
        )
    return crumbs

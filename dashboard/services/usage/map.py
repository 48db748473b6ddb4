"""Who holds what is tagged, as a map: namespaces with their repositories, each byte in exactly one place.

What one repository alone reaches is its own; what several reach lies in the smallest namespace that holds them all.
Together these are all tagged bytes. What a person may not see, and what is too small to be drawn, is one part of its
group, so that the sums stay true.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dashboard.models import MeasuredNamespace, MeasuredRepository, UsageSnapshot
from dashboard.services.access import Visible

from .lists import repositories_of

MAX_GROUPS = 40
MAX_REPOSITORIES = 400
_TOO_SMALL = 0.0008  # of the whole map


@dataclass(frozen=True, slots=True)
class MapPart:
    """A part of a group, in bytes. `name` is a repository; for "" it is what `kind` says: shared, or the rest."""

    kind: str
    name: str
    bytes: int


@dataclass(slots=True)
class MapGroup:
    """A namespace that can be gone into (`is_namespace`), or a repository or remainder that stands alone."""

    name: str
    bytes: int
    is_namespace: bool
    parts: list[MapPart] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class UsageMap:
    """The map of a namespace ("": of the registry). `bytes` is the sum of its groups. `hidden`: some are not named."""

    namespace: str
    bytes: int
    groups: list[MapGroup]
    hidden: bool


OWN, SHARED, REST = "own", "shared", "rest"


def usage_map(snapshot: UsageSnapshot, visible: Visible, namespace: str) -> UsageMap | None:
    """The map below `namespace`; None where the person knows of nothing there. Four queries, whatever is stored."""
    everything = not visible.filter
    rows = list(
        repositories_of(snapshot, visible, namespace).order_by("-tagged_exclusive_bytes", "name")[:MAX_REPOSITORIES]
    )
    if namespace and not rows:
        return None
    whole, between = snapshot.tagged_bytes, snapshot.report.get("shared_across_bytes", 0)
    if namespace:
        here = MeasuredNamespace.objects.filter(snapshot=snapshot, name=namespace).first()
        if here is None:
            return None
        whole, between = here.tagged_exclusive_bytes, here.shared_inside_bytes
    groups = _groups(snapshot, namespace, rows, whole, everything=everything)
    if between:
        groups.append(MapGroup("", between, is_namespace=False, parts=[MapPart(SHARED, "", between)]))
    rest = whole - sum(group.bytes for group in groups)
    if rest > 0:
        groups.append(MapGroup("", rest, is_namespace=False, parts=[MapPart(REST, "", rest)]))
    return UsageMap(namespace, whole, groups, hidden=not everything)


def _groups(
    snapshot: UsageSnapshot, namespace: str, rows: list[MeasuredRepository], whole: int, *, everything: bool
) -> list[MapGroup]:
    children = MeasuredNamespace.objects.filter(snapshot=snapshot, parent=namespace)
    children = children.order_by("-tagged_exclusive_bytes", "name")
    if not everything:
        children = children.filter(name__in={_child(namespace, row.name) for row in rows})
    found = {
        row.name: MapGroup(row.name, row.tagged_exclusive_bytes, is_namespace=True)
        for row in children[:MAX_GROUPS]
        if row.tagged_exclusive_bytes
    }
    least = whole * _TOO_SMALL
    alone: list[MapGroup] = []
    for row in rows:
        size = row.tagged_exclusive_bytes
        if size < max(least, 1):
            continue
        group = found.get(_child(namespace, row.name))
        if group is not None:
            group.parts.append(MapPart(OWN, row.name, size))
        elif row.namespace == namespace or row.name == namespace:
            alone.append(MapGroup(row.name, size, is_namespace=False, parts=[MapPart(OWN, row.name, size)]))
    for name, size in _shared_below(snapshot, namespace, found).items():
        if size >= max(least, 1):
            found[name].parts.append(MapPart(SHARED, "", size))
    for group in found.values():
        rest = group.bytes - sum(part.bytes for part in group.parts)
        if rest > 0:
            group.parts.append(MapPart(REST, "", rest))
    return [*found.values(), *alone]


def _child(namespace: str, name: str) -> str:
    """The namespace just below `namespace` that a repository lies in, or its own name."""
    skipped = len(namespace) + 1 if namespace else 0
    first, _, _ = name[skipped:].partition("/")
    return name[:skipped] + first


def _shared_below(snapshot: UsageSnapshot, namespace: str, wanted: Iterable[str]) -> dict[str, int]:
    """Of each of these namespaces what lies between its repositories, at whatever depth."""
    sums = dict.fromkeys(wanted, 0)
    rows = MeasuredNamespace.objects.filter(snapshot=snapshot, shared_inside_bytes__gt=0)
    for name, size in rows.values_list("name", "shared_inside_bytes"):
        if namespace and not name.startswith(f"{namespace}/"):
            continue
        child = _child(namespace, name)
        if child in sums:
            sums[child] += size
    return sums

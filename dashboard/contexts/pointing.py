"""Pointing a tag at a digest as its page shows it: now and then side by side, the button, and how it ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.charts.bars import Segment, segments
from dashboard.models import Registry, TagPeriod
from dashboard.registry.references import Digest, short
from dashboard.services.access import Access
from dashboard.services.point_survey import Layer, Side, Survey
from dashboard.services.pointing import (
    BUSY,
    EXISTS,
    GONE,
    LOST,
    MOVED,
    PROTECTED,
    SAME,
    Pointed,
    PointRefused,
)

from . import links
from .formats import legible, size
from .kinds import kind_name
from .platforms import PlatformName, platform_box

MAX_GONE = 10
MAX_NAME = 255
_GAP, _BLANK = "gap", ""
"""Keys of what is not drawn: what separates platforms, what an image lacks to the longer bar."""
_GAP_SHARE = 250


@dataclass(frozen=True, slots=True)
class SideView:
    """An image in its column. `bar`: its layers on the scale of both, those that the other has too as shared."""

    digest: str
    url: str
    platforms: Sequence[PlatformName]
    kind: str
    bytes: int | None
    created: dt.datetime | None
    began: dt.datetime | None
    began_is_push: bool
    ended: dt.datetime | None
    by: str
    bar: Sequence[Segment]
    bar_label: str
    held: bool


@dataclass(frozen=True, slots=True)
class PeriodView:
    """That a tag pointed to the digest, from when to when (None: it still does)."""

    tag: str
    began: dt.datetime
    began_is_push: bool
    ended: dt.datetime | None


@dataclass(frozen=True, slots=True)
class PointPage:
    """Everything that point.html shows. `error`: what is wrong with the tag that was typed.

    `title` says what the button does. `impossible`: why it cannot be done; `gone`: the digests that are to blame.
    """

    repository: str
    host: str
    url: str
    form_url: str
    repository_url: str
    digest: str
    tag: str
    typed: str
    error: str
    title: str
    expected: str
    then: SideView
    now: SideView | None
    put_back: int
    periods: Sequence[PeriodView]
    impossible: str
    gone: Sequence[str]
    more_gone: int
    acting_as: str


@dataclass(frozen=True, slots=True)
class Told:
    """A notice above the page: how the last attempt ended. `level` as a notice's class."""

    level: str
    title: str
    sentence: str


def point_page(access: Access, repository: str, found: Survey, *, typed: str = "", error: str = "") -> PointPage:
    """The view model. `typed`, `error`: a tag that is none, and what is wrong with it."""
    registry, digest = access.registry, found.then.digest
    tag = found.tag
    return PointPage(
        repository=repository,
        host=registry.public_host,
        url=links.point(registry, repository, "", ""),
        form_url=links.point(registry, repository, tag, digest),
        repository_url=links.repository(registry, repository),
        digest=digest,
        tag=tag,
        typed=typed,
        error=error,
        title=_title(found),
        expected=found.expected,
        then=_side(registry, repository, found.then, found.now),
        now=_side(registry, repository, found.now, found.then) if found.now else None,
        put_back=found.put_back,
        periods=[_period(period) for period in found.periods],
        impossible=_impossible(found),
        gone=list(found.gone[:MAX_GONE]),
        more_gone=max(0, len(found.gone) - MAX_GONE),
        acting_as=access.acting.name,
    )


def told(refused: PointRefused, tag: str) -> Told:
    """What to say of an attempt that changed no tag."""
    values = {"tag": tag, "now": short(refused.now), "rule": refused.rule}
    unchanged = _("Nothing was changed.")
    if refused.code == EXISTS:
        return Told(
            "warning",
            _("There is a tag %(tag)s already") % values,
            _("It points at %(now)s. Nothing was changed: compare the two, and say so if it shall move.") % values,
        )
    if refused.code == MOVED and refused.now:
        sentence = _("It points at %(now)s now. Nothing was changed: what you did not see is not overwritten.") % values
        return Told("warning", _("%(tag)s was pushed again since you looked") % values, sentence)
    if refused.code == MOVED:
        return Told("warning", _("%(tag)s was deleted since you looked") % values, unchanged)
    if refused.code == SAME:
        return Told("info", _("%(tag)s points at it already") % values, unchanged)
    names = ", ".join(short(digest) for digest in refused.gone[:MAX_GONE])
    sentences = {
        PROTECTED: _("The rule %(rule)s protects it.") % values,
        GONE: ngettext("%(names)s is gone.", "%(names)s are gone.", len(refused.gone)) % {"names": names},
        BUSY: _("Something of this repository is being deleted at this moment. Try again in a minute."),
        LOST: _("The registry accepted it, and still says what it said before."),
    }
    return Told("danger", _("%(tag)s was not moved") % values, f"{sentences[refused.code]} {unchanged}")


def success(registry: Registry, repository: str, done: Pointed) -> SafeString:
    """What to say of a tag that was pointed elsewhere, with a way to what it was before."""
    digest, tag = short(done.digest), done.tag
    if done.now and done.now != done.digest:
        text = _("%(tag)s was pointed at %(digest)s, and somebody pushed it right after: it points at %(now)s now.")
        return format_html("{}", text % {"tag": tag, "digest": digest, "now": short(done.now)})
    if not done.before:
        return format_html(
            "{}", _("The tag %(tag)s was added: it points at %(digest)s.") % {"tag": tag, "digest": digest}
        )
    before = format_html('<a href="{}">{}</a>', links.manifest(registry, repository, done.before), short(done.before))
    first, _sep, last = _("%(tag)s points at %(digest)s now; before it was %(before)s.").partition("%(before)s")
    values = {"tag": tag, "digest": digest}
    return format_html("{}{}{}", first % values, before, last % values)


def _title(found: Survey) -> str:
    values = {"tag": found.tag, "digest": short(found.then.digest)}
    if not found.tag:
        return _("Add a tag to %(digest)s") % values
    if found.now is None and found.is_return:
        return _("Put %(tag)s back on %(digest)s") % values
    if found.now is None:
        return _("Add the tag %(tag)s") % values
    if found.is_return:
        return _("Point %(tag)s back to %(digest)s") % values
    return _("Point %(tag)s to %(digest)s") % values


def _impossible(found: Survey) -> str:
    if found.gone:
        return ngettext(
            "It cannot be put under a tag: something of it is gone from the repository.",
            "It cannot be put under a tag: %(n)s digests of it are gone from the repository.",
            len(found.gone),
        ) % {"n": len(found.gone)}
    if found.now is not None and found.now.digest == found.then.digest:
        return _("%(tag)s points at it already.") % {"tag": found.tag}
    if found.rule:
        return _("The rule %(rule)s protects %(tag)s: it is not moved from here.") % {
            "rule": found.rule,
            "tag": found.tag,
        }
    return ""


def _side(registry: Registry, repository: str, side: Side, other: Side | None) -> SideView:
    period = side.period
    shared = {layer.digest for layer in other.layers} if other else set[Digest]()
    sides = [each.layers for each in (side, other) if each]
    gap = max(1, max(map(_drawn, sides)) // _GAP_SHARE)
    scale = max(_drawn(layers) + gap * _gaps(layers) for layers in sides)
    both = sum(size for digest, size in _once(side.layers).items() if digest in shared)
    own = sum(_once(side.layers).values()) - both
    label = (
        _("Layers: %(own)s only here, %(both)s in both") % {"own": size(own), "both": size(both)}
        if other
        else _("Layers: %(own)s") % {"own": size(own)}
    )
    return SideView(
        digest=side.digest,
        url=links.manifest(registry, repository, side.digest) if side.held else "",
        platforms=platform_box(side.platforms),
        kind=kind_name(side.kind, side.artifact_type),
        bytes=side.bytes,
        created=side.created_at,
        began=period.began_at if period else None,
        began_is_push=period is not None and period.learnt != TagPeriod.Learnt.REFRESH,
        ended=period.ended_at if period else None,
        by=legible(side.pushed_by, MAX_NAME),
        bar=_bar(side.layers, shared, gap, scale),
        bar_label=label,
        held=side.held,
    )


def _period(period: TagPeriod) -> PeriodView:
    return PeriodView(
        tag=legible(period.tag, MAX_NAME),
        began=period.began_at,
        began_is_push=period.learnt != TagPeriod.Learnt.REFRESH,
        ended=period.ended_at,
    )


def _once(layers: Sequence[Layer]) -> dict[Digest, int]:
    return {layer.digest: layer.bytes for layer in layers}


def _drawn(layers: Sequence[Layer]) -> int:
    return sum(_once(layers).values())


def _gaps(layers: Sequence[Layer]) -> int:
    """How many gaps separate the platforms that have a layer of their own to draw."""
    first = {layer.digest: layer.part for layer in reversed(layers)}
    return max(0, len(set(first.values())) - 1)


def _bar(layers: Sequence[Layer], shared: set[Digest], gap: int, scale: int) -> list[Segment]:
    """The layers in their order, each once, a gap between platforms; `scale` is the whole width."""
    parts: list[tuple[str, int]] = []
    seen: set[Digest] = set()
    platform = layers[0].part if layers else 0
    for layer in layers:
        if layer.digest in seen:
            continue
        seen.add(layer.digest)
        if layer.part != platform:
            parts.append((_GAP, gap))
        platform = layer.part
        parts.append(("shared" if layer.digest in shared else "own", layer.bytes))
    blank = max(0, scale - sum(value for _key, value in parts))
    return [each for each in segments([*parts, (_BLANK, blank)]) if each.key not in (_BLANK, _GAP)]

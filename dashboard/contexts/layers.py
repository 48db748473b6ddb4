"""An image's layers as its page shows them: beside the steps that made them, as a bar, and where each lies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboard.charts.bars import Segment, segments
from dashboard.charts.scale import Tick, ticks
from dashboard.models import Registry
from dashboard.registry.manifests import Descriptor, HistoryEntry, ImageConfig, Manifest
from dashboard.registry.references import Digest

from . import links
from .configuration import OCI_PREFIX
from .formats import legible, share

_SHELL = re.compile(r"^/bin/sh -c (?:#\(nop\)\s*)?")
_BUILDKIT_COMMENT = re.compile(r"\s*# buildkit$")
_ROOM_FOR_TOTAL = 0.9
LABELLED_FROM = 0.06
"""Layers of at least this share of the bar carry their number and size inside it."""


@dataclass(frozen=True, slots=True)
class LayerLine:
    """A layer, or a step that made none (`number` 0). `others`: how many other images have it; None if not known."""

    number: int
    verb: str
    instruction: str
    digest: str
    url: str
    bytes: int
    share: str
    cumulative: int
    below: str
    width: str
    foreign: bool
    media_type: str
    others: int | None = None

    @property
    def texture(self) -> str:
        """Solid where only this image has it, hatched where others do, plain where that is not known."""
        return "layer" if self.others is None else "shared" if self.others else "own"

    @property
    def is_step(self) -> bool:
        """Whether this step of the build made no layer."""
        return self.number == 0


@dataclass(frozen=True, slots=True)
class BarPart:
    """A layer in the strata bar; `labelled` if there is room for its number and size."""

    segment: Segment
    number: int
    bytes: int
    labelled: bool
    texture: str


def layer_lines(
    registry: Registry,
    repository: str,
    manifest: Manifest,
    config: ImageConfig | None,
    others: Mapping[str, int] | None = None,
) -> list[LayerLine]:
    """Layers from the base on, each beside the history step that made it, and the steps that made none between."""
    total = sum(d.size for d in manifest.layers if not d.is_foreign)
    history = list(config.history) if config else []
    makers = [entry for entry in history if not entry.empty_layer]
    matched = len(makers) == len(manifest.layers)
    steps: list[tuple[HistoryEntry | None, Descriptor | None]] = []
    if matched:
        remaining = iter(manifest.layers)
        steps = [(entry, None if entry.empty_layer else next(remaining)) for entry in history]
    else:
        steps = [(None, layer) for layer in manifest.layers]
    lines: list[LayerLine] = []
    number, below = 0, 0
    for entry, layer in steps:
        verb, instruction = instruction_of(entry.created_by if entry else "")
        if layer is None:
            lines.append(LayerLine(0, verb, instruction, "", "", 0, "", 0, "", "", foreign=False, media_type=""))
            continue
        number += 1
        here = 0 if layer.is_foreign else layer.size
        if not entry:
            instruction = legible(layer.annotations.get(f"{OCI_PREFIX}title", "") or layer.media_type)
        lines.append(
            LayerLine(
                number,
                verb,
                instruction,
                layer.digest,
                "" if layer.is_foreign else links.blob(registry, repository, layer.digest),
                layer.size,
                share(here, total),
                below + here,
                _percent(below, total),
                _percent(here, total),
                layer.is_foreign,
                layer.media_type,
                (others or {}).get(layer.digest),
            )
        )
        below += here
    return lines


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3f}%" if whole else "0%"


def scale_of(total: int) -> Sequence[Tick]:
    """The marks of the scale, without those that would touch the total at its end."""
    return [tick for tick in ticks(total) if tick.bytes <= total * _ROOM_FOR_TOTAL] if total else ()


def bar_of(layers: Sequence[LayerLine], total: int) -> list[BarPart]:
    """The layers that lie in the registry, as parts of a bar of `total` bytes."""
    here = [line for line in layers if line.bytes and not line.foreign]
    drawn = segments([(Digest(f"{line.number}"), line.bytes) for line in here])
    by_key = {segment.key: segment for segment in drawn}
    return [
        BarPart(by_key[key], line.number, line.bytes, line.bytes / total >= LABELLED_FROM, line.texture)
        for line in here
        if (key := f"{line.number}") in by_key
    ]


def instruction_of(created_by: str) -> tuple[str, str]:
    """A history line as verb and rest: `RUN`, `apt-get install …`."""
    text = _BUILDKIT_COMMENT.sub("", legible(created_by.strip()))
    stripped = _SHELL.sub("", text)
    if stripped != text and not re.match(r"[A-Z]+ ", stripped):
        return "RUN", stripped
    verb, _, rest = stripped.partition(" ")
    if verb.isupper() and verb.isalpha():
        return verb, _SHELL.sub("", rest.strip())
    return "", stripped

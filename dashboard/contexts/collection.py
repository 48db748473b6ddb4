"""The page of garbage collections: what one frees, what it stops at or ought not to touch, how it is run, history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from dashboard.models import Collection, CollectionPreview, Registry
from dashboard.registry.references import is_repository
from dashboard.services.access import Access
from dashboard.services.collection import ask, preview, run
from dashboard.storage.collection import Family

from . import links
from .collection_words import AFTER, STEPS, STOPS, WHY_NOT, difference_sentence, hurt_sentence, outcome_sentence
from .formats import legible

SHOWN_REPOSITORIES = 20
SHOWN_STOPS = 10
SHOWN_NAMED = 10
_CONFIGURATION = {Family.TWO: "/etc/docker/registry/config.yml", Family.THREE: "/etc/distribution/config.yml"}
_IMAGE = {Family.TWO: "registry:2", Family.THREE: "registry:3"}


@dataclass(frozen=True, slots=True)
class StopLine:
    """Something that ends a collection with an error."""

    title: str
    cure: str
    after: str
    path: str


@dataclass(frozen=True, slots=True)
class NamedLine:
    """A revision or blob by name."""

    repository: str
    url: str
    digest: str
    tags: str


@dataclass(frozen=True, slots=True)
class HurtLine:
    """What a collection would damage, of one kind."""

    sentence: str
    bytes: int
    named: Sequence[NamedLine]
    more: int


@dataclass(frozen=True, slots=True)
class RepositoryLine:
    """What is freed of one repository."""

    name: str
    url: str
    blobs: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Way:
    """One way to collect, as one person may see it. `besides`: bytes more than the plain one of the same collector."""

    name: str
    command: str
    untagged: bool
    blobs: int
    bytes: int
    manifests: int
    besides: int
    stops: Sequence[StopLine]
    more_stops: int
    hurts: Sequence[HurtLine]
    lines: Sequence[RepositoryLine]
    other: RepositoryLine | None
    several: Mapping[str, int]
    unknown: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Setup:
    """How a registry is collected by hand in one kind of installation: what each step does, and its command."""

    name: str
    steps: Sequence[tuple[str, str]]
    note: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step of a running collection: its name, and whether it is done, goes on or waits."""

    name: str
    state: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class CollectionLine:
    """A collection that was run or noticed. `log` is for administrators."""

    state: str
    state_name: str
    level: str
    asked_by: str
    began_at: dt.datetime | None
    ended_at: dt.datetime | None
    seconds: float | None
    promised: int | None
    freed: int | None
    blobs: int | None
    sentence: str
    difference: str
    images: int
    named: Sequence[NamedLine]
    more_named: int
    log: str


@dataclass(frozen=True, slots=True)
class RunBox:
    """Whether a collection can be run from here. `offered`: an administrator, and a command is set."""

    offered: bool
    has_command: bool
    impossible: str
    typed: str
    url: str


@dataclass(frozen=True, slots=True)
class CollectionPage:
    """Everything that collection.html shows."""

    root: str
    read_at: dt.datetime | None
    is_uncertain: bool
    family: str
    plain: Way | None
    untagged: Way | None
    others: Sequence[Way]
    has_hidden: bool
    setups: Sequence[Setup]
    box: RunBox
    live: CollectionLine | None
    steps: Sequence[StepLine]
    cancel_url: str
    last: CollectionLine | None
    history: Sequence[CollectionLine]
    storage_url: str


def collection_page(
    access: Access,
    found: CollectionPreview | None,
    family: Family | None,
    rows: Sequence[Collection],
    visible: set[str] | None,
    why_not: str,
) -> CollectionPage:
    """The view model. `family` is the registry's, None if unknown; `visible` names may be named, None: all of them.

    `why_not`: code of why no collection can be run now, "" if one can.
    """
    registry = access.registry
    report: dict[str, Any] = found.report if found is not None else {}
    see = _Sight(registry, visible)
    ways = [_way(see, report, way) for way in report.get("ways", [])]
    ours = [way for way, raw in zip(ways, report.get("ways", []), strict=True) if family and raw["family"] == family]
    plain = next((way for way in ours or ways if not way.untagged), None)
    untagged = next((way for way in ours or ways if way.untagged), None)
    staff = access.administers
    lines = [_line(see, row, with_log=staff) for row in rows]
    live = next((row for row in rows if row.is_live), None)
    ended = [line for line, row in zip(lines, rows, strict=True) if not row.is_live]
    last_run = next((row for row in rows if row.state != Collection.State.NOTICED), None)
    return CollectionPage(
        root=registry.storage_root,
        read_at=found.read_at if found is not None else None,
        is_uncertain=bool(report.get("is_uncertain")),
        family=str(family or ""),
        plain=plain,
        untagged=untagged,
        others=[way for way in ways if way not in (plain, untagged)],
        has_hidden=see.hid,
        setups=_setups(family or Family.THREE),
        box=_box(access, why_not),
        live=lines[rows.index(live)] if live is not None else None,
        steps=_steps(live) if live is not None else [],
        cancel_url=reverse("cancel-job", args=[registry.slug, live.job_id]) if live is not None and staff else "",
        last=lines[rows.index(last_run)] if last_run is not None and not last_run.is_live else None,
        history=ended,
        storage_url=links.storage(registry),
    )


def refused_sentence(code: str) -> str:
    """Why no collection was begun."""
    return _("Nothing was begun. %(why)s") % {"why": WHY_NOT.get(code, code)}


class _Sight:
    """What one person may see; remembers whether anything was left out."""

    def __init__(self, registry: Registry, visible: set[str] | None) -> None:
        self._registry = registry
        self._visible = visible
        self.hid = False

    def may(self, repository: str) -> bool:
        """Whether a repository may be named to this person."""
        allowed = self._visible is None or repository in self._visible
        self.hid = self.hid or not allowed
        return allowed

    def url(self, repository: str) -> str:
        """Its page."""
        return links.repository(self._registry, repository) if is_repository(repository) else ""

    def named(self, entries: Sequence[Mapping[str, Any]]) -> list[NamedLine]:
        """Those that may be named."""
        return [
            NamedLine(
                legible(str(entry.get("repository", "")), 255),
                self.url(str(entry.get("repository", ""))),
                str(entry.get("digest", "")),
                ", ".join(legible(str(tag), 128) for tag in entry.get("tags") or [entry.get("tag", "")]),
            )
            for entry in entries
            if self.may(str(entry.get("repository", "")))
        ]


def _way(see: _Sight, report: Mapping[str, Any], raw: Mapping[str, Any]) -> Way:
    plain = preview.way_of(report, Family(raw["family"]), untagged=False)
    seen = [row for row in raw["by_repository"] if see.may(row["name"])]
    rest = [row for row in raw["by_repository"] if row not in seen[:SHOWN_REPOSITORIES]]
    hidden_blobs = sum(row["blobs"] for row in rest) + raw["more"]["blobs"]
    hidden_bytes = sum(row["bytes"] for row in rest) + raw["more"]["bytes"]
    stops = [stop for stop in raw["stops"] if see.may(stop["repository"]) or not stop["repository"]]
    return Way(
        name=_("%(family)s, with -m") % {"family": raw["family"]} if raw["untagged"] else str(raw["family"]),
        command="registry garbage-collect" + (" -m" if raw["untagged"] else ""),
        untagged=raw["untagged"],
        blobs=raw["blobs"],
        bytes=raw["bytes"],
        manifests=raw["manifests"],
        besides=raw["bytes"] - plain["bytes"] if plain else 0,
        stops=[_stop(stop) for stop in stops[:SHOWN_STOPS]],
        more_stops=len(raw["stops"]) - len(stops[:SHOWN_STOPS]),
        hurts=[_hurt(see, hurt) for hurt in raw["hurts"]],
        lines=[
            RepositoryLine(row["name"], see.url(row["name"]), row["blobs"], row["bytes"])
            for row in seen[:SHOWN_REPOSITORIES]
        ],
        other=RepositoryLine("", "", hidden_blobs, hidden_bytes) if hidden_blobs else None,
        several=raw["several"],
        unknown=raw["unknown"],
    )


def _stop(stop: Mapping[str, Any]) -> StopLine:
    title, cure = STOPS.get(stop["code"], (stop["code"], ""))
    return StopLine(str(title), str(cure), str(AFTER.get(stop["after"], "")), legible(stop["path"], 400))


def _hurt(see: _Sight, hurt: Mapping[str, Any]) -> HurtLine:
    named = see.named(hurt["named"])[:SHOWN_NAMED]
    number = hurt["revisions"]
    return HurtLine(hurt_sentence(hurt["kind"], number), hurt["bytes"], named, number - len(named))


def _steps(row: Collection) -> list[StepLine]:
    took = {step["step"]: step["seconds"] for step in row.steps}
    return [
        StepLine(
            str(STEPS[name]),
            "now" if name == row.step else "done" if name in took else "waits",
            took.get(name) if name != row.step else None,
        )
        for name in run.STEPS
    ]


_LEVELS = {
    Collection.State.DONE: "success",
    Collection.State.STOPPED: "warning",
    Collection.State.FAILED: "danger",
    Collection.State.INTERRUPTED: "danger",
    Collection.State.NOTICED: "",
}


def _line(see: _Sight, row: Collection, *, with_log: bool) -> CollectionLine:
    hit = [*row.outcome.get("damaged", []), *row.outcome.get("needed", [])]
    named = see.named(hit)
    seconds = (row.ended_at - row.began_at).total_seconds() if row.began_at and row.ended_at else None
    noticed = row.state == Collection.State.NOTICED
    return CollectionLine(
        state=row.state,
        state_name=str(Collection.State(row.state).label),
        level=_LEVELS.get(Collection.State(row.state), ""),
        asked_by=row.user_name,
        began_at=row.began_at or row.asked_at,
        ended_at=row.ended_at,
        seconds=None if noticed else seconds,
        promised=row.promised_bytes,
        freed=row.freed_bytes,
        blobs=row.freed_blobs,
        sentence=outcome_sentence(row) if row.outcome_code else "",
        difference=difference_sentence(row),
        images=int(row.outcome.get("images", 0)),
        named=named[:SHOWN_NAMED],
        more_named=int(row.outcome.get("count", len(hit))) - len(named[:SHOWN_NAMED]) if hit else 0,
        log=legible(row.log, 70_000) if with_log else "",
    )


def _box(access: Access, code: str) -> RunBox:
    registry = access.registry
    has_command = code != ask.NO_COMMAND
    return RunBox(
        offered=access.administers and has_command,
        has_command=has_command,
        impossible=str(WHY_NOT.get(code, "")) if has_command else "",
        typed=registry.slug,
        url=reverse("run-collection", args=[registry.slug]),
    )


def _setups(family: Family) -> list[Setup]:
    configuration, image = _CONFIGURATION[family], _IMAGE[family]
    look, collect = _("Look what it would remove"), _("Collect")
    stop, start = _("Have it refuse writes, for the whole time"), _("Start it again: what it remembered is forgotten")
    compose, docker, unit = "docker compose", "docker", "docker-registry"
    in_compose = f"{compose} run --rm --no-deps registry garbage-collect"
    in_docker = f"{docker} run --rm --volumes-from registry {image} garbage-collect"
    by_unit = "sudo -u docker-registry docker-registry garbage-collect"
    unit_configuration = _CONFIGURATION[Family.TWO]
    read_only = "REGISTRY_STORAGE_MAINTENANCE_READONLY='{\"enabled\":true}'"
    note = _(
        "To let people pull meanwhile, do not stop it but start it read-only: set %(variable)s in its environment, "
        "and remove that again at the end."
    ) % {"variable": read_only}
    return [
        Setup(
            "Docker Compose",
            [
                (stop, f"{compose} stop registry"),
                (look, f"{in_compose} --dry-run {configuration}"),
                (collect, f"{in_compose} {configuration}"),
                (start, f"{compose} up -d registry"),
            ],
            note,
            is_open=True,
        ),
        Setup(
            "Docker",
            [
                (stop, f"{docker} stop registry"),
                (look, f"{in_docker} --dry-run {configuration}"),
                (collect, f"{in_docker} {configuration}"),
                (start, f"{docker} start registry"),
            ],
            note,
            is_open=False,
        ),
        Setup(
            "systemd",
            [
                (stop, f"sudo systemctl stop {unit}"),
                (look, f"{by_unit} --dry-run {unit_configuration}"),
                (collect, f"{by_unit} {unit_configuration}"),
                (start, f"sudo systemctl start {unit}"),
            ],
            note,
            is_open=False,
        ),
    ]

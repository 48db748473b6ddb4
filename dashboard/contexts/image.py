"""An image as its page shows it: tabs, summary, entries of an index; layers and configuration from their modules."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext, ngettext

from dashboard.charts.scale import Tick
from dashboard.registry.manifests import Kind
from dashboard.registry.references import Digest, short
from dashboard.registry.times import parse_time
from dashboard.services.access import Access
from dashboard.services.images import Child, Image
from dashboard.services.inspect import ATTESTATION, INDEX, Inspection

from . import links
from .configuration import OCI_PREFIX, Variable, environment_of, facts_of, health_check_of, labels_of
from .documents import pretty_json
from .errors import Problem, problem_of
from .formats import legible
from .kinds import document_label, kind_label
from .layers import BarPart, LayerLine, bar_of, layer_lines, scale_of
from .pull import PullBox, pull_box


@dataclass(frozen=True, slots=True)
class Tab:
    """A platform, an attestation, or the index itself."""

    label: str
    note: str
    url: str
    current: bool
    missing: bool = False
    attached: bool = False
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of an index, in the list of what it holds."""

    digest: str
    url: str
    platform: str
    attestation: bool
    media_type: str
    bytes: int
    missing: bool


@dataclass(frozen=True, slots=True)
class BaseLink:
    """The image that this one is built on; `others` more tags name it too."""

    name: str
    url: str
    others: int
    layers: int


@dataclass(frozen=True, slots=True)
class ImagePage:
    """Everything that image.html shows."""

    repository: str
    namespace: str
    namespace_url: str
    short_name: str
    repository_url: str
    tag: str
    reference: str
    lede: str
    aliases: Sequence[tuple[str, str]]
    delete_url: str
    point_url: str
    tabs: Sequence[Sequence[Tab]]
    pull: PullBox
    total_bytes: int | None
    sizes_known: bool
    partial: bool
    root_digest: str
    root_is_index: bool
    child_missing: Tab | None
    digest: str
    kind: str
    document: str
    media_type: str
    artifact_type: str
    platform: str
    system: str
    shown_bytes: int | None
    layer_count: int
    config_bytes: int
    config_url: str
    created: dt.datetime | None
    created_text: str
    since: dt.datetime | None
    since_is_push: bool
    pulled_at: dt.datetime | None
    attached: Sequence[tuple[str, str]]
    base: BaseLink | None
    exclusive_bytes: int | None
    besides: str
    subject_digest: str
    subject_url: str
    entries: Sequence[Entry]
    layers: Sequence[LayerLine]
    steps: int
    bar: Sequence[BarPart]
    ticks: Sequence[Tick]
    layers_bytes: int
    has_config: bool
    facts: Sequence[tuple[str, str]]
    config_problem: Problem | None
    environment: Sequence[Variable]
    health_check: str
    health_every: str
    labels: Sequence[tuple[str, str]]
    labels_abbreviated: bool
    manifest_json: str
    manifest_bytes: int
    config_json: str


def image_page(access: Access, repository: str, tag: str, found: Inspection) -> ImagePage:
    """The view model of an image: of the tag's own manifest, or of the chosen entry of its index."""
    registry = access.registry
    root, shown = found.root, found.shown
    path = links.tag(registry, repository, tag) if tag else links.manifest(registry, repository, root.manifest.digest)
    tabs = _tabs(path, found) if root.manifest.kind is Kind.INDEX else []
    namespace, _, name = repository.rpartition("/")
    config = found.config
    layers = layer_lines(registry, repository, shown, config, found.around.others) if shown else []
    real_layers = [line for line in layers if not line.is_step]
    layers_bytes = sum(line.bytes for line in real_layers if not line.foreign)
    labels = dict(shown.annotations) | dict(config.labels if config else {}) if shown else {}
    health_check, health_every = health_check_of(config) if config else ("", "")
    entries = [_entry(access, repository, child) for child in root.children] if shown is root.manifest else []
    return ImagePage(
        repository=repository,
        namespace=namespace,
        namespace_url=links.with_query(links.repositories(registry), name=f"{namespace}/") if namespace else "",
        short_name=name,
        repository_url=links.repository(registry, repository),
        tag=tag,
        reference=f"{registry.public_host}/{repository}" + (f":{tag}" if tag else f"@{root.manifest.digest}"),
        lede=_lede(root),
        aliases=[(other, links.tag(registry, repository, other)) for other in found.around.aliases],
        delete_url=links.delete(registry, repository, tag) if tag and access.may_delete else "",
        point_url=links.point(registry, repository, "", root.manifest.digest) if access.may_point else "",
        tabs=tabs,
        pull=pull_box(registry.public_host, repository, tag=tag, digest=(shown or root.manifest).digest),
        total_bytes=root.compressed_bytes if root.sizes_known else None,
        sizes_known=root.sizes_known,
        partial=root.is_partial,
        root_digest=root.manifest.digest,
        root_is_index=root.manifest.kind is Kind.INDEX,
        child_missing=next((tab for group in tabs for tab in group if tab.current and tab.missing), None)
        if shown is None
        else None,
        digest=shown.digest if shown else (found.child.descriptor.digest if found.child else ""),
        kind=kind_label(shown) if shown else "",
        document=document_label(shown.media_type) if shown else "",
        media_type=shown.media_type if shown else "",
        artifact_type=shown.artifact_type if shown else "",
        platform=str(found.child.descriptor.platform or "")
        if found.child
        else (str(config.platform) if config else ""),
        system=config.platform.os_version if config else "",
        shown_bytes=_shown_bytes(found),
        layer_count=len(real_layers),
        config_bytes=shown.config.size if shown and shown.config else 0,
        config_url=links.blob(registry, repository, shown.config.digest) if shown and shown.config else "",
        created=parse_time(config.created) if config else parse_time(labels.get(f"{OCI_PREFIX}created", "")),
        created_text=config.created if config else "",
        since=found.around.since,
        since_is_push=found.around.since_is_push,
        pulled_at=found.around.pulled_at,
        attached=[(legible(name, 100), links.tag(registry, repository, name)) for name in found.around.attached],
        base=_base(access, found),
        exclusive_bytes=_exclusive(real_layers, layers_bytes) if found.around.others else None,
        besides=_width(found.around.others, found.around.base, found.around.attached),
        subject_digest=shown.subject.digest if shown and shown.subject else "",
        subject_url=links.manifest(registry, repository, shown.subject.digest) if shown and shown.subject else "",
        entries=entries,
        layers=layers,
        steps=len(layers) - len(real_layers),
        bar=bar_of(real_layers, layers_bytes),
        ticks=scale_of(layers_bytes),
        layers_bytes=layers_bytes,
        has_config=config is not None,
        facts=facts_of(config) if config else [],
        config_problem=problem_of(found.config_error) if found.config_error else None,
        environment=environment_of(config) if config else [],
        health_check=health_check,
        health_every=health_every,
        labels=labels_of(labels),
        labels_abbreviated=any(key.startswith(OCI_PREFIX) for key in labels),
        manifest_json=pretty_json(found.raw_manifest),
        manifest_bytes=len(found.raw_manifest),
        config_json=pretty_json(found.raw_config),
    )


def _base(access: Access, found: Inspection) -> BaseLink | None:
    base = found.around.base
    if base is None:
        return None
    url = links.tag(access.registry, base.repository, base.tag)
    return BaseLink(f"{base.repository}:{base.tag}", url, base.others, base.layers)


def _width(*besides: object) -> str:
    """The width of the boxes that the index adds: together they fill a row."""
    return {1: "w12", 2: "w6"}.get(sum(map(bool, besides)), "w4")


def _exclusive(layers: Sequence[LayerLine], total: int) -> int:
    """Bytes of the layers that no other image has."""
    return total - sum(line.bytes for line in layers if line.others and not line.foreign)


def _tabs(path: str, found: Inspection) -> list[list[Tab]]:
    """Each platform with its attestation, and the index itself at the end."""
    chosen = found.child.descriptor.digest if found.child else None
    attestations = {c.descriptor.attests: c for c in found.root.children if c.descriptor.is_attestation}
    groups: list[list[Tab]] = []
    alike = Counter(str(child.descriptor.platform) for child in found.root.platforms)
    for child in found.root.platforms:
        platform = str(child.descriptor.platform or "")
        named = platform if platform and alike[platform] == 1 else child.descriptor.digest
        group = [_platform_tab(child, links.with_query(path, platform=named), chosen)]
        if (attestation := attestations.get(child.descriptor.digest)) is not None:
            group.append(
                Tab(
                    gettext("attestation"),
                    _predicate(attestation),
                    links.with_query(path, platform=named, show=ATTESTATION),
                    attestation.descriptor.digest == chosen,
                    missing=attestation.manifest is None,
                    attached=True,
                )
            )
        groups.append(group)
    listed, shown = len(found.root.manifest.children), len(found.root.children)
    if shown < listed:
        note = gettext("shows %(shown)s of %(n)s") % {"shown": shown, "n": listed}
    else:
        note = ngettext("lists %(n)s entry", "lists all %(n)s", listed) % {"n": listed}
    groups.append([Tab(gettext("index"), note, links.with_query(path, show=INDEX), found.child is None)])
    return groups


def _platform_tab(child: Child, url: str, chosen: Digest | None) -> Tab:
    kind = kind_label(child.manifest) if child.manifest else ""
    platform = child.descriptor.platform
    name = f"{platform} {platform.os_version}".strip() if platform else ""
    label = legible(name or kind or short(child.descriptor.digest), 100)
    current = child.descriptor.digest == chosen
    if child.manifest is None:
        note = gettext("not in the registry") if child.is_missing else gettext("could not be read")
        return Tab(label, note, url, current, missing=True)
    return Tab(label, "", url, current, bytes=child.manifest.content_bytes)


def _shown_bytes(found: Inspection) -> int | None:
    if found.shown is None or not found.root.sizes_known:
        return None
    return found.root.compressed_bytes if found.shown is found.root.manifest else found.shown.content_bytes


def _predicate(child: Child) -> str:
    types = (
        [d.annotations.get("in-toto.io/predicate-type", "") for d in child.manifest.layers] if child.manifest else []
    )
    names = []
    if any("slsa.dev/provenance" in t for t in types):
        names.append(gettext("provenance"))
    if any("spdx" in t or "cyclonedx" in t for t in types):
        names.append(gettext("SBOM"))
    if names:
        return ", ".join(names)
    return gettext("not in the registry") if child.is_missing else gettext("statements")


def _lede(root: Image) -> str:
    if root.manifest.kind is not Kind.INDEX:
        return kind_label(root.manifest) or gettext("Image for one platform")
    images = len(root.platforms)
    attestations = len(root.children) - images
    text = ngettext("Index of %(n)s image", "Index of %(n)s images", images) % {"n": images}
    if attestations:
        text = ngettext("%(index)s and %(n)s attestation", "%(index)s and %(n)s attestations", attestations) % {
            "index": text,
            "n": attestations,
        }
    return text


def _entry(access: Access, repository: str, child: Child) -> Entry:
    d = child.descriptor
    return Entry(
        digest=d.digest,
        url=links.manifest(access.registry, repository, d.digest) if child.manifest else "",
        platform=str(d.platform or ""),
        attestation=d.is_attestation,
        media_type=d.media_type,
        bytes=child.manifest.content_bytes if child.manifest else 0,
        missing=child.manifest is None,
    )

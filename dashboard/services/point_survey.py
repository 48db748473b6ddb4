"""What a person sees before a tag is pointed at a digest: what the digest is, what the tag names now, what hinders."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.models import TagPeriod
from dashboard.registry.errors import NotFound, RegistryError
from dashboard.registry.manifests import ImageConfig, Kind, Manifest, parse_config
from dashboard.registry.media_types import IMAGE_CONFIG_TYPES
from dashboard.registry.references import Digest, RepositoryName, Tag
from dashboard.registry.times import parse_time

from . import access as gate
from . import contents, kept_images, pointing
from .access import Access
from .kept_images import KeptImage
from .notifications.pushes import pushed_by

MAX_PERIODS = 20


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer in bytes; `part` numbers the platform it belongs to, from 0."""

    digest: Digest
    bytes: int
    part: int


@dataclass(frozen=True, slots=True)
class Side:
    """An image as the page compares it. `platforms`: words `linux/amd64`, one that is gone begins with `!`.

    `bytes` count layers and configs once, None where nobody tells them. `period`: when the tag pointed to it, the last
    time; `pushed_by`: who pushed it then, "" where nobody tells.
    """

    digest: Digest
    kind: Kind
    artifact_type: str
    platforms: Sequence[str]
    bytes: int | None
    created_at: dt.datetime | None
    layers: Sequence[Layer]
    held: bool
    period: TagPeriod | None = None
    pushed_by: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything the page tells. `now` is None where there is no such tag, and where none was named.

    `gone`: digests without which it cannot be done; `put_back`: manifests that would be put first. `periods`: which
    tags pointed to the digest, the latest first. `rule`: the text of the rule that forbids it.
    """

    tag: str
    then: Side
    now: Side | None
    gone: Sequence[Digest]
    put_back: int
    periods: Sequence[TagPeriod]
    rule: str

    @property
    def expected(self) -> str:
        """What the tag points to as this page shows it; "" for nothing."""
        return self.now.digest if self.now else ""

    @property
    def is_return(self) -> bool:
        """Whether the tag pointed to it before."""
        return self.then.period is not None


def survey(access: Access, repository: RepositoryName, digest: Digest, tag: Tag | None) -> Survey:
    """What pointing `tag` (None: not named yet) at `digest` would do. Raises RegistryError.

    Asks with the person's own credential; changes nothing.
    """
    gate.require(access, repository)
    session, registry = access.session, access.registry
    image = kept_images.read(session, registry, repository, digest)
    periods = TagPeriod.objects.filter(registry=registry, repository=repository, digest=digest)
    latest = list(periods.order_by("-began_at", "-pk")[:MAX_PERIODS])
    now = _now(access, repository, tag) if tag else None
    return Survey(
        tag=tag or "",
        then=_side(access, repository, image, tag or ""),
        now=now,
        gone=image.gone,
        put_back=len(image.lacking) + (not image.root.held),
        periods=latest,
        rule=pointing.protecting_rule(registry, repository, tag, digest) if tag and now else "",
    )


def _now(access: Access, repository: RepositoryName, tag: Tag) -> Side | None:
    try:
        digest = access.session.head_manifest(repository, tag).digest
    except NotFound:
        return None
    try:
        image = kept_images.read(access.session, access.registry, repository, digest, blobs=False)
    except RegistryError:
        # What is broken is the more reason to point the tag elsewhere.
        return Side(digest, Kind.UNKNOWN, "", (), None, None, (), held=True)
    return _side(access, repository, image, tag)


def _side(access: Access, repository: RepositoryName, image: KeptImage, tag: str) -> Side:
    root = image.root.manifest
    by_digest = {part.manifest.digest: part.manifest for part in image.parts}
    images = _images(root, by_digest)
    config = _config(access, repository, images)
    layers = [
        Layer(layer.digest, layer.size, number)
        for number, manifest in enumerate(images)
        for layer in {layer.digest: layer for layer in manifest.layers if not layer.is_foreign}.values()
    ]
    sizes = {d.digest: d.size for each in by_digest.values() for d in each.content() if not d.is_foreign}
    sizes_known = root.kind not in (Kind.LEGACY, Kind.UNKNOWN) or any(sizes.values())
    period = _last_period(access, repository, tag, root.digest)
    return Side(
        digest=root.digest,
        kind=root.kind,
        artifact_type=root.artifact_type,
        platforms=_platforms(root, by_digest) or ([str(config.platform)] if config and str(config.platform) else []),
        bytes=sum(sizes.values()) if sizes_known else None,
        created_at=parse_time(config.created) if config else None,
        layers=layers,
        held=image.root.held,
        period=period,
        pushed_by=_pushed_by(access, period),
    )


def _images(root: Manifest, by_digest: dict[Digest, Manifest]) -> list[Manifest]:
    """The manifests with layers, in the order of the index; attestations are no part of what runs."""
    if root.kind is not Kind.INDEX:
        return [root]
    listed = [by_digest[d.digest] for d in root.children if d.digest in by_digest and not d.is_attestation]
    return [image for child in listed for image in _images(child, by_digest)]


def _platforms(root: Manifest, by_digest: dict[Digest, Manifest]) -> list[str]:
    words = [
        ("" if child.digest in by_digest else "!") + str(child.platform).replace(" ", "_")
        for child in root.children
        if child.platform is not None and not child.is_attestation
    ]
    return list(dict.fromkeys(words))


def _config(access: Access, repository: RepositoryName, images: Sequence[Manifest]) -> ImageConfig | None:
    """The configuration of the first image, if it can be had."""
    described = [image.config for image in images if image.kind is Kind.IMAGE and image.config is not None][:1]
    for raw in contents.configs(access.session, repository, described).values():
        if not isinstance(raw, RegistryError) and described[0].media_type in IMAGE_CONFIG_TYPES:
            return parse_config(raw, with_history=False)
    return None


def _last_period(access: Access, repository: str, tag: str, digest: str) -> TagPeriod | None:
    if not tag:
        return None
    rows = TagPeriod.objects.filter(registry=access.registry, repository=repository, tag=tag, digest=digest)
    return rows.order_by("-began_at", "-pk").first()


def _pushed_by(access: Access, period: TagPeriod | None) -> str:
    if period is None:
        return ""
    return pushed_by(
        registry=access.registry,
        repository=period.repository,
        tag=period.tag,
        digest=period.digest,
        when=period.began_at,
    )

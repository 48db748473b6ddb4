"""Images: what a manifest names, read through one repository: its platforms, layers, sizes, configuration.

An index's children are asked of the repository each time; one that is not there is missing, not an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dashboard.registry.client import RawManifest, RegistrySession
from dashboard.registry.errors import ManifestUnknown, RegistryError
from dashboard.registry.manifests import Descriptor, ImageConfig, Kind, Manifest, Platform, parse_config, parse_manifest
from dashboard.registry.media_types import IMAGE_CONFIG_TYPES
from dashboard.registry.references import Digest, RepositoryName

from . import contents

MAX_CHILDREN = 100


@dataclass(frozen=True, slots=True)
class Child:
    """An entry of an index: its manifest, or None where it is missing or could not be read (`error`)."""

    descriptor: Descriptor
    manifest: Manifest | None
    error: RegistryError | None = None

    @property
    def is_missing(self) -> bool:
        """Whether the repository says that it does not hold this entry."""
        return isinstance(self.error, ManifestUnknown)


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest and what it reaches in its repository.

    `created` is the RFC 3339 text of its (first) config, and `config` that config's digest if it was read.
    """

    manifest: Manifest
    children: tuple[Child, ...] = ()
    platform: Platform | None = None
    created: str = ""
    config: Digest | None = None

    @property
    def compressed_bytes(self) -> int:
        """Bytes of layers and configs, each digest once; for an index the union over the children that are here."""
        manifests = [c.manifest for c in self.children if c.manifest] if self.children else [self.manifest]
        return sum({d.digest: d.size for m in manifests for d in m.content() if not d.is_foreign}.values())

    @property
    def is_partial(self) -> bool:
        """Whether an entry of the index is missing here, or there are more than are read."""
        return len(self.manifest.children) > len(self.children) or any(c.manifest is None for c in self.children)

    @property
    def sizes_known(self) -> bool:
        """Whether the sizes above mean anything: schema 1 tells none, and what is not understood may hide them."""
        return self.manifest.kind not in (Kind.LEGACY, Kind.UNKNOWN) or self.compressed_bytes > 0

    @property
    def platforms(self) -> tuple[Child, ...]:
        """The entries that are platforms, attestations left out."""
        return tuple(child for child in self.children if not child.descriptor.is_attestation)


def read_images(
    session: RegistrySession, repository: RepositoryName, digests: Iterable[Digest]
) -> dict[Digest, Image | RegistryError]:
    """The images of digests that tags of `repository` point at, in four rounds of parallel requests at most."""
    wanted = list(dict.fromkeys(digests))
    roots = _parsed(contents.manifests(session, repository, wanted, proven=frozenset(wanted)))
    child_digests = [
        d.digest for root in roots.values() if isinstance(root, Manifest) for d in root.children[:MAX_CHILDREN]
    ]
    children = _parsed(contents.manifests(session, repository, child_digests))
    found: dict[Digest, Image | RegistryError] = {}
    described: dict[Digest, Descriptor] = {}
    for digest, root in roots.items():
        if isinstance(root, RegistryError):
            found[digest] = root
            continue
        entries = tuple(_child(d, children[d.digest]) for d in root.children[:MAX_CHILDREN])
        found[digest] = Image(root, entries)
        if (config := _first_config(root, entries)) is not None:
            described[digest] = config
    raw_configs = contents.configs(session, repository, described.values())
    for digest, config in described.items():
        image = found[digest]
        raw = raw_configs[config.digest]
        if isinstance(image, Image) and isinstance(raw, bytes):
            parsed = parse_config(raw)
            found[digest] = Image(image.manifest, image.children, parsed.platform, parsed.created, config.digest)
    return found


def config_of(
    session: RegistrySession,
    repository: RepositoryName,
    manifest: Manifest,
    *,
    proven: frozenset[Digest] = frozenset(),
) -> tuple[ImageConfig | None, bytes]:
    """An image's configuration, parsed and raw; (None, bytes) for other artifacts. Raises RegistryError.

    The repository is asked whether it holds the blob, unless it is among `proven`. An artifact's config is
    returned raw, unparsed.
    """
    if manifest.config is None:
        return None, b""
    raw = contents.configs(session, repository, [manifest.config], proven=proven)[manifest.config.digest]
    if isinstance(raw, RegistryError):
        raise raw
    return (parse_config(raw) if manifest.config.media_type in IMAGE_CONFIG_TYPES else None), raw


def _parsed(found: dict[Digest, RawManifest | RegistryError]) -> dict[Digest, Manifest | RegistryError]:
    return {
        digest: raw if isinstance(raw, RegistryError) else parse_manifest(raw.raw, raw.media_type, digest)
        for digest, raw in found.items()
    }


def _child(descriptor: Descriptor, answer: Manifest | RegistryError) -> Child:
    if isinstance(answer, RegistryError):
        return Child(descriptor, None, answer)
    return Child(descriptor, answer)


def _first_config(root: Manifest, children: Iterable[Child]) -> Descriptor | None:
    manifests = [root, *(c.manifest for c in children if c.manifest and not c.descriptor.is_attestation)]
    for manifest in manifests:
        if manifest.kind is Kind.IMAGE and manifest.config is not None:
            return manifest.config
    return None

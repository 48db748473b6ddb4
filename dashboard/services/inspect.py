"""Looking at one thing: the image that a tag or digest names, or a blob, through the repository that holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.models import Content, IndexedTag
from dashboard.registry.errors import BlobUnknown, RegistryError
from dashboard.registry.manifests import ImageConfig, Kind, Manifest
from dashboard.registry.references import Digest, RepositoryName

from . import access as gate
from . import contents
from .access import Access
from .images import Child, Image, config_of, read_images
from .index import uses
from .index.around import Around, around

ATTESTATION = "attestation"
INDEX = "index"
MAX_SHOWN_JSON = 256 * 1024


@dataclass(frozen=True, slots=True)
class Inspection:
    """An image page: what the reference names (`root`), and the part of it that is shown (`shown`).

    `shown` is the root itself, or the chosen child of an index; None where that child is missing. `around` is what the
    index knows besides. A config that could not be read leaves `config_error`.
    """

    root: Image
    shown: Manifest | None
    child: Child | None
    config: ImageConfig | None
    raw_manifest: bytes
    raw_config: bytes
    config_error: RegistryError | None
    around: Around


@dataclass(frozen=True, slots=True)
class BlobInspection:
    """A blob page: its size in bytes as the registry says, and its text where it is a small known JSON document.

    `tags` are those of the registry whose images have it, as far as the index knows and this person may see.
    """

    digest: Digest
    size: int
    text: bytes
    tags: Sequence[IndexedTag]


def image(
    access: Access, repository: RepositoryName, reference: str, *, tag: str = "", platform: str = "", show: str = ""
) -> Inspection:
    """The image that `reference` (a tag or digest) names. Raises RegistryError, ManifestUnknown among them.

    `platform` chooses a child of an index by its platform; `show` its attestation, or the index itself.
    """
    session = access.session
    head = session.head_manifest(repository, reference)
    found = read_images(session, repository, [head.digest])[head.digest]
    if isinstance(found, RegistryError):
        raise found
    child = _choose(found, platform, show) if found.manifest.kind is Kind.INDEX else None
    shown = child.manifest if child else found.manifest
    config: ImageConfig | None = None
    raw_config, config_error = b"", None
    if shown is not None and shown.config is not None:
        try:
            config, raw_config = config_of(
                session, repository, shown, proven=frozenset([found.config] if found.config else [])
            )
        except RegistryError as error:
            config_error = error
    raw = contents.manifests(session, repository, [shown.digest], proven=frozenset([shown.digest])) if shown else {}
    document = raw[shown.digest] if shown else None
    return Inspection(
        root=found,
        shown=shown,
        child=child,
        config=config,
        raw_manifest=b"" if document is None or isinstance(document, RegistryError) else document.raw,
        raw_config=raw_config if len(raw_config) <= MAX_SHOWN_JSON else b"",
        config_error=config_error,
        around=around(access, repository, root=head.digest, tag=tag, shown=shown, config=config),
    )


def blob(access: Access, repository: RepositoryName, digest: Digest) -> BlobInspection:
    """A layer or config that `repository` holds. Raises BlobUnknown if it does not."""
    count = access.session.has_blob(repository, digest)
    if count is None:
        raise BlobUnknown("blob", access.registry.public_host, user=access.session.user, status=404, subject=digest)
    row = Content.objects.filter(digest=digest).first()
    text = bytes(row.raw) if row and len(row.raw) <= MAX_SHOWN_JSON else b""
    tags = uses.tags_holding_blob(access.registry, gate.visible(access), digest)
    return BlobInspection(digest, count, text, tags)


def _choose(image: Image, platform: str, show: str) -> Child | None:
    """The child that the address names; else the first platform that is here; None for the index itself."""
    if show == INDEX:
        return None
    platforms = image.platforms
    chosen = next((c for c in platforms if platform in (str(c.descriptor.platform), c.descriptor.digest)), None)
    if chosen is None:
        chosen = next((child for child in platforms if child.manifest), next(iter(platforms), None))
    if show == ATTESTATION and chosen is not None:
        return next((c for c in image.children if c.descriptor.attests == chosen.descriptor.digest), chosen)
    return chosen

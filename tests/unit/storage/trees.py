"""Writes storage directories as a registry would, and as it never should."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Tree:
    """A storage directory at `root`, grown by calls. Digests are returned as `sha256:…`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.v2 = root / "docker" / "registry" / "v2"
        (self.v2 / "blobs").mkdir(parents=True)
        (self.v2 / "repositories").mkdir()

    def repository(self, name: str) -> Path:
        """The directory of a repository."""
        return self.v2 / "repositories" / name

    def blob(self, name: str, size: int) -> str:
        """A blob of `size` bytes whose digest is that of its name: nothing is hashed here."""
        digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
        self.write(self.data_path(digest), b"")
        os.truncate(self.data_path(digest), size)
        return digest

    def image(
        self, repository: str, layers: Sequence[str], *, config: str = "", subject: str = "", note: str = ""
    ) -> str:
        """An image that `repository` holds; `note` makes it different from another of the same layers."""
        config = config or self.blob(f"config of {note}", 2)
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": {"mediaType": OCI_CONFIG, "digest": config, "size": self.size_of(config)},
            "layers": [{"mediaType": OCI_LAYER, "digest": layer, "size": self.size_of(layer)} for layer in layers],
            "annotations": {"note": note},
        }
        if subject:
            document["subject"] = {"mediaType": OCI_IMAGE, "digest": subject, "size": 1}
        for layer in layers:
            self.link(self.repository(repository) / "_layers" / layer.replace(":", "/") / "link", layer)
        return self.manifest(repository, document)

    def index(self, repository: str, children: Sequence[str], *, subject: str = "", note: str = "") -> str:
        """An index of `children` that `repository` holds."""
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [{"mediaType": OCI_IMAGE, "digest": child, "size": 1} for child in children],
            "annotations": {"note": note},
        }
        if subject:
            document["subject"] = {"mediaType": OCI_IMAGE, "digest": subject, "size": 1}
        return self.manifest(repository, document)

    def manifest(self, repository: str, document: object) -> str:
        """Any document as a manifest that `repository` holds; bytes are taken as they are."""
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.write(self.data_path(digest), content)
        self.hold(repository, digest)
        return digest

    def hold_bytes(self, repository: str, size: int) -> str:
        """A manifest of `size` bytes that says nothing, as a file with holes; returns its digest."""
        digest = f"sha256:{hashlib.sha256(f'manifest of {size} bytes'.encode()).hexdigest()}"
        self.write(self.data_path(digest), b"")
        os.truncate(self.data_path(digest), size)
        self.hold(repository, digest)
        return digest

    def hold(self, repository: str, digest: str) -> None:
        """The link that makes a digest a revision of a repository."""
        self.link(self.revision_path(repository, digest), digest)

    def delete(self, repository: str, digest: str) -> None:
        """What DELETE by digest leaves: the revision's directory, empty, and no tag that points at it."""
        self.revision_path(repository, digest).unlink()
        tags = self.repository(repository) / "_manifests" / "tags"
        for link in list(tags.glob("*/current/link")) if tags.is_dir() else []:
            if link.read_text() == digest:
                for path in sorted(link.parents[1].rglob("*"), reverse=True):
                    path.rmdir() if path.is_dir() else path.unlink()
                link.parents[1].rmdir()

    def tag(self, repository: str, tag: str, digest: str) -> Path:
        """A tag; returns its link."""
        base = self.repository(repository) / "_manifests" / "tags" / tag
        self.link(base / "index" / digest.replace(":", "/") / "link", digest)
        self.link(base / "current" / "link", digest)
        return base / "current" / "link"

    def upload(self, repository: str, uuid: str, size: int) -> Path:
        """An upload with `size` bytes so far; returns its directory."""
        base = self.repository(repository) / "_uploads" / uuid
        self.write(base / "startedat", b"2026-11-24T00:00:00Z")
        self.write(base / "data", b"u" * size)
        return base

    def size_of(self, digest: str) -> int:
        """Bytes of a blob as a manifest names them; 1 for one that is not here."""
        path = self.data_path(digest)
        return path.stat().st_size if path.is_file() else 1

    def data_path(self, digest: str) -> Path:
        """Where a blob's bytes lie."""
        algorithm, _, encoded = digest.partition(":")
        return self.v2 / "blobs" / algorithm / encoded[:2] / encoded / "data"

    def revision_path(self, repository: str, digest: str) -> Path:
        """Where a revision's link lies."""
        return self.repository(repository) / "_manifests" / "revisions" / digest.replace(":", "/") / "link"

    def size(self, *digests: str) -> int:
        """Bytes of these blobs together, each once."""
        return sum(self.data_path(digest).stat().st_size for digest in set(digests))

    def data_bytes(self) -> int:
        """Bytes of all files called `data`, by a walk of its own: the figure the parts must sum to."""
        return sum(path.stat().st_size for path in self.v2.rglob("data"))

    def link(self, path: Path, digest: str) -> None:
        """A link file."""
        self.write(path, digest.encode())

    def write(self, path: Path, content: bytes) -> None:
        """A file and its directories."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

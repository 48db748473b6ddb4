"""A large registry storage for measurements: the shape of a real one, with layers that take no space (sparse files).

Per image: its own config and manifest, three to seven layers of its own, four from a base shared by its repository,
of which one is shared by several repositories; every eighth push is a two-platform index. Tags move on, so that many
revisions are untagged; some blobs are orphans; some revisions were deleted. Sizes are irregular, so that no sum comes
out right by accident.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from pathlib import Path

_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Storage:
    """Writes a storage tree below `root` until it has about `inodes` entries."""

    def __init__(self, root: Path, inodes: int, seed: int = 7) -> None:
        self._v2 = str(root / "docker" / "registry" / "v2")
        self._inodes = inodes
        self._random = random.Random(seed)
        self._made: set[str] = set()
        self.revisions = 0
        self.entries = 0
        self.data_bytes = 0
        self._bases = [(self._unique(), self._size()) for _ in range(9)]

    def write(self) -> None:
        """Writes the tree: repositories of very different sizes, in namespaces, until the number is reached."""
        number = 0
        while self.entries < self._inodes:
            images = max(1, int(self._random.paretovariate(0.9) * 3))
            self._repository(f"team-{number % 17}/service-{number}", min(images, 1 + self._inodes // 400))
            number += 1
        for _ in range(self.revisions // 20):
            self._blob(self._unique(), self._size())
        for number in range(self._inodes // 20_000):
            self._file(f"repositories/team-0/service-0/_uploads/{number:032x}/startedat", b"2026-01-01T00:00:00Z")
            self._file(f"repositories/team-0/service-0/_uploads/{number:032x}/data", b"x" * (number * 37 + 1))

    def _repository(self, name: str, images: int) -> None:
        base = [self._random.choice(self._bases), *((self._unique(), self._size()) for _ in range(3))]
        for number in range(images):
            if self.entries >= self._inodes:
                return
            if number % 8 == 7:
                children = [self.image(name, base), self.image(name, base)]
                entries = [
                    {"mediaType": _IMAGE, "digest": d, "size": 1000, "platform": {"os": "linux", "architecture": a}}
                    for d, a in zip(children, ("amd64", "arm64"), strict=True)
                ]
                digest = self._manifest(name, {"schemaVersion": 2, "mediaType": _INDEX, "manifests": entries})
            else:
                digest = self.image(name, base)
            tag = "latest" if number % 3 == 0 else f"1.{number}.0"
            self.tag(name, tag, digest)
            if number % 31 == 30:
                link = f"{name}/_manifests/revisions/{digest.replace(':', '/')}/link"
                Path(f"{self._v2}/repositories/{link}").unlink()

    def tag(self, name: str, tag: str, digest: str) -> None:
        """A tag of a repository, pushed once."""
        self._link(f"{name}/_manifests/tags/{tag}/index/{digest.replace(':', '/')}/link", digest)
        self._link(f"{name}/_manifests/tags/{tag}/current/link", digest)

    def image(self, name: str, base: list[tuple[str, int]]) -> str:
        """An image in a repository: these layers and some of its own."""
        layers = base + [(self._unique(), self._size()) for _ in range(self._random.randint(3, 7))]
        for digest, size in layers:
            self._blob(digest, size)
        content = self._config([digest for digest, _ in layers])
        config = self._content(content)
        for digest in (config, *(digest for digest, _ in layers)):
            self._link(f"{name}/_layers/{digest.replace(':', '/')}/link", digest)
        document = {
            "schemaVersion": 2,
            "mediaType": _IMAGE,
            "config": {"mediaType": _CONFIG, "digest": config, "size": len(content)},
            "layers": [{"mediaType": _LAYER, "digest": digest, "size": size} for digest, size in layers],
        }
        return self._manifest(name, document)

    def _config(self, layers: list[str]) -> bytes:
        """A configuration of a few KiB, as builders write them."""
        steps = [
            {"created": "2026-05-03T12:00:00Z", "created_by": f"RUN step {number} {self._random.randbytes(60).hex()}"}
            for number in range(len(layers))
        ]
        labels = {f"com.example.label-{number}": self._random.randbytes(8).hex() for number in range(5)}
        document = {
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-05-03T12:00:00Z",
            "config": {"Env": ["PATH=/usr/bin"], "Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": layers},
            "history": steps,
        }
        return json.dumps(document).encode()

    def _manifest(self, name: str, document: object) -> str:
        digest = self._content(json.dumps(document, indent=2).encode())
        self._link(f"{name}/_manifests/revisions/{digest.replace(':', '/')}/link", digest)
        self.revisions += 1
        return digest

    def _content(self, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        encoded = digest.partition(":")[2]
        self._file(f"blobs/sha256/{encoded[:2]}/{encoded}/data", content)
        return digest

    def _blob(self, digest: str, size: int) -> None:
        encoded = digest.partition(":")[2]
        path = f"blobs/sha256/{encoded[:2]}/{encoded}/data"
        if f"{self._v2}/{path}" not in self._made:
            self._file(path, b"", size)
            self._made.add(f"{self._v2}/{path}")

    def _link(self, path: str, digest: str) -> None:
        self._file(f"repositories/{path}", digest.encode())

    def _file(self, path: str, content: bytes, size: int = 0) -> None:
        self._directory(f"{self._v2}/{path}".rpartition("/")[0])
        fd = os.open(f"{self._v2}/{path}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(fd, content)
        if size:
            os.ftruncate(fd, size)
        os.close(fd)
        self.entries += 1
        if path.endswith("/data"):
            self.data_bytes += max(size, len(content))

    def _directory(self, path: str) -> None:
        if not path or path in self._made:
            return
        self._directory(path.rpartition("/")[0])
        self._made.add(path)
        if not Path(path).is_dir():
            Path(path).mkdir()
            self.entries += 1

    def _unique(self) -> str:
        return f"sha256:{self._random.randbytes(32).hex()}"

    def _size(self) -> int:
        return int(self._random.paretovariate(0.6) * 20_011) % 2_000_000_011

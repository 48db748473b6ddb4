"""The fake registry's state as a storage directory, kept up after each of its answers: a mount that belongs to it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.fake_registry import FakeRegistry
from tests.fake_registry.answers import Answer


class Mirror:
    """Writes what changed since the last look: blobs only ever come, links come and go."""

    def __init__(self, fake: FakeRegistry, root: Path) -> None:
        self.root = root
        self._v2 = root / "docker" / "registry" / "v2"
        (self._v2 / "repositories").mkdir(parents=True)
        (self._v2 / "blobs").mkdir()
        self._fake = fake
        self._blobs: set[str] = set()
        self._links: dict[Path, str] = {}
        self._answered = answered = fake._answer

        def answer(request: object) -> Answer:
            found = answered(request)  # type: ignore[arg-type]  # the fake's own request
            self.follow()
            return found

        fake._answer = answer  # type: ignore[method-assign]
        self.follow()

    def detach(self) -> None:
        """From now on the directory stays as it is, whatever the registry does: a copy of yesterday."""
        self._fake._answer = self._answered  # type: ignore[method-assign]

    def follow(self) -> None:
        """Brings the directory up to the state."""
        state = self._fake.state
        for digest in state.blobs.keys() - self._blobs:
            encoded = digest.partition(":")[2]
            self._write(self._v2 / "blobs" / "sha256" / encoded[:2] / encoded / "data", state.blobs[digest])
            self._blobs.add(digest)
        links: dict[Path, str] = {}
        for name, repository in state.repositories.items():
            base = self._v2 / "repositories" / name
            for digest in repository.layers:
                links[base / "_layers" / digest.replace(":", "/") / "link"] = digest
            for digest in repository.revisions:
                links[base / "_manifests" / "revisions" / digest.replace(":", "/") / "link"] = digest
            for tag, digest in repository.tags.items():
                links[base / "_manifests" / "tags" / tag / "current" / "link"] = digest
                links[base / "_manifests" / "tags" / tag / "index" / digest.replace(":", "/") / "link"] = digest
        for path in self._links.keys() - links.keys():
            path.unlink(missing_ok=True)
            if path.parent.name == "current":
                shutil.rmtree(path.parents[1])
        for path, digest in links.items():
            if self._links.get(path) != digest:
                self._write(path, digest.encode())
        self._links = links

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

"""Pushes the demo through the registry's API: blobs first, then children, then the document under its tags."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from dashboard.registry.client import RegistrySession
from dashboard.registry.references import Digest, RepositoryName

from .content import Interrupt, Push, Remove, events
from .images import Blob, Document

AT_ONCE = 4
"""Blobs uploaded side by side."""


class NotEmpty(Exception):
    """The registry has repositories already: what is there is somebody's, and is not mixed with a demo."""

    def __init__(self, repositories: int) -> None:
        super().__init__(f"the registry has {repositories} repositories")
        self.repositories = repositories


@dataclass(slots=True)
class Filled:
    """What a filling pushed: bytes as sent, each blob once for each repository."""

    repositories: int = 0
    documents: int = 0
    tags: int = 0
    blobs: int = 0
    bytes: int = 0


@dataclass(slots=True)
class _Pushed:
    """What is in the registry by now, so that nothing is sent twice."""

    blobs: set[tuple[RepositoryName, Digest]] = field(default_factory=set)
    documents: set[tuple[RepositoryName, Digest]] = field(default_factory=set)
    result: Filled = field(default_factory=Filled)


def fill(session: RegistrySession, *, force: bool = False, begin: Callable[[str], None] = lambda name: None) -> Filled:
    """Push the whole demo; `begin` hears the name of each repository as it is begun.

    Raises NotEmpty for a registry with repositories unless `force`, and RegistryError.
    """
    if not force and (names := session.repositories().names):
        raise NotEmpty(len(names))
    pushed = _Pushed()
    current = ""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="demo") as pool:
        for event in events():
            if event.repository != current:
                current = event.repository
                pushed.result.repositories += 1
                begin(current)
            match event:
                case Push():
                    _push(session, pool, pushed, event.repository, event.document, event.tags)
                case Remove():
                    session.delete_manifest(event.repository, event.document.digest)
                case Interrupt():
                    session.begin_upload(event.repository, event.content)
    return pushed.result


def _push(
    session: RegistrySession,
    pool: ThreadPoolExecutor,
    pushed: _Pushed,
    repository: RepositoryName,
    document: Document,
    tags: Iterable[str],
) -> None:
    for child in document.children:
        if (repository, child.digest) not in pushed.documents:
            _push(session, pool, pushed, repository, child, ())
    missing = {blob.digest: blob for blob in document.blobs if (repository, blob.digest) not in pushed.blobs}
    for done in [pool.submit(_upload, session, repository, blob) for blob in missing.values()]:
        pushed.result.bytes += done.result()
        pushed.result.blobs += 1
    pushed.blobs.update((repository, digest) for digest in missing)
    references = list(tags)
    for reference in references or [document.digest]:
        session.put_manifest(repository, reference, document.media_type, document.raw)
    pushed.documents.add((repository, document.digest))
    pushed.result.documents += 1
    pushed.result.tags += len(references)


def _upload(session: RegistrySession, repository: RepositoryName, blob: Blob) -> int:
    session.upload_blob(repository, blob.content)
    return len(blob.content)

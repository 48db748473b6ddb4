"""What is well-formed and still does not fit together: tags, manifests and blobs that name something absent.

Every absence is looked at once more, because the registry goes on writing while a scan runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dashboard.registry.references import is_digest

from . import layout
from .facts import Facts, ManifestFacts, Problem, RepositoryFacts
from .garbage import Graph

IsFile = Callable[[str], bool]  # whether there is a file at a path below docker/registry/v2, asked now


def check(is_file: IsFile, facts: Facts, graph: Graph) -> Iterator[Problem]:
    """Problems of references: each path is that of the entry that names what is absent."""
    missing = {digest for digest in graph.absent if not is_digest(digest) or not is_file(layout.blob_data(digest))}
    stored_size = facts.blobs.get
    suspects = set(graph.leading)
    wrong: set[str] = set()
    for digest in graph.doubtful & facts.manifests.keys():
        manifest = facts.manifests[digest]
        pairs = zip(manifest.content, manifest.sizes, strict=False)
        if any(stored_size(blob, size) != size and size >= 0 for blob, size in pairs):
            wrong.add(digest)
        if digest in wrong or not missing.isdisjoint(manifest.content):
            suspects.add(digest)
    for repository in facts.repositories:
        yield from _dangling_tags(is_file, repository)
        for revision in repository.revisions & suspects:
            manifest = facts.manifests[revision]
            yield from _missing_children(is_file, repository, revision, manifest)
            yield from _unservable(is_file, repository, revision, manifest, missing)
            if revision in wrong:  # a blob of another size cannot be what was pushed
                yield Problem("blob-size", _revision_path(repository, revision), len(revision))


def _dangling_tags(is_file: IsFile, repository: RepositoryFacts) -> Iterator[Problem]:
    for tag, digest in repository.tags.items():
        if digest not in repository.revisions and not _exists(is_file, repository, digest):
            yield Problem("tag-points-nowhere", f"{repository.path}/{layout.TAGS}/{tag}/current/link", len(digest))


def _missing_children(
    is_file: IsFile, repository: RepositoryFacts, revision: str, manifest: ManifestFacts
) -> Iterator[Problem]:
    for child in manifest.children:
        if child not in repository.revisions and not (is_digest(child) and _exists(is_file, repository, child)):
            yield Problem("child-missing", _revision_path(repository, revision), len(revision))
            return


def _unservable(
    is_file: IsFile, repository: RepositoryFacts, revision: str, manifest: ManifestFacts, missing: set[str]
) -> Iterator[Problem]:
    """A layer that is not on the disk; or one that is stored by another digest than the manifest names.

    The second kind works until a garbage collection: the collector keeps what manifests name, by the digest they
    name it by, and a layer pushed as sha512 is stored as sha256.
    """
    lacking = missing.intersection(manifest.content).difference(digest for digest, _ in manifest.foreign)
    if not lacking:
        return
    stored_elsewhere = all(
        is_digest(digest) and not digest.startswith("sha256:") and is_file(layout.layer_link(repository.name, digest))
        for digest in lacking
    )
    code = "blob-unprotected" if stored_elsewhere else "blob-missing"
    yield Problem(code, _revision_path(repository, revision), len(revision))


def _exists(is_file: IsFile, repository: RepositoryFacts, digest: str) -> bool:
    return is_file(layout.revision_link(repository.name, digest))


def _revision_path(repository: RepositoryFacts, revision: str) -> str:
    return layout.revision_link(repository.name, revision)

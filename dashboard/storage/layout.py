"""Where things lie in a registry's storage directory: paths to meanings and back.

The layout of Distribution's filesystem driver (2.x and 3.x write the same), below `<root>/docker/registry/v2/`:

    blobs/
      sha256/<aa>/<aa…64 hex>/data                    bytes of a layer, a config or a manifest
    repositories/
      <name>/                                         names nest: team/app may hold team/app/worker
        _layers/sha256/<hex>/link                     this repository may serve that blob
        _manifests/
          revisions/sha256/<hex>/link                 it holds that manifest; no link = deleted
          tags/<tag>/current/link                     what the tag points at now
          tags/<tag>/index/sha256/<hex>/link          what it ever pointed at
        _uploads/<uuid>/data, startedat, hashstates/  an upload, running or abandoned

A link is a text file that holds a digest. Every reserved directory begins with `_`, which no component of a
repository's name can.
"""

from __future__ import annotations

import re
from pathlib import Path

from dashboard.registry.references import MAX_REPOSITORY_LENGTH, is_repository

from .errors import NotAStorage, RootMissing, RootUnreadable

MANIFESTS = "_manifests"
LAYERS = "_layers"
UPLOADS = "_uploads"
TAGS = f"{MANIFESTS}/tags"
REVISIONS = f"{MANIFESTS}/revisions"

_DRIVER_PATH = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*", re.ASCII)
_BELOW_ROOT = ("docker", "registry", "v2")
_HOST_LIKE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?", re.ASCII)


def v2_directory(root: Path) -> Path:
    """The `docker/registry/v2` of a storage: `root` is the directory that holds it, or is it already.

    Raises RootMissing, RootUnreadable or NotAStorage.
    """
    below = root.joinpath(*_BELOW_ROOT)
    try:
        if below.is_dir():
            return below
        if not root.exists():
            raise RootMissing(str(root))
        if root.is_dir() and (root.absolute().parts[-3:] == _BELOW_ROOT or _looks_like_v2(root)):
            return root
        if root.is_dir():
            next(iter(root.iterdir()), None)
    except OSError as error:
        raise RootUnreadable(str(root), error.strerror or "") from error
    raise NotAStorage(str(root))


def _looks_like_v2(directory: Path) -> bool:
    return (directory / "blobs").is_dir() and (directory / "repositories").is_dir()


def blob_data(digest: str) -> str:
    """Path of a blob's bytes, below v2."""
    algorithm, _, encoded = digest.partition(":")
    return f"blobs/{algorithm}/{encoded[:2]}/{encoded}/data"


def repository(name: str) -> str:
    """Path of a repository's directory, below v2."""
    return f"repositories/{name}"


def revision_link(name: str, digest: str) -> str:
    """Path of the link that says that a repository holds a manifest, below v2."""
    return f"repositories/{name}/{REVISIONS}/{digest.replace(':', '/', 1)}/link"


def tag_link(name: str, tag: str) -> str:
    """Path of the link that says what a tag points at now, below v2."""
    return f"repositories/{name}/{TAGS}/{tag}/current/link"


def layer_link(name: str, digest: str) -> str:
    """Path of the link that lets a repository serve a layer or config, below v2.

    A blob pushed as sha512 has its link under that digest, and the link's text is the sha256 digest it is stored by.
    """
    return f"repositories/{name}/{LAYERS}/{digest.replace(':', '/', 1)}/link"


def is_driver_path(path: str) -> bool:
    """Whether the registry's storage driver opens a file at `path`, below v2; at any other it ends with an error.

    Read in Distribution 2.8.2 and 3.1.1, registry/storage/driver/storagedriver.go (PathRegexp).
    """
    return bool(_DRIVER_PATH.fullmatch(path))


def is_repository_name(name: str) -> bool:
    """Whether Distribution accepts `name`: the OCI grammar, or with a host-like first component (`Host.example/x`).

    Distribution serves and collects the second kind as any other, so the accounting must count it.
    """
    if is_repository(name):
        return True
    first, slash, rest = name.partition("/")
    return (
        bool(slash) and len(name) <= MAX_REPOSITORY_LENGTH and bool(_HOST_LIKE.fullmatch(first)) and is_repository(rest)
    )

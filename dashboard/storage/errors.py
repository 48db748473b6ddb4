"""What can be wrong with a storage as a whole: one tree.

    StorageError
    ├── RootMissing       nothing is at that path
    ├── RootUnreadable    it is there and may not be read (permissions, input/output error)
    ├── NotAStorage       a directory (or file) that holds no docker/registry/v2
    ├── AddressMalformed  no address of a bucket
    ├── ClientMissing     the client of object storage is not installed
    ├── BucketEmpty       a bucket that holds no docker/registry/v2
    ├── BucketUnreadable  a bucket does not answer, or refuses
    └── ContentError      one thing in it cannot be read
        ├── LinkMissing   a link file is not there
        ├── LinkCorrupt   a link file holds no digest
        ├── BlobMissing   a blob is not on the disk
        └── NotReadable   not a regular file, larger than its bound, or an input/output error

Every error has a stable `code` (for translation and tests) and `parameters`; `str()` is English, for logs and the
command line. Single bad entries found by a scan are no errors but `facts.Problem`s: a scan goes on.
"""

from __future__ import annotations

from typing import ClassVar

from .files import printable


class StorageError(Exception):
    """The root. `path` is what was read; `reason` the system's word for why it failed, or empty."""

    code: ClassVar[str] = "storage-error"
    sentence: ClassVar[str] = "The storage at {path} cannot be used."

    def __init__(self, path: str, reason: str = "") -> None:
        super().__init__(path, reason)
        self.path = printable(path)
        self.reason = reason

    @property
    def parameters(self) -> dict[str, str]:
        """What the sentence for a person may name."""
        return {"path": self.path, "reason": self.reason}

    def __str__(self) -> str:
        text = self.sentence.format(path=self.path)
        return f"{text[:-1]}: {self.reason}." if self.reason else text


class RootMissing(StorageError):
    code = "storage-root-missing"
    sentence = "There is no directory {path}."


class RootUnreadable(StorageError):
    code = "storage-root-unreadable"
    sentence = "The storage directory {path} cannot be read."


class NotAStorage(StorageError):
    code = "storage-not-a-registry"
    sentence = "{path} is not a registry's storage: it holds no docker/registry/v2."


class AddressMalformed(StorageError):
    code = "storage-address"
    sentence = "{path} is not an address such as s3://bucket/prefix."


class ClientMissing(StorageError):
    code = "storage-client-missing"
    sentence = "{path} needs the client of object storage: pip install --require-hashes -r requirements-s3.txt."


class BucketEmpty(StorageError):
    code = "storage-bucket-empty"
    sentence = "{path} is not a registry's storage: it holds no docker/registry/v2."


class BucketUnreadable(StorageError):
    code = "storage-bucket-unreadable"
    sentence = "{path} cannot be read."


class ContentError(StorageError):
    code = "storage-content"
    sentence = "{path} cannot be read."


class LinkMissing(ContentError):
    code = "storage-link-missing"
    sentence = "There is no link at {path}."


class LinkCorrupt(ContentError):
    code = "storage-link-corrupt"
    sentence = "The link at {path} holds no digest."


class BlobMissing(ContentError):
    code = "storage-blob-missing"
    sentence = "The blob {path} is not on the disk."


class NotReadable(ContentError):
    code = "storage-not-readable"


class Cancelled(Exception):
    """A scan was stopped by its `cancelled` check; nothing was measured."""

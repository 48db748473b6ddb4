"""An S3 bucket as a registry's storage: where it is, what it lists, its objects by key.

The client is obstore, an optional extra (docs/adr/0001-object-storage-client.md). Credentials come from the environment
of the process alone, by the names that every tool of AWS uses (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_SESSION_TOKEN), from a web identity or container role, or from the role of the machine. Nothing is written.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from .errors import AddressMalformed, BucketUnreadable, ClientMissing
from .files import OverBound

try:
    import obstore
    from obstore.exceptions import BaseError, InvalidPathError, PermissionDeniedError, UnauthenticatedError
    from obstore.store import S3Store
except ImportError:  # the extra is not installed: `Bucket` says so
    HAS_CLIENT = False
else:
    HAS_CLIENT = True

if TYPE_CHECKING:
    from obstore import ObjectMeta

SCHEME = "s3://"
PAGE = 1000  # keys in an answer; S3 gives no more
CONNECT_SECONDS = 5
REQUEST_SECONDS = 30
RETRIES = 3
RETRY_SECONDS = 60

_BELOW_PREFIX = "docker/registry/v2"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]", re.ASCII)
_PREFIX = re.compile(r"[^/\x00-\x20\x7f?#\\]+(?:/[^/\x00-\x20\x7f?#\\]+)*")
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_WITHOUT_CREDENTIAL = re.compile(r"169\.254\.|/latest/(?:api|meta-data)|credential", re.IGNORECASE)


class KeyRefused(Exception):
    """Below a prefix lies a key that the client cannot name (an empty or dot component, a control character)."""


class Entry(NamedTuple):
    """An object: its key below docker/registry/v2, bytes, seconds since the epoch, and what S3 says of its content.

    `tag` is the ETag without quotes: for an object written in one request the MD5 of its bytes, else something opaque.
    """

    key: str
    size: int
    modified: float
    tag: str


@dataclass(frozen=True, slots=True)
class Address:
    """A bucket, and what stands before docker/registry/v2 in its keys (without slashes around it; may be empty)."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")


def parse_address(text: str) -> Address:
    """What `s3://bucket/prefix` names. Raises AddressMalformed."""
    try:
        parts = urlsplit(text if text.isprintable() else "")  # it would take line breaks out of what it is given
    except ValueError as error:
        raise AddressMalformed(text[:200]) from error
    prefix = parts.path.strip("/")
    if prefix == _BELOW_PREFIX or prefix.endswith(f"/{_BELOW_PREFIX}"):
        prefix = prefix[: -len(_BELOW_PREFIX)].rstrip("/")
    legible = not prefix or (_PREFIX.fullmatch(prefix) and not {".", ".."} & set(prefix.split("/")))
    if parts.scheme != "s3" or parts.query or parts.fragment or not _BUCKET.fullmatch(parts.netloc) or not legible:
        # What stands before an @ may be a password that somebody took for a part of the address.
        raise AddressMalformed("s3://…" if "@" in text else text[:200])
    return Address(parts.netloc, prefix)


def is_address(text: str) -> bool:
    """Whether `text` names a bucket as `parse_address` reads it."""
    try:
        parse_address(text)
    except AddressMalformed:
        return False
    return True


@dataclass(frozen=True)
class Bucket:
    """The storage at `url` (`s3://bucket/prefix`). Keys are below docker/registry/v2. Safe to use from many threads.

    `endpoint` is that of an S3 other than Amazon's; empty: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or Amazon's by
    AWS_REGION. An endpoint is asked with the bucket in the path, as the registry's `forcepathstyle` does. Every request
    has a timeout and is repeated where the server fails. Raises AddressMalformed, ClientMissing.
    """

    url: str
    endpoint: str = ""
    address: Address = field(init=False)
    _store: S3Store = field(init=False, repr=False)

    def __post_init__(self) -> None:
        address = parse_address(self.url)
        if not HAS_CLIENT:
            raise ClientMissing(str(address))
        object.__setattr__(self, "address", address)
        authority = os.environ.get("AWS_CA_BUNDLE", "")
        endpoint = self.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        try:
            store = S3Store(
                address.bucket,
                prefix="/".join(part for part in (address.prefix, _BELOW_PREFIX) if part),
                client_options={
                    **({"root_certificate": Path(authority).read_bytes()} if authority else {}),
                    "connect_timeout": dt.timedelta(seconds=CONNECT_SECONDS),
                    "timeout": dt.timedelta(seconds=REQUEST_SECONDS),
                    "allow_http": endpoint.startswith("http://"),
                },
                retry_config={"max_retries": RETRIES, "retry_timeout": dt.timedelta(seconds=RETRY_SECONDS)},
                config={"endpoint": endpoint, "virtual_hosted_style_request": False} if endpoint else {},
            )
        except OSError:
            raise BucketUnreadable(str(address), "AWS_CA_BUNDLE cannot be read") from None
        except (BaseError, ValueError) as error:
            raise BucketUnreadable(str(address), _reason(error)) from None
        object.__setattr__(self, "_store", store)

    def __str__(self) -> str:
        return str(self.address)

    def pages(self, below: str, after: str = "") -> Iterator[list[Entry]]:
        """All objects below `below` (a path without slash at its end) by key, beyond `after` if given, by the page.

        Raises KeyRefused, BucketUnreadable.
        """
        try:
            for page in obstore.list(self._store, prefix=below, offset=after or None, chunk_size=PAGE):
                yield [_entry(each) for each in page]
        except InvalidPathError as error:
            raise KeyRefused(below) from error
        except (BaseError, OSError) as error:
            raise BucketUnreadable(str(self), _reason(error)) from None

    def children(self, below: str) -> tuple[list[str], list[Entry]]:
        """The names of what would be directories in `below`, and the objects that lie in it by themselves.

        Raises KeyRefused, BucketUnreadable.
        """
        try:
            found = obstore.list_with_delimiter(self._store, prefix=below or None)
        except InvalidPathError as error:
            raise KeyRefused(below) from error
        except (BaseError, OSError) as error:
            raise BucketUnreadable(str(self), _reason(error)) from None
        return [path.rpartition("/")[2] for path in found["common_prefixes"]], [_entry(e) for e in found["objects"]]

    def read(self, key: str, limit: int) -> bytes:
        """The bytes of an object, at most `limit`.

        Raises FileNotFoundError, OverBound, PermissionError, BucketUnreadable.
        """
        try:
            answer = obstore.get(self._store, key)
            content = bytes(answer.bytes()) if answer.meta["size"] <= limit else None
        except FileNotFoundError:
            raise
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise PermissionError(_reason(error)) from None
        except (BaseError, OSError) as error:
            raise BucketUnreadable(str(self), _reason(error)) from None
        if content is None:
            raise OverBound(key)
        return content

    def has(self, key: str) -> bool:
        """Whether there is an object of that key, asked now. Raises BucketUnreadable."""
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        except (BaseError, OSError) as error:
            raise BucketUnreadable(str(self), _reason(error)) from None
        return True


def _entry(meta: ObjectMeta) -> Entry:
    return Entry(meta["path"], meta["size"], meta["last_modified"].timestamp(), (meta["e_tag"] or "").strip('"'))


def _reason(error: Exception) -> str:
    """Why, in a few words of ours: what the client says holds addresses, and what S3 says may repeat an access key."""
    text = str(error)
    code, status = _CODE.search(text), _STATUS.search(text)
    if _WITHOUT_CREDENTIAL.search(text) and not code:
        return "no credential: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
    if code:
        return code[1]
    if status and int(status[1]) in set(HTTPStatus):
        return f"{status[1]} {HTTPStatus(int(status[1])).phrase}"
    if "timed out" in text or "timeout" in text.lower().split("retry_timeout")[0]:
        return "no answer in time"
    return "no connection" if "Connect" in text or "sending request" in text else type(error).__name__

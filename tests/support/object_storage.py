"""An S3 server on loopback (moto), and directories copied into its buckets.

It runs in the test's own process, so that a bucket is filled without a request for each object, and with the ages that
the files have. Clients speak to it over HTTP as to any other.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

REGION = "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "made-up-for-tests",
    "AWS_SECRET_ACCESS_KEY": "made-up-secret-for-tests",
    "AWS_REGION": REGION,
}
_numbers = itertools.count(1)


class ObjectStorage:
    """The running server. Its objects are those of this process."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def bucket(self) -> str:
        """A new bucket's name."""
        name = f"registry-{next(_numbers)}"
        self._backend.create_bucket(name, REGION)
        return name

    def put(self, bucket: str, key: str, content: bytes, modified: float | None = None) -> None:
        """An object, last written at `modified` (seconds since the epoch)."""
        stored = self._backend.put_object(bucket, key, content)
        if modified is not None:
            stored.last_modified = dt.datetime.fromtimestamp(modified, dt.UTC).replace(tzinfo=None)

    def remove(self, bucket: str, key: str) -> None:
        """Takes an object away."""
        self._backend.delete_object(bucket, key)

    def copy(self, root: Path, bucket: str, prefix: str = "") -> None:
        """All files below `root`, as a registry would have written them there."""
        for path in sorted(root.rglob("*")):
            if path.is_file():
                key = "/".join(part for part in (prefix, path.relative_to(root).as_posix()) if part)
                self.put(bucket, key, path.read_bytes(), path.stat().st_mtime)

    def keys(self, bucket: str) -> dict[str, int]:
        """Every key of a bucket and its bytes, plainly."""
        return {key: stored.size for key, stored in self._backend.get_bucket(bucket).keys.items()}


@contextmanager
def object_storage() -> Iterator[ObjectStorage]:
    """The server, and the credentials for it in the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    proxies = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
    with patch.dict(os.environ, CREDENTIALS | proxies):
        server.start()
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for each request
        try:
            host, port = server.get_host_and_port()
            yield ObjectStorage(f"http://{host}:{port}")
        finally:
            server.stop()

"""Uploads and mounts. `_state` says how much the registry had: 2.8 takes no other, 3.x tells where the upload stands.

2.8 never looks at a Content-Range; 3.x wants one that begins where the upload ends, in the form "0-4".
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from dashboard.registry.references import digest_of, is_digest, matches

from .answers import Answer, Dialect, empty
from .requests import Request, UnknownRequest
from .state import State


@dataclass
class Uploads:
    """Everything below `blobs/uploads/`."""

    state: State
    dialect: Dialect

    @property
    def is_old(self) -> bool:
        """Whether this is 2.8."""
        return self.dialect.version == "2.8"

    def begin(self, request: Request, name: str) -> Answer:
        """POST: an upload, or a mount."""
        digest, source = request.parameter("mount"), request.parameter("from")
        if digest and source and self.state.mount(name, digest, source):
            return self._stored(request, name, digest)
        return self._goes_on(request, name, self.state.begin_upload(name), 202)

    def answer(self, request: Request, name: str, uuid: str) -> Answer:
        """What becomes of an upload. Raises UnknownRequest."""
        uploads = self.state.known(name).uploads
        refusal = self._refusal(request, name, uuid)
        if refusal is not None:
            return refusal
        if request.reads:
            return self._goes_on(request, name, uuid, 204)
        if request.method == "DELETE":
            del uploads[uuid]
            return Answer(204, b"", {"Docker-Upload-Uuid": uuid})
        if request.method == "PATCH":
            wrong = self._wrong_range(request, len(uploads[uuid]))
            if wrong is not None:
                return wrong
            uploads[uuid] += request.body
            return self._goes_on(request, name, uuid, 202)
        if request.method == "PUT":
            return self._finish(request, name, uuid)
        raise UnknownRequest

    def _refusal(self, request: Request, name: str, uuid: str) -> Answer | None:
        uploads = self.state.known(name).uploads
        size = _size_of(request.parameter("_state"), name, uuid)
        if size is None and (self.is_old or not request.reads):
            return self.dialect.error(404, "BLOB_UPLOAD_INVALID")
        if uuid not in uploads:
            return self.dialect.error(404, "BLOB_UPLOAD_UNKNOWN")
        if size != len(uploads[uuid]):
            if self.is_old:
                return self.dialect.error(404, "BLOB_UPLOAD_INVALID")
            if not request.reads:
                return self.dialect.error(416, "RANGE_INVALID")
        return None

    def _wrong_range(self, request: Request, size: int) -> Answer | None:
        given = request.headers.get("content-range", "")
        if self.is_old or not given:
            return None
        match = re.fullmatch(r"([0-9]+)-([0-9]+)", given)
        if match is None:
            return self.dialect.error(500, "UNKNOWN", detail="invalid content range format")
        first, last = int(match[1]), int(match[2])
        if first != size or last < first:
            return self.dialect.error(416, "RANGE_INVALID")
        if last - first + 1 != len(request.body):
            return self.dialect.error(400, "SIZE_INVALID")
        return None

    def _finish(self, request: Request, name: str, uuid: str) -> Answer:
        uploads, digest = self.state.known(name).uploads, request.parameter("digest")
        if not is_digest(digest):
            return self.dialect.error(400, "DIGEST_INVALID", detail="digest missing")
        uploads[uuid] += request.body
        if not matches(digest, uploads[uuid]):  # type: ignore[arg-type]
            return self.dialect.error(400, "DIGEST_INVALID")
        content = uploads.pop(uuid)
        self.state.add_blob(name, content, digest)
        return self._stored(request, name, digest_of(content))

    def _stored(self, request: Request, name: str, digest: str) -> Answer:
        return empty(201, Location=f"{request.origin}/v2/{name}/blobs/{digest}", Docker_Content_Digest=digest)

    def _goes_on(self, request: Request, name: str, uuid: str, status: int) -> Answer:
        size = len(self.state.known(name).uploads[uuid])
        return empty(
            status,
            Location=f"{request.origin}/v2/{name}/blobs/uploads/{uuid}?_state={_state(name, uuid, size)}",
            Docker_Upload_UUID=uuid,
            Range=f"0-{max(size - 1, 0)}",
        )


def _state(name: str, uuid: str, size: int) -> str:
    return base64.urlsafe_b64encode(f"{name} {uuid} {size}".encode()).decode()


def _size_of(state: str, name: str, uuid: str) -> int | None:
    """How much the registry had when it said this; None if it never did, or of another upload."""
    try:
        said = base64.urlsafe_b64decode(state).decode().split(" ")
    except ValueError:
        return None
    return int(said[2]) if said[:2] == [name, uuid] else None

"""The registry API over the state: one function per kind of request, answers as the real ones give them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from dashboard.registry import media_types
from dashboard.registry.references import digest_of, is_digest, is_repository, parse_tag

from . import catalog
from .answers import Answer, Dialect, empty, text
from .blobs import Blobs
from .requests import Request, UnknownRequest
from .state import State
from .uploads import Uploads

MAX_CATALOG = 1000
DEFAULT_CATALOG = 100
MAX_MANIFEST = 4 * 1024 * 1024
_STORED_TYPES = media_types.INDEX_TYPES | media_types.MANIFEST_TYPES
_NAMED = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags|referrers)/(?P<rest>.+)")
NOT_FOUND = text(404, "404 page not found")
MISSING = NOT_FOUND


@dataclass
class Routes:
    """A registry of one version with its switches."""

    state: State
    dialect: Dialect
    delete: bool = True
    readonly: bool = False
    deletes_tags_although_disabled: bool = False

    @property
    def is_old(self) -> bool:
        """Whether this is 2.8."""
        return self.dialect.version == "2.8"

    def answer(self, request: Request) -> Answer:
        """The answer. Raises UnknownRequest, catalog.BrokenOff."""
        if request.path == "/v2/":
            return self.dialect.document({})
        if request.path == "/v2":
            return empty(301, Location="/v2/")
        if request.path == "/v2/_catalog":
            return self._catalog(request)
        match = _NAMED.fullmatch(request.path)
        if match is None or not is_repository(match["name"]) or match["kind"] == "referrers":
            return NOT_FOUND
        if self.readonly and not request.reads:
            return text(405, "Method not allowed", Allow="GET, HEAD")
        handler = {"manifests": self._manifest, "tags": self._tags, "blobs": self._blob}[match["kind"]]
        return handler(request, match["name"], match["rest"])

    # Lists

    def _catalog(self, request: Request) -> Answer:
        if request.method != "GET":
            raise UnknownRequest
        given = request.parameter("n")
        size = int(given) if re.fullmatch(r"-?[0-9]+", given) else None
        if given and (size is None or size < 0) and self.is_old:
            size = None
        elif given and (size is None or not 0 <= size <= MAX_CATALOG):
            return self.dialect.error(
                400, "PAGINATION_NUMBER_INVALID", detail={"n": size if size is not None else given}
            )
        elif size is not None and size > MAX_CATALOG:
            return self.dialect.error(400, "PAGINATION_NUMBER_INVALID", detail={"n": size})
        if size == 0:
            return self.dialect.document({"repositories": []})
        size = size or DEFAULT_CATALOG
        page = catalog.page(self._listed(), request.parameter("last"), size, self.dialect.version)
        answer = self.dialect.document({"repositories": page.names})
        if not page.more:
            return answer
        query = urlencode({"last": page.names[-1] if page.names else "", "n": size})
        return answer.with_headers(Link=f'</v2/_catalog?{query}>; rel="next"')

    def _listed(self) -> list[str]:
        """2.8 lists what has layers, 3.x what has manifests."""
        return [
            name
            for name, repository in self.state.repositories.items()
            if (repository.has_layers if self.is_old else repository.has_manifests)
        ]

    def _tags(self, request: Request, name: str, rest: str) -> Answer:
        if rest != "list" or request.method != "GET":
            raise UnknownRequest
        repository = self.state.known(name)
        if not repository.has_tags:
            return self.dialect.error(404, "NAME_UNKNOWN", detail={"name": name})
        if self.is_old:
            return self.dialect.document({"name": name, "tags": list(repository.tags) or None})
        given, last = request.parameter("n"), request.parameter("last")
        if given and not given.isdigit():
            return self.dialect.error(400, "PAGINATION_NUMBER_INVALID", detail={"n": given})
        tags = [tag for tag in sorted(repository.tags) if tag > last]
        size = min(int(given), 1000) if given else None
        page = tags[:size] if size is not None else tags
        answer = self.dialect.document({"name": name, "tags": page or None})
        if size and len(page) == size:
            query = urlencode({"last": page[-1], "n": size})
            return answer.with_headers(Link=f'</v2/{name}/tags/list?{query}>; rel="next"')
        return answer

    # Manifests

    def _manifest(self, request: Request, name: str, reference: str) -> Answer:
        if not is_digest(reference) and (":" in reference or not _is_tag(reference)):
            return NOT_FOUND
        if request.reads:
            return self._get_manifest(request, name, reference)
        if request.method == "PUT":
            return self._put_manifest(request, name, reference)
        if request.method == "DELETE":
            return self._delete_manifest(name, reference)
        raise UnknownRequest

    def _get_manifest(self, request: Request, name: str, reference: str) -> Answer:
        accepted = {media_types.bare(part) for part in request.headers.get("accept", "").split(",")}
        if not accepted >= _STORED_TYPES:
            raise UnknownRequest  # a registry would convert, or find nothing: nothing here relies on that
        repository = self.state.known(name)
        digest = reference if is_digest(reference) else repository.tags.get(reference, "")
        if not digest:
            return self.dialect.error(
                404, "MANIFEST_UNKNOWN", detail=f"unknown tag={reference}", old_detail={"Tag": reference}
            )
        if request.headers.get("if-none-match", "").strip('"') == digest:
            return Answer(304, b"", {"Etag": f'"{digest}"'})
        if digest in repository.layers and digest not in repository.revisions and self.is_old:
            return self.dialect.error(500, "UNKNOWN", detail={})
        if digest not in repository.revisions:
            return self.dialect.error(
                404,
                "MANIFEST_UNKNOWN",
                detail=f"unknown manifest name={name} revision={digest}",
                old_detail={"Name": name, "Revision": digest},
            )
        headers = {
            "Content-Type": repository.revisions[digest],
            "Docker-Content-Digest": digest,
            "Etag": f'"{digest}"',
        }
        return Answer(200, self.state.blobs[digest], headers)

    def _put_manifest(self, request: Request, name: str, reference: str) -> Answer:
        media_type = media_types.bare(request.headers.get("content-type", ""))
        if len(request.body) > MAX_MANIFEST:
            return self.dialect.error(400, "MANIFEST_INVALID", detail="http: request body too large", old_detail={})
        document = _object(request.body)
        if media_type not in _STORED_TYPES or document.get("mediaType", media_type) != media_type:
            return self.dialect.error(400, "MANIFEST_INVALID", detail="unsupported media type", old_detail={})
        digest = digest_of(request.body)
        if is_digest(reference) and reference != digest:
            return self.dialect.error(400, "DIGEST_INVALID")
        missing = self._missing(name, media_type, document)
        if missing:
            return self.dialect.errors(400, [("MANIFEST_BLOB_UNKNOWN", entry) for entry in missing])
        tag = "" if is_digest(reference) else reference
        self.state.add_manifest(name, digest, media_type, request.body, tag)
        location = f"{request.origin}/v2/{name}/manifests/{digest}"
        return empty(201, Location=location, Docker_Content_Digest=digest)

    def _missing(self, name: str, media_type: str, document: Mapping[str, Any]) -> list[str]:
        if media_type in media_types.INDEX_TYPES:
            wanted, is_index = document.get("manifests", []), True
        else:
            wanted, is_index = [document.get("config", {}), *(document.get("layers") or [])], False
        digests = dict.fromkeys(entry["digest"] for entry in wanted if not entry.get("urls"))
        if is_index:
            return [digest for digest in digests if digest not in self.state.known(name).revisions]
        return [digest for digest in digests if self.state.held(name, digest) is None]

    def _delete_manifest(self, name: str, reference: str) -> Answer:
        if not self.delete and not (self.deletes_tags_although_disabled and not is_digest(reference)):
            return self.dialect.error(405, "UNSUPPORTED")
        repository = self.state.known(name)
        if is_digest(reference):
            if self.state.remove_manifest(name, reference):
                return empty(202)
            if self.is_old and reference in repository.layers:
                repository.layers.discard(reference)
                return empty(202)
            return self.dialect.error(404, "MANIFEST_UNKNOWN")
        if self.is_old:
            return self.dialect.error(400, "DIGEST_INVALID", detail={})
        if repository.tags.pop(reference, None) is None:
            return self.dialect.error(404, "MANIFEST_UNKNOWN", detail=f"unknown tag={reference}")
        return empty(202)

    # Blobs and uploads

    def _blob(self, request: Request, name: str, rest: str) -> Answer:
        uploads = Uploads(self.state, self.dialect)
        if rest == "uploads/" and request.method == "POST":
            return uploads.begin(request, name)
        if rest.startswith("uploads/"):
            return uploads.answer(request, name, rest.removeprefix("uploads/"))
        return Blobs(self.state, self.dialect).answer(request, name, rest)


def _is_tag(text_: str) -> bool:
    try:
        parse_tag(text_)
    except ValueError:
        return False
    return True


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(raw)
    except ValueError:
        return {"mediaType": "invalid"}
    return document if isinstance(document, dict) else {"mediaType": "invalid"}

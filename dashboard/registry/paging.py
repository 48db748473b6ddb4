"""Lists that come in pages: the catalog and tags, with the registries' own paging defects guarded against.

From a `Link` only `last` and `n` are taken. A list ends where no Link comes; a page that brings nothing new ends
it too, and is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from . import errors
from .exchange import Call, Exchange
from .references import RepositoryName
from .results import Catalog
from .wire import WireError, parse_names, parse_next

CATALOG_PAGE = 1000
OTHER_CATALOG_PAGES = (997, 499, 100)
MAX_PAGES = 1000
MAX_NAMES = 1_000_000


@dataclass(frozen=True, slots=True)
class _Page:
    names: tuple[str, ...]
    last: str | None
    n: int | None


def repositories(exchange: Exchange) -> Catalog:
    """All repository names the registry lists. Raises RegistryError."""
    found: dict[str, None] = {}
    last, n = "", CATALOG_PAGE
    for _ in range(MAX_PAGES):
        page, n = _catalog_page(exchange, last, n)
        before = len(found)
        found.update(dict.fromkeys(page.names))
        if page.last is None:
            if n and len(page.names) >= n:
                # 2.8 forgets the Link where a page ends between `a/1` and `a`: ask whether that was the end.
                page = _Page(page.names, page.names[-1], n)
            else:
                return Catalog(tuple(found))
        elif len(found) == before:
            return Catalog(tuple(found), complete=False)
        if page.last == last or len(found) > MAX_NAMES:
            return Catalog(tuple(found), complete=page.last == last and not page.names)
        last, n = page.last or "", page.n or n
    return Catalog(tuple(found), complete=False)


def _catalog_page(exchange: Exchange, last: str, n: int) -> tuple[_Page, int]:
    """One page and the page size it came with: 0 where the registry wants to choose it."""
    try:
        return _page(exchange, _catalog_call(last, n), "repositories"), n
    except errors.Rejected as error:
        if not n or not any(d.code == "PAGINATION_NUMBER_INVALID" for d in error.diagnostics):
            raise
        return _page(exchange, _catalog_call(last, 0), "repositories"), 0
    except errors.ConnectionFailed:
        if not last:
            raise
    # 3.x breaks off where a page ends between `a/1` and `a`: another page size ends elsewhere.
    failure: errors.RegistryError | None = None
    for other in OTHER_CATALOG_PAGES:
        try:
            return _page(exchange, _catalog_call(last, other), "repositories"), other
        except errors.ConnectionFailed as error:
            failure = error
    raise failure or AssertionError


def _catalog_call(last: str, n: int) -> Call:
    query = ({"n": str(n)} if n else {}) | ({"last": last} if last else {})
    path = "/v2/_catalog" + ("?" + urlencode(query) if query else "")
    return Call("repositories", "GET", path, ("registry:catalog:*",), slow=True)


def tags(exchange: Exchange, repository: RepositoryName) -> tuple[str, ...]:
    """All tags the registry lists, in its order, each once. Raises RepositoryUnknown and other RegistryErrors."""
    found: dict[str, None] = {}
    query: dict[str, str] = {}
    for _ in range(MAX_PAGES):
        path = f"/v2/{repository}/tags/list" + ("?" + urlencode(query) if query else "")
        scopes = (f"repository:{repository}:pull",)
        missing = errors.RepositoryUnknown
        call = Call("tags", "GET", path, scopes, subject=repository, slow=True, missing=missing)
        page = _page(exchange, call, "tags")
        before = len(found)
        found.update(dict.fromkeys(page.names))
        if page.last is None or len(found) == before:
            return tuple(found)
        query = {"last": page.last} | ({"n": str(page.n)} if page.n else {})
    raise exchange.error(call, errors.TooLarge, limit=MAX_PAGES, reason="more pages than can be read")


def _page(exchange: Exchange, call: Call, key: str) -> _Page:
    answer = exchange.ask(call)
    try:
        names = parse_names(answer.body, answer.content_type, key)
    except WireError as error:
        raise exchange.error(call, errors.Malformed, status=answer.status, reason=str(error)) from error
    following = parse_next(answer.links)
    if following is None:
        return _Page(names, None, None)
    return _Page(names, following.last or (names[-1] if names else None), following.n)

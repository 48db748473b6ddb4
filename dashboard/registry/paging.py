"""Lists that come in pages: the catalog and tags, with the registries' own paging defects guarded against.

From a `Link` only `last` and `n` are taken. A list ends where no Link comes; a page that brings nothing new ends
it too, and is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from . import errors
from ._http import BROKEN_OFF
from .calls import Call
from .exchange import Exchange
from .references import RepositoryName, is_repository
from .results import Catalog
from .wire import WireError, parse_names, parse_next

CATALOG_PAGE = 1000
MAX_PAGES = 1000
MAX_NAMES = 1_000_000


@dataclass(frozen=True, slots=True)
class _Page:
    names: tuple[str, ...]
    last: str | None
    n: int | None


def repositories(exchange: Exchange, page_size: int = CATALOG_PAGE) -> Catalog:
    """All repository names the registry lists. Raises RegistryError.

    Distribution walks its directories, where `a/1` comes before `a` (its own directory is `_layers`, and digits sort
    before `_`), but goes on after `last` by another order, in which `a` comes first. A page that ends between the two
    loses `a`; on 2.8 it has no Link besides. So a page is only left at a name that cannot do this, a full page without
    a Link is not believed, and what may still be lost is asked for by name.
    """
    found: dict[str, None] = {}
    doubtful: dict[str, None] = {}
    complete = False
    last, n = "", page_size
    for _ in range(MAX_PAGES):
        page, asked = _catalog_page(exchange, last, n)
        before = len(found)
        found.update(dict.fromkeys(page.names))
        following = page.last
        if following is None and asked and len(page.names) >= asked:
            following = page.names[-1]
        if following is None or len(found) == before:
            complete = page.last is None
            break
        if page.names and following == page.names[-1]:
            following, lost = _boundary(page.names, found, last)
            doubtful.update(lost)
        if following == last or len(found) > MAX_NAMES:
            break
        last, n = following, n if asked else page.n or 0
    for name in doubtful.keys() - found.keys():
        try:
            tags(exchange, RepositoryName(name))
            found[name] = None
        except errors.RepositoryUnknown:
            continue
        except (errors.Unauthorized, errors.Forbidden, errors.BadAnswer):
            complete = False
    return Catalog(tuple(found), complete)


def _boundary(names: tuple[str, ...], found: dict[str, None], last: str) -> tuple[str, dict[str, None]]:
    """The last name of a page after which nothing is lost; else its last name, and what is lost after that."""
    for name in reversed(names):
        if name == last:
            break
        if not _later_parents(name, found):
            return name, {}
    return names[-1], _later_parents(names[-1], found)


def _later_parents(name: str, found: dict[str, None]) -> dict[str, None]:
    """Those parents of `name` that Distribution would list after it, if they are repositories."""
    components = name.split("/")
    parents = {"/".join(components[:i]): None for i in range(1, len(components)) if components[i][:1] < "_"}
    return {parent: None for parent in parents if is_repository(parent) and parent not in found}


def _catalog_page(exchange: Exchange, last: str, n: int) -> tuple[_Page, int]:
    """One page and the page size it came with: 0 where the registry wants to choose it."""
    try:
        return _page(exchange, _catalog_call(last, n), "repositories"), n
    except errors.Rejected as error:
        if not n or not any(d.code == "PAGINATION_NUMBER_INVALID" for d in error.diagnostics):
            raise
        return _page(exchange, _catalog_call(last, 0), "repositories"), 0
    except errors.ConnectionFailed as error:
        if error.reason != BROKEN_OFF or not n:
            raise
        failure = error
    # 3.x breaks off without an answer where a page ends between `a/1` and `a`: another page size ends elsewhere.
    for other in sorted({n - 1, n // 2, n // 10} - {0}, reverse=True):
        try:
            return _page(exchange, _catalog_call(last, other), "repositories"), other
        except errors.ConnectionFailed as error:
            failure = error
    raise failure


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

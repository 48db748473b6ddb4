"""Browsing: repositories and tags as a person may see them, read from the registry for the rows on one page.

A page costs one list and parallel requests for its rows; what is immutable by digest comes from our table. A row that
could not be read carries its error, and the page lives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dashboard.registry.errors import RegistryError, RepositoryUnknown
from dashboard.registry.references import (
    Digest,
    RepositoryName,
    is_repository,
    is_tag,
    namespace_of,
)

from . import access as gate
from . import parallel
from .access import Access
from .images import Image, read_images
from .ordering import NaturalKey, natural_key

PAGE_SIZE = 50
RESOLVED_WHOLE = 50
"""Repositories of at most so many tags are resolved whole, so that aliases are known."""
MAX_CHECKED = 400
"""Names checked for one page of a registry that decides repository by repository."""

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """One page of a list: its rows, and where it stands among `total`. `number` counts from 1."""

    rows: Sequence[T_co]
    number: int
    pages: int
    total: int
    first: int


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    """A repository in the list. `tags` in natural order, newest version first; None with `error` if not read."""

    name: str
    supported: bool
    tags: tuple[str, ...] | None = None
    error: RegistryError | None = None


@dataclass(frozen=True, slots=True)
class RepositoryList:
    """A page of repositories; `listed` counts the registry's own list before the filter.

    `chosen`: the registry decides repository by repository, and only what this person may read is counted.
    """

    page: Page[RepositoryRow]
    listed: int
    complete: bool
    chosen: bool


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag in the list: what it names, or the error that kept it from being read; neither where it is no tag."""

    tag: str
    supported: bool = True
    digest: Digest | None = None
    image: Image | None = None
    error: RegistryError | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TagList:
    """A page of tags. `names` are all tags of the repository; `aliases_known` if it was resolved whole."""

    page: Page[TagRow]
    names: tuple[str, ...]
    aliases_known: bool


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Filter, order and page of a list, as they stand in the address."""

    contains: str = ""
    descending: bool = False
    page: int = 1
    extra: dict[str, str] = field(default_factory=dict)


def repositories(access: Access, query: ListQuery) -> RepositoryList:
    """A page of repositories by name, a namespace's together unless the view is flat. Raises RegistryError."""
    catalog = access.session.repositories()
    names = sorted(
        (name for name in catalog.names if query.contains.casefold() in name.casefold()),
        key=natural_key if query.extra.get("view") == "flat" else _by_namespace,
        reverse=query.descending,
    )
    complete, listed = catalog.complete, len(catalog.names)
    chosen = gate.has_rights_per_repository(access)
    if chosen:
        asked = list(catalog.names) if listed <= MAX_CHECKED else names
        answers = gate.readable(access, asked[:MAX_CHECKED])
        complete = complete and len(asked) <= MAX_CHECKED
        names = [name for name in names if answers.get(name) is True]
        listed = sum(answer is True for answer in answers.values())
    page = _page(names, query.page)
    tags = parallel.each(
        [name for name in page.rows if is_repository(name)], lambda name: access.session.tags(RepositoryName(name))
    )
    rows = [_repository_row(name, tags.get(name)) for name in page.rows]
    return RepositoryList(Page(rows, page.number, page.pages, page.total, page.first), listed, complete, chosen)


def tags(access: Access, repository: RepositoryName, query: ListQuery) -> TagList:
    """A page of the tags of `repository`. Raises RegistryError, RepositoryUnknown among them."""
    names = access.session.tags(repository)
    chosen = sorted(
        (name for name in names if query.contains.casefold() in name.casefold()),
        key=natural_key,
        reverse=query.descending,
    )
    page = _page(chosen, query.page)
    whole = len(names) <= RESOLVED_WHOLE
    digests = resolve(access, repository, names if whole else page.rows)
    images = read_images(
        access.session, repository, [d for name in page.rows if isinstance(d := digests.get(name), str)]
    )
    rows = []
    for name in page.rows:
        digest = digests.get(name)
        if digest is None or isinstance(digest, RegistryError):
            rows.append(TagRow(name, supported=digest is not None, error=digest))
            continue
        image = images[digest]
        aliases = [other for other, d in digests.items() if d == digest and other != name] if whole else []
        aliases.sort(key=natural_key, reverse=True)
        if isinstance(image, RegistryError):
            rows.append(TagRow(name, digest=digest, error=image, aliases=tuple(aliases)))
        else:
            rows.append(TagRow(name, digest=digest, image=image, aliases=tuple(aliases)))
    return TagList(Page(rows, page.number, page.pages, page.total, page.first), names, aliases_known=whole)


def resolve(access: Access, repository: RepositoryName, names: Sequence[str]) -> dict[str, Digest | RegistryError]:
    """What each tag points at now, asked side by side. A name that is no tag is left out: it is never asked for."""
    heads = parallel.each(filter(is_tag, names), lambda name: access.session.head_manifest(repository, name))
    return {name: head if isinstance(head, RegistryError) else head.digest for name, head in heads.items()}


def aliases(access: Access, repository: RepositoryName, tag: str, digest: Digest) -> tuple[str, ...] | None:
    """Other tags of the repository with this digest; None where it has too many tags to resolve it whole."""
    names = access.session.tags(repository)
    if len(names) > RESOLVED_WHOLE:
        return None
    digests = resolve(access, repository, [name for name in names if name != tag])
    return tuple(sorted((name for name, d in digests.items() if d == digest), key=natural_key, reverse=True))


def _repository_row(name: str, answer: tuple[str, ...] | RegistryError | None) -> RepositoryRow:
    if answer is None:
        return RepositoryRow(name, supported=False)
    if isinstance(answer, RepositoryUnknown):
        return RepositoryRow(name, supported=True, tags=())
    if isinstance(answer, RegistryError):
        return RepositoryRow(name, supported=True, error=answer)
    return RepositoryRow(name, supported=True, tags=tuple(sorted(answer, key=natural_key, reverse=True)))


def _by_namespace(name: str) -> tuple[NaturalKey, NaturalKey]:
    return natural_key(namespace_of(name)), natural_key(name)


def _page(names: list[str], number: int) -> Page[str]:
    pages = max(1, -(-len(names) // PAGE_SIZE))
    number = min(max(1, number), pages)
    first = (number - 1) * PAGE_SIZE
    return Page(names[first : first + PAGE_SIZE], number, pages, len(names), first)

"""What somebody chose to delete in a repository, as it stands in the address of the delete page, and what it means.

?tag=pr-1&tag=pr-2@32ae7c68fcad    named, with the beginning of the digest that was seen
?digest=sha256:…                   a revision that no tag reaches
?chosen=<id>                       more than fit in an address, stored
?all=1&name=pr-&platform=…         all tags that the filter of the list shows
?matching=pr-*&keep=10&older=90    of all tags (or those of the filter) by pattern, but the newest 10, by age in days
?untagged=1&name=pr-&older=7       all that no tag reaches (or those of the filter), without one for 7 days
?whole=1                           everything in the repository
&referrers=take                    with the signatures and the like of what goes
"""

from __future__ import annotations

import datetime as dt
import fnmatch
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from django.http import QueryDict
from django.utils import timezone

from dashboard.models import ChosenNames, IndexedTag
from dashboard.registry.references import Digest, RepositoryName, is_digest, is_tag
from dashboard.services.access import Access
from dashboard.services.index.lists import holding_platform
from dashboard.services.ordering import natural_key

from .survey import Survey

MAX_NAMED = 50
MAX_CHOSEN = 10_000
MAX_PATTERN = 200
KEPT = dt.timedelta(days=1)
T = TypeVar("T")
_SEEN = re.compile(r"[0-9a-f]{12,64}")


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen. `seen` holds the beginnings of digests by tag; `keep` tags, `older` in days; None: not asked."""

    tags: tuple[str, ...] = ()
    seen: tuple[tuple[str, str], ...] = ()
    digests: tuple[str, ...] = ()
    every: bool = False
    contains: str = ""
    platform: str = ""
    matching: str = ""
    keep: int | None = None
    older: int | None = None
    untagged: bool = False
    whole: bool = False
    takes_referrers: bool = False

    @property
    def is_rule(self) -> bool:
        """Whether tags are chosen by what they are, not by name."""
        if self.untagged:
            return False
        return self.every or bool(self.matching) or self.keep is not None or self.older is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was chosen at all."""
        return not (self.tags or self.digests or self.is_rule or self.untagged or self.whole)


class TooMany(Exception):
    """More was chosen than is deleted at once."""


def choice_of(query: QueryDict, access: Access, repository: RepositoryName) -> Choice:
    """The choice in an address; what makes no sense counts as not given. Raises TooMany."""
    named = [text for text in query.getlist("tag") if text]
    digests = [text for text in query.getlist("digest") if is_digest(text)]
    if stored := _stored(query.get("chosen", ""), access, repository):
        named += stored.tags
        digests += stored.digests
    tags: dict[str, str] = {}
    for text in named:
        name, _, seen = text.partition("@")
        if is_tag(name):
            tags[name] = seen.removeprefix("sha256:") if _SEEN.fullmatch(seen.removeprefix("sha256:")) else ""
    if len(tags) + len(digests) > MAX_CHOSEN:
        raise TooMany
    return Choice(
        tags=tuple(tags),
        seen=tuple((name, seen) for name, seen in tags.items() if seen),
        digests=tuple(dict.fromkeys(digests)),
        every=query.get("all") == "1",
        contains=query.get("name", "").replace("\0", "").strip()[:MAX_PATTERN],
        platform=query.get("platform", "").replace("\0", "").strip()[:MAX_PATTERN],
        matching=query.get("matching", "").replace("\0", "").strip()[:MAX_PATTERN],
        keep=_number(query.get("keep", "")),
        older=_number(query.get("older", "")),
        untagged=query.get("untagged") == "1",
        whole=query.get("whole") == "1",
        takes_referrers=query.get("referrers") == "take",
    )


def store(access: Access, repository: RepositoryName, tags: Iterable[str], digests: Iterable[str]) -> ChosenNames:
    """Keeps a choice that does not fit in an address. Raises TooMany."""
    chosen = ChosenNames(
        registry=access.registry,
        repository=repository,
        user=access.user,
        created_at=timezone.now(),
        tags=[text for text in dict.fromkeys(tags) if is_tag(text.partition("@")[0])][: MAX_CHOSEN + 1],
        digests=[text for text in dict.fromkeys(digests) if is_digest(text)][: MAX_CHOSEN + 1],
    )
    if len(chosen.tags) + len(chosen.digests) > MAX_CHOSEN:
        raise TooMany
    chosen.save(force_insert=True)
    return chosen


def forget_old() -> int:
    """Removes choices older than a day; how many."""
    return ChosenNames.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]


def chosen_tags(choice: Choice, access: Access, repository: RepositoryName, seen: Survey) -> list[str]:
    """The names that the choice means, of the tags that are there now; those that were named stand first.

    Raises TooMany. Age is counted from the push as the index knows it; a tag that it does not know is young.
    """
    if choice.whole:
        return _bounded([*seen.tags, *seen.dangling, *(name for name in seen.unread if is_tag(name))])
    if not choice.is_rule:
        return list(choice.tags)
    rows = IndexedTag.objects.filter(repository__registry=access.registry, repository__name=repository)
    if choice.contains:
        rows = rows.filter(name__icontains=choice.contains)
    if choice.platform:
        rows = rows.filter(holding_platform(choice.platform))
    since = dict(rows.filter(about="").values_list("name", "since"))
    matches = re.compile(fnmatch.translate(choice.matching)).match if choice.matching else None
    names = [name for name in seen.tags if name in since and (matches is None or matches(name))]
    names.sort(key=lambda name: (-since[name].timestamp(), natural_key(name)))
    if choice.keep is not None:
        names = names[choice.keep :]
    if choice.older is not None:
        before = timezone.now() - dt.timedelta(days=choice.older)
        names = [name for name in names if since[name] < before]
    return _bounded([*choice.tags, *(name for name in names if name not in choice.tags)])


def seen_digest(choice: Choice) -> Mapping[str, str]:
    """The beginnings of the digests (hex) that somebody saw the named tags point to."""
    return dict(choice.seen)


def untagged_digests(choice: Choice, seen: Survey, known: Iterable[Digest]) -> list[Digest]:
    """The digests that were chosen; with the whole repository all that it holds besides what its tags name.

    `known` are those that the index knows, for the whole repository, or those that a rule means.
    """
    if choice.untagged and not choice.whole:
        return list(dict.fromkeys([*(Digest(text) for text in choice.digests), *known]))
    if not choice.whole:
        return [Digest(text) for text in choice.digests]
    named = set(seen.tags.values())
    return _bounded([digest for digest in dict.fromkeys([*(seen.held or {}), *known]) if digest not in named])


def _bounded(names: list[T]) -> list[T]:
    if len(names) > MAX_CHOSEN:
        raise TooMany
    return names


def _stored(text: str, access: Access, repository: RepositoryName) -> ChosenNames | None:
    try:
        pk = uuid.UUID(text)
    except ValueError:
        return None
    return ChosenNames.objects.filter(pk=pk, user=access.user, registry=access.registry, repository=repository).first()


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None

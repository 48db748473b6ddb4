"""Readings over the registry's API: bounded parallel requests, conditional where the index knows a digest.

Reading must not look like pulling: a tag whose digest is known is asked for by `If-None-Match`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from django.utils import timezone

from dashboard.models import IndexState
from dashboard.registry.client import RawManifest, RegistrySession
from dashboard.registry.errors import (
    Forbidden,
    ManifestUnknown,
    RateLimited,
    RegistryError,
    RepositoryUnknown,
    Unauthorized,
    Unavailable,
)
from dashboard.registry.manifests import MAX_CONFIG_BYTES
from dashboard.registry.references import Digest, RepositoryName, is_repository, is_tag
from dashboard.services import parallel

from .documents import storable
from .readings import UNSUPPORTED_NAME, Held, Outcome, PastTarget, Reading, TagReading

MAX_TAG = 128
OF_THE_WHOLE = (Unavailable, Unauthorized, Forbidden, RateLimited)
"""Errors that say nothing of the tag that was asked for: its repository could not be read."""


class ApiReader:
    """Reads with `session`: all tags' names, and what they point at.

    With `shown` only what these point at, and at most `most_new` of those that the index does not know; of others only
    the name is read.
    """

    source = IndexState.Source.API

    def __init__(
        self, session: RegistrySession, *, shown: Iterable[str] | None = None, most_new: int | None = None
    ) -> None:
        self._session = session
        self._shown = None if shown is None else frozenset(shown)
        self._most_new = most_new

    def repositories(self) -> tuple[Sequence[str], bool]:
        """As the catalog lists them."""
        catalog = self._session.repositories()
        return catalog.names, catalog.complete

    def read(self, repositories: Iterable[str], known: Mapping[str, Mapping[str, Digest]]) -> dict[str, Outcome]:
        """One list of tags for each repository, one HEAD for each tag."""
        began = timezone.now()
        outcomes: dict[str, Outcome] = {}
        lists = parallel.each(filter(is_repository, repositories), self._tags)
        names: dict[str, tuple[str, ...]] = {}
        for repository, listed in lists.items():
            if isinstance(listed, tuple):
                names[repository] = listed
            else:
                outcomes[repository] = listed
        asked = [
            (repository, tag)
            for repository, tags in names.items()
            for tag in self._asked([tag for tag in tags if is_tag(tag)], known.get(repository, {}))
        ]
        targets = parallel.each(asked, lambda key: self._resolve(key, known))
        for (repository, _), answer in targets.items():
            if isinstance(answer, OF_THE_WHOLE):
                outcomes[repository] = answer
        for repository, tags in names.items():
            if repository in outcomes:
                continue
            readings: dict[str, TagReading] = {}
            for tag in tags:
                if not is_tag(tag):
                    readings[tag] = TagReading(None, error_code=UNSUPPORTED_NAME)
                elif (target := targets.get((repository, tag))) is not None:
                    readings[tag] = _tag_reading(target)
            gone = {tag for tag in tags if isinstance(targets.get((repository, tag)), ManifestUnknown)}
            outcomes[repository] = Reading(
                repository, began, frozenset(tags) - gone, {t: r for t, r in readings.items() if t not in gone}
            )
        return outcomes

    def holds(self, wanted: Iterable[Held]) -> Mapping[Held, bool | Exception]:
        """One HEAD for each."""
        return dict(parallel.each(wanted, lambda key: self._session.has_manifest(RepositoryName(key[0]), key[1])))

    def manifests(self, wanted: Iterable[Held]) -> dict[Held, RawManifest | Exception]:
        """One GET for each."""
        return dict(parallel.each(wanted, lambda key: self._session.get_manifest(RepositoryName(key[0]), key[1])))

    def configs(self, wanted: Iterable[Held]) -> dict[Held, bytes | Exception]:
        """One GET for each."""
        return dict(
            parallel.each(
                wanted, lambda key: self._session.read_blob(RepositoryName(key[0]), key[1], limit=MAX_CONFIG_BYTES)
            )
        )

    def past(self, repository: str, tags: Iterable[str]) -> Sequence[PastTarget]:
        """A registry's API remembers nothing."""
        return ()

    def _asked(self, tags: list[str], known: Mapping[str, Digest]) -> list[str]:
        shown_names = self._shown
        if shown_names is None:
            return tags
        shown = [tag for tag in tags if tag in shown_names and tag in known]
        new = [tag for tag in tags if tag not in known]
        new.sort(key=lambda tag: tag not in shown_names)
        return shown + new[: self._most_new]

    def _tags(self, repository: str) -> tuple[str, ...] | None:
        try:
            names = self._session.tags(RepositoryName(repository))
            return tuple(dict.fromkeys(name if is_tag(name) else _label(name) for name in names))
        except RepositoryUnknown:
            return None

    def _resolve(self, key: tuple[str, str], known: Mapping[str, Mapping[str, Digest]]) -> Digest:
        repository, tag = key
        return self._session.resolve(RepositoryName(repository), tag, known.get(repository, {}).get(tag))


def _label(name: str) -> str:
    """A tag that the grammar forbids as it can be kept: shortened, it must not become one that could be asked for."""
    label = storable(name, MAX_TAG)
    return f"{label[: MAX_TAG - 1]}…" if is_tag(label) else label


def _tag_reading(target: Digest | RegistryError) -> TagReading:
    if isinstance(target, RegistryError):
        return TagReading(None, error_code=target.code)
    return TagReading(target)

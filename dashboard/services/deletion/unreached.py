"""The untagged revisions that a rule means: as the list shows them, each looked at again by what was just surveyed.

The index proposes, the survey decides, and only against it: what a tag or a live index needs by now, what belongs to
something that stays, and what was pushed lately is left out, without a word, as it is in the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from django.db.models import Q

from dashboard.models import IndexedManifest
from dashboard.registry.manifests import Manifest
from dashboard.registry.references import Digest, RepositoryName
from dashboard.services import untagged, untagged_age
from dashboard.services.access import Access, Visible
from dashboard.services.index.documents import chunks
from dashboard.services.index.update import state_of

from .choice import MAX_CHOSEN, Choice
from .survey import Disk, Survey


def meant(access: Access, repository: RepositoryName, choice: Choice, seen: Survey, disk: Disk | None) -> list[Digest]:
    """The digests, those that lost their tag first before the others; at most MAX_CHOSEN, the rest is a next time's."""
    scope = untagged.Scope(access.registry, state_of(access.registry), Visible(Q()), repository)
    found = untagged.chosen(scope, choice.contains, choice.older or 0, MAX_CHOSEN)
    found = [digest for digest in found if not seen.names(digest) and not seen.parents(digest)]
    if disk is None or seen.held is None:
        return _without_attached(found, _Remembered(found, seen))
    moment = untagged_age.before(choice.older or 0)
    if moment is not None:
        found = [digest for digest in found if (pushed := disk.pushed(digest)) is not None and pushed <= moment]
    held = _Held(seen.held)
    return _without_attached([digest for digest in found if held.is_here(digest)], held)


class _Held:
    """What belongs to what, as this registry's own storage has it."""

    def __init__(self, held: Mapping[Digest, Manifest]) -> None:
        self._held = held

    def subject(self, digest: Digest) -> Digest | None:
        """What a revision belongs to."""
        found = self._held[digest].subject
        return found.digest if found is not None else None

    def is_here(self, digest: Digest) -> bool:
        """Whether the repository holds it."""
        return digest in self._held

    def reach(self, digests: Iterable[Digest]) -> set[Digest]:
        """These and what they list."""
        found = set(digests)
        pending = list(found)
        while pending:
            manifest = self._held.get(pending.pop())
            new = {child.digest for child in manifest.children} - found if manifest is not None else set()
            found |= new
            pending += new
        return found


class _Remembered:
    """The same as far as the index knows and the registry's tags and live indexes tell."""

    def __init__(self, digests: Sequence[Digest], seen: Survey) -> None:
        self._seen = seen
        self._subjects: dict[Digest, Digest] = {}
        for part in chunks(digests, 500):
            rows = IndexedManifest.objects.filter(digest__in=part).exclude(subject="")
            self._subjects |= {Digest(digest): Digest(about) for digest, about in rows.values_list("digest", "subject")}

    def subject(self, digest: Digest) -> Digest | None:
        """What a revision belongs to."""
        return self._subjects.get(digest)

    def is_here(self, digest: Digest) -> bool:
        """Whether a tag or a live index needs it; what else the repository holds nobody can tell."""
        return bool(self._seen.names(digest) or self._seen.parents(digest))

    def reach(self, digests: Iterable[Digest]) -> set[Digest]:
        """These; what they list is not known here."""
        return set(digests)


def _without_attached(digests: Sequence[Digest], known: _Held | _Remembered) -> list[Digest]:
    """Without what belongs to something that is there and does not go with them."""
    going = list(digests)
    while True:
        along = known.reach(going)
        kept = [
            digest
            for digest in going
            if (about := known.subject(digest)) is None or about in along or not known.is_here(about)
        ]
        if len(kept) == len(going):
            return kept
        going = kept

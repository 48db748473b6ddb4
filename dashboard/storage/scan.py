"""A scan: everything the accounting needs from a storage directory, read in one pass.

Order matters, because the registry goes on writing. Blobs are listed first and completely, manifests after them: a
blob seen here whose manifest existed at that time is then found reached, so that a push in mid-scan makes no orphan.

Directory symlinks are followed as Distribution follows them: a repository under two names counts twice, its bytes
once. One that leads to its own ancestor is a problem and is not entered.
"""

# Paths stay text as the system gave it: names need not be UTF-8, and a scan makes a system call per entry.
# ruff: noqa: PTH110, PTH112, PTH208

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from dashboard.registry.references import MAX_REPOSITORY_LENGTH, InvalidReference, parse_tag

from . import digests, layout, units
from .errors import Cancelled, RootUnreadable
from .facts import MAX_PROBLEMS, Facts, ManifestFacts, Problem, RepositoryFacts, UploadFacts
from .files import leads_to_ancestor, printable, weigh
from .partner import MAX_BATCHES, Batch, Crew, Unit
from .references import References

Progress = Callable[[str, int, int], None]  # stage ("blobs", "repositories", "full"), done, of how many
CancelCheck = Callable[[], bool]

_BATCH_NAMES = 64
_MAX_SYMLINKS = 10_000
_EMPTY_LINK_WAIT_SECONDS = 0.05
_WORTH_A_PARTNER = 16  # blobs in one of 256 fan-out directories
_LINKS_WORTH_A_PARTNER = 4000


class _Part(NamedTuple):
    """Entries of one directory that belong together: which reader, of which repository, which names."""

    reader: str
    repository: int
    below: str
    names: list[str]


class Scan:
    """One scan of the directory `v2`. `young_after` (seconds since the epoch) bounds what counts as young.

    Manifests in `remembered` (by digest) are taken from there as long as their blobs are on the disk.
    """

    def __init__(
        self,
        v2: str,
        *,
        young_after: float,
        remembered: Mapping[str, References] | None = None,
        progress: Progress | None = None,
        cancelled: CancelCheck | None = None,
    ) -> None:
        self._v2 = v2
        self._young_after = young_after
        self._remembered: Mapping[str, References] = remembered or {}
        self._progress = progress
        self._cancelled = cancelled
        self._facts = Facts()
        self._symlinks = 0
        self._seen_uploads: set[tuple[int, int]] = set()

    def run(self) -> Facts:
        """The facts. Raises Cancelled, or RootUnreadable where blobs or repositories cannot be listed at all."""
        with Crew() as crew:
            self._scan_blobs(crew)
            self._scan_repositories(crew)
        self._facts.repositories.sort(key=lambda repository: repository.name)
        self._facts.problems.sort()
        return self._facts

    # Blobs

    def _scan_blobs(self, crew: Crew) -> None:
        fans = list(self._fans())
        if len(fans) >= 256 and len(self._names("/".join(("blobs", *fans[0])))) >= _WORTH_A_PARTNER:
            crew.enlist()
        work: list[Batch] = [[("list_blobs", (self._v2, algorithm, fan, self._young_after))] for algorithm, fan in fans]
        for ((sizes, young, problems),) in crew.work(work, self._reporter("blobs", len(work))):
            self._facts.blobs.update(sizes)
            self._facts.young.update(young)
            self._report(Problem(*problem) for problem in problems)

    def _fans(self) -> Iterator[tuple[str, str]]:
        for algorithm in self._directories("blobs", must_be_readable=True):
            below = f"blobs/{algorithm}"
            if algorithm not in digests.ALGORITHMS:
                self._stray("blob-name", below)
                continue
            for fan in self._directories(below):
                if digests.is_fan_out(fan):
                    yield algorithm, fan
                else:
                    self._stray("blob-name", f"{below}/{fan}")

    # Repositories

    def _scan_repositories(self, crew: Crew) -> None:
        parts = [part for parts in self._walk() for part in parts]
        if not crew.has_partner and sum(len(part.names) for part in parts) >= _LINKS_WORTH_A_PARTNER:
            crew.enlist()
        work, order = self._batches(parts)
        results = crew.work(work, self._reporter("repositories", len(work)))
        empty: list[_Part] = []
        for batch_parts, batch_results in zip(order, results, strict=True):
            for part, found in zip(batch_parts, batch_results, strict=True):
                empty.extend(self._take(part, found))
        if empty:
            time.sleep(_EMPTY_LINK_WAIT_SECONDS)  # 2.8 and 3.0 truncate a link before they write it
            for part in empty:
                found = getattr(units, part.reader)(*self._arguments(part))
                link = "current/link" if part.reader == "read_tags" else "link"
                for still in self._take(part, found):
                    paths = (f"{still.below}/{printable(name)}/{link}" for name in still.names)
                    self._report(Problem("link-corrupt", path) for path in paths)

    def _take(self, part: _Part, found: tuple[Any, ...]) -> list[_Part]:
        """Adds what a unit found; returns what must be read again."""
        self._report(Problem(*problem) for problem in found[-1])
        if part.reader == "read_uploads":
            self._take_uploads(found[0])
            return []
        repository = self._facts.repositories[part.repository]
        entries, empty = found[0], found[1]
        if part.reader == "read_revisions":
            repository.revisions.update(entries)
            for digest, references in entries.items():
                if references is not None:
                    said = self._remembered[digest] if references == units.AS_REMEMBERED else references
                    self._facts.manifests[digest] = ManifestFacts(*said)
        else:
            repository.tags.update(entries)
        return [part._replace(names=empty)] if empty else []

    def _take_uploads(self, uploads: list[units.Upload]) -> None:
        for device, inode, size, began in uploads:
            if (device, inode) not in self._seen_uploads:
                self._seen_uploads.add((device, inode))
                self._facts.uploads.append(UploadFacts(size, began))

    def _walk(self) -> Iterator[list[_Part]]:
        """The parts to be read of every repository, in the order of a walk. Adds the repositories to the facts."""
        pending = [""]
        while pending:
            name = pending.pop()
            below = f"repositories/{name}" if name else "repositories"
            children: list[str] = []
            reserved: set[str] = set()
            for entry in self._directories(below, must_be_readable=not name):
                if not entry.startswith("_"):
                    children.append(f"{name}/{entry}" if name else entry)
                else:
                    reserved.add(entry)
            yield self._parts(name, below, reserved) if name else []
            if name and len(name) > MAX_REPOSITORY_LENGTH:
                if children:
                    self._report([Problem("repository-name", printable(below))])
                continue
            pending.extend(sorted(children, reverse=True))

    def _parts(self, name: str, below: str, reserved: set[str]) -> list[_Part]:
        is_repository = layout.MANIFESTS in reserved or layout.LAYERS in reserved
        if not is_repository and layout.UPLOADS not in reserved:
            return []
        if not layout.is_repository_name(name):
            held = sum(weigh(f"{self._v2}/{below}/{each}") for each in reserved)
            self._report([Problem("repository-name", printable(below), held)])
            return []
        index = -1
        if is_repository:
            index = len(self._facts.repositories)
            self._facts.repositories.append(
                RepositoryFacts(name, below, layout.LAYERS in reserved, layout.MANIFESTS in reserved)
            )
        parts: list[_Part] = []
        if layout.MANIFESTS in reserved:
            parts.extend(self._manifest_parts(index, below))
        if layout.UPLOADS in reserved:
            uploads = f"{below}/{layout.UPLOADS}"
            parts.append(_Part("read_uploads", index, uploads, self._names(uploads)))
        return [part for part in parts if part.names]

    def _manifest_parts(self, index: int, below: str) -> Iterator[_Part]:
        tags = f"{below}/{layout.TAGS}"
        yield _Part("read_tags", index, tags, [name for name in self._names(tags) if self._is_tag(tags, name)])
        revisions = f"{below}/{layout.REVISIONS}"
        for algorithm in self._names(revisions):
            path = f"{revisions}/{algorithm}"
            if algorithm not in digests.ALGORITHMS:
                self._stray("revision-name", path)
                continue
            names = [name for name in self._names(path) if self._is_encoded(path, algorithm, name)]
            yield _Part("read_revisions", index, path, names)

    def _is_tag(self, below: str, name: str) -> bool:
        try:
            parse_tag(name)
        except InvalidReference:
            self._stray("tag-name", f"{below}/{name}")
            return False
        return True

    def _is_encoded(self, below: str, algorithm: str, name: str) -> bool:
        if digests.is_encoded(algorithm, name):
            return True
        self._stray("revision-name", f"{below}/{name}")
        return False

    def _batches(self, parts: list[_Part]) -> tuple[list[Batch], list[list[_Part]]]:
        """Parts cut and joined to batches of about the same number of names; and which parts each batch holds."""
        total = sum(len(part.names) for part in parts)
        size = max(_BATCH_NAMES, total // (MAX_BATCHES // 2) + 1)
        batches: list[Batch] = []
        order: list[list[_Part]] = []
        room = 0
        for part in parts:
            start = 0
            while start < len(part.names):
                if room <= 0:
                    batches.append([])
                    order.append([])
                    room = size
                piece = part._replace(names=part.names[start : start + room])
                unit: Unit = (piece.reader, self._arguments(piece))
                batches[-1].append(unit)
                order[-1].append(piece)
                start += len(piece.names)
                room -= len(piece.names)
        return batches, order

    def _arguments(self, part: _Part) -> tuple[Any, ...]:
        if part.reader != "read_revisions" or not self._remembered:
            return self._v2, part.below, part.names
        prefix = f"{part.below.rpartition('/')[2]}:"
        blobs, remembered = self._facts.blobs, self._remembered
        known = frozenset([name for name in part.names if (digest := prefix + name) in remembered and digest in blobs])
        return self._v2, part.below, part.names, known

    # Directories

    def _names(self, below: str) -> list[str]:
        """All names in a directory; none if it is not there."""
        try:
            return os.listdir(f"{self._v2}/{below}")
        except FileNotFoundError:
            return []
        except NotADirectoryError:
            self._stray("stray-file", below)
        except OSError:
            self._report([Problem("unreadable", printable(below))])
        return []

    def _directories(self, below: str, *, must_be_readable: bool = False) -> list[str]:
        """Names of the directories in a directory, symlinks to directories included; anything else is a problem."""
        names: list[str] = []
        try:
            with os.scandir(f"{self._v2}/{below}") as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        names.append(entry.name)
                    elif entry.is_symlink():
                        if self._may_follow(f"{below}/{entry.name}"):
                            names.append(entry.name)
                    else:
                        self._stray("stray-file", f"{below}/{entry.name}")
        except FileNotFoundError:
            return names
        except OSError as error:
            if must_be_readable:
                raise RootUnreadable(f"{self._v2}/{below}", error.strerror or "") from error
            self._report([Problem("unreadable", printable(below))])
        names.sort()
        return names

    def _may_follow(self, below: str) -> bool:
        path = f"{self._v2}/{below}"
        try:
            if not os.path.isdir(path):
                self._stray("stray-file" if os.path.exists(path) else "symlink-broken", below)
            elif leads_to_ancestor(path):
                self._stray("symlink-loop", below)
            elif self._symlinks >= _MAX_SYMLINKS:
                self._stray("too-many-symlinks", below)
            else:
                self._symlinks += 1
                return True
        except OSError:
            self._stray("unreadable", below)
        return False

    # Reporting

    def _stray(self, code: str, below: str) -> None:
        self._report([Problem(code, printable(below), weigh(f"{self._v2}/{below}"))])

    def _report(self, problems: Iterable[Problem]) -> None:
        report(self._facts.problems, problems)

    def _reporter(self, stage: str, total: int) -> Callable[[int], None]:
        def after_each(done: int) -> None:
            if self._cancelled is not None and self._cancelled():
                raise Cancelled
            if self._progress is not None:
                self._progress(stage, done, total)

        return after_each


def report(known: list[Problem], more: Iterable[Problem]) -> None:
    """Adds problems up to a bound; one last entry says that there were more."""
    for problem in more:
        if len(known) < MAX_PROBLEMS:
            known.append(problem)
        elif len(known) == MAX_PROBLEMS:
            known.append(Problem("too-many-problems", ""))

"""Reading what `registry garbage-collect --dry-run` prints, 2.x and 3.x.

Untrusted in length and content: read line by line, long lines cut, everything counted and bounded. Without its summary
line, with a count that does not fit, or with an exit code other than 0 the whole output is void: the collector prints
what it would remove also when it ends with an error before the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_LINE = 8192
MAX_BLOBS = 20_000_000

_DIGEST = rb"(?P<digest>[a-z0-9]+:[0-9a-f]{32,128})"
_BLOB = re.compile(rb"blob eligible for deletion: " + _DIGEST)
_MANIFEST_2 = re.compile(rb"manifest eligible for deletion: " + _DIGEST)
_MANIFEST_3 = re.compile(rb"manifest eligible for deletion: \{(?P<repository>\S+) " + _DIGEST + rb" \[.*")
_SUMMARY = re.compile(
    rb"(?P<marked>\d{1,18}) blobs marked, (?P<blobs>\d{1,18}) blobs and (?P<manifests>\d{1,18}) manifests"
    rb" eligible for deletion"
)
_REPOSITORY = re.compile(rb"[^\s:]+")


class Void(Exception):
    """The output says nothing that could be relied on. `code` tells why: exit-code, no-summary, counts, too-long."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class DryRun:
    """What a collector would remove. Of `manifests` the repository is empty where no line told it."""

    marked: int
    blobs: set[str] = field(default_factory=set)
    manifests: list[tuple[str, str]] = field(default_factory=list)


class Parser:
    """Takes output in pieces; `end` gives the result."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False
        self._repository = ""
        self._summary: re.Match[bytes] | None = None
        self._summaries = 0
        self._run = DryRun(0)

    def feed(self, piece: bytes) -> None:
        """The next bytes. Raises Void (too-long) past MAX_BLOBS."""
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if self._skipping:
                self._skipping = False
            else:
                self._take(line[:MAX_LINE])
        if len(self._rest) > MAX_LINE:
            if not self._skipping:
                self._take(self._rest[:MAX_LINE])
            self._rest, self._skipping = b"", True

    def end(self, exit_code: int) -> DryRun:
        """The result. Raises Void."""
        if self._rest and not self._skipping:
            self._take(self._rest)
        if exit_code:
            raise Void("exit-code")
        if self._summary is None:
            raise Void("no-summary")
        said = (int(self._summary["blobs"]), int(self._summary["manifests"]))
        if self._summaries != 1 or said != (len(self._run.blobs), len(self._run.manifests)):
            raise Void("counts")
        self._run.marked = int(self._summary["marked"])
        return self._run

    def _take(self, line: bytes) -> None:
        line = line.rstrip(b"\r ")
        if found := _BLOB.fullmatch(line):
            self._run.blobs.add(found["digest"].decode())
        elif found := _MANIFEST_3.fullmatch(line):
            name = found["repository"].decode(errors="replace")
            self._run.manifests.append((name, found["digest"].decode()))
        elif found := _MANIFEST_2.fullmatch(line):
            self._run.manifests.append((self._repository, found["digest"].decode()))
        elif found := _SUMMARY.fullmatch(line):
            self._summary = found
            self._summaries += 1
        elif _REPOSITORY.fullmatch(line):
            self._repository = line.decode(errors="replace")
        if len(self._run.blobs) + len(self._run.manifests) > MAX_BLOBS:
            raise Void("too-long")


def read(output: Iterable[bytes], exit_code: int) -> DryRun:
    """The result of a finished run. Raises Void."""
    parser = Parser()
    for piece in output:
        parser.feed(piece)
    return parser.end(exit_code)

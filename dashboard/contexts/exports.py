"""Lists as files: CSV and JSON, with bytes as numbers and times in ISO 8601 (UTC), row after row."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dashboard.models import Job
from dashboard.services.index.repository_list import RepositoryRow
from dashboard.services.index.search import Hit
from dashboard.services.index.tag_list import TagRow

FORMATS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
_RUNS_AS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")

REPOSITORY_FIELDS = (
    "repository", "tags", "platforms", "kinds", "bytes", "exclusive_bytes", "last_push", "last_push_is_known",
    "last_pull", "error",
)  # fmt: skip
TAG_FIELDS = (
    "repository", "tag", "digest", "platforms", "kind", "artifact_type", "bytes", "bytes_are_partial", "pushed",
    "pushed_is_known", "created", "last_pull", "belongs_to", "error",
)  # fmt: skip


def repository_record(row: RepositoryRow) -> dict[str, Any]:
    """A repository as a record."""
    values = (
        row.name, row.tags, " ".join(row.platforms), " ".join(row.kinds), row.bytes, row.exclusive, _iso(row.pushed_at),
        row.pushed_is_known, _iso(row.pulled_at), row.error_code,
    )  # fmt: skip
    return dict(zip(REPOSITORY_FIELDS, values, strict=True))


def tag_record(repository: str, row: TagRow) -> dict[str, Any]:
    """A tag as a record; a platform that is not in the registry begins with "!"."""
    values = (
        repository, row.name, row.digest, " ".join(row.platforms), row.kind, row.artifact_type, row.bytes,
        row.is_partial, _iso(row.since), row.since_is_push, _iso(row.created_at), _iso(row.pulled_at), row.about,
        row.error_code,
    )  # fmt: skip
    return dict(zip(TAG_FIELDS, values, strict=True))


SEARCH_FIELDS = ("group", "registry", "repository", "tag", "digest", "why")
JOB_FIELDS = ("job", "state", "asked_by", "asked_at", "started_at", "finished_at", "progress", "total", "outcome")


def search_record(group: str, hit: Hit) -> dict[str, Any]:
    """Something found as a record."""
    values = (group, hit.registry.public_host, hit.repository, hit.tag, hit.digest, hit.note)
    return dict(zip(SEARCH_FIELDS, values, strict=True))


def job_record(job: Job) -> dict[str, Any]:
    """A job as a record; "" for who asked where a schedule did."""
    asked_by = job.requested_by_name
    times = (_iso(job.requested_at), _iso(job.started_at), _iso(job.finished_at))
    values = (job.kind, job.state, asked_by, *times, job.progress, job.total, job.outcome_code)
    return dict(zip(JOB_FIELDS, values, strict=True))


def lines(records: Iterable[Mapping[str, Any]], fields: Iterable[str], file_format: str) -> Iterator[str]:
    """The file, a line at a time."""
    return _csv(records, list(fields)) if file_format == "csv" else _json(records)


def harmless(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_RUNS_AS_A_FORMULA) else value


class _Line:
    """What csv writes to: it keeps the line that was written last."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def _csv(records: Iterable[Mapping[str, Any]], fields: list[str]) -> Iterator[str]:
    line = _Line()
    writer = csv.writer(line)
    writer.writerow(fields)
    yield line.text
    for record in records:
        writer.writerow(["" if record[name] is None else harmless(record[name]) for name in fields])
        yield line.text


def _json(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    before = "["
    for record in records:
        yield f"{before}\n{json.dumps(record, ensure_ascii=False)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _iso(when: dt.datetime | None) -> str | None:
    return when.astimezone(dt.UTC).isoformat() if when else None

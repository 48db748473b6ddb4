"""The activity as a file: one record for every entry, event and digest's day of pulls."""

from __future__ import annotations

import datetime as dt
from typing import Any

from dashboard.models import AuditEntry, RegistryEvent
from dashboard.services.activity.stream import Raw

FIELDS = (
    "at", "source", "what", "outcome", "who", "registry_user", "repository", "tags", "digest_before", "digest_after",
    "method", "code", "answers", "bytes", "reason", "batch", "pulls", "look_ups", "address", "client",
)  # fmt: skip
_EMPTY: dict[str, Any] = dict.fromkeys(FIELDS, "") | {"bytes": None, "pulls": None, "look_ups": None}


def record(row: Raw, *, with_addresses: bool) -> dict[str, Any]:
    """A row as a record; times in ISO 8601 (UTC), lists of tags with spaces, of answers with semicolons between."""
    if isinstance(row, AuditEntry):
        found = _entry(row)
    elif isinstance(row, RegistryEvent):
        found = _event(row)
    else:
        found = {
            "at": _iso(row.last_at), "source": "registry", "what": "pull", "repository": row.repository,
            "tags": row.tag, "digest_after": row.digest, "pulls": row.gets, "look_ups": row.heads,
        }  # fmt: skip
    if not with_addresses:
        found["address"] = ""
    return _EMPTY | found


def _entry(row: AuditEntry) -> dict[str, Any]:
    return {
        "at": _iso(row.at),
        "source": "dashboard",
        "what": row.action,
        "outcome": row.outcome,
        "who": row.user,
        "registry_user": row.acted_as,
        "repository": row.repository,
        "tags": " ".join(str(tag) for tag in row.tags),
        "digest_before": row.digest_before,
        "digest_after": row.digest_after,
        "method": row.method,
        "code": row.code,
        "answers": "; ".join(str(answer) for answer in row.answers),
        "bytes": row.bytes,
        "reason": row.reason,
        "batch": str(row.batch or ""),
        "address": row.address,
    }


def _event(row: RegistryEvent) -> dict[str, Any]:
    is_push = row.action == RegistryEvent.Action.PUSH
    return {
        "at": _iso(row.at),
        "source": "registry",
        "what": row.action,
        "outcome": AuditEntry.Outcome.DONE.value,
        "who": row.actor,
        "repository": row.repository,
        "tags": row.tag,
        "digest_before": "" if is_push else row.digest,
        "digest_after": row.digest if is_push else "",
        "address": row.address,
        "client": row.user_agent,
    }


def _iso(when: dt.datetime) -> str:
    return when.astimezone(dt.UTC).isoformat()

"""Distribution's envelope of events, read into what is used of it: bounded, and free of what no database takes.

Both versions of the envelope have the same fields; 3.x writes those that are empty, 2.8 leaves them out.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from django.utils.dateparse import parse_datetime

from dashboard.registry.client import USER_AGENT
from dashboard.registry.media_types import INDEX_TYPES, LEGACY_TYPES, MANIFEST_TYPES, OCI_ARTIFACT_MANIFEST

MEDIA_TYPES = frozenset(
    {
        "application/vnd.docker.distribution.events.v1+json",
        "application/vnd.docker.distribution.events.v2+json",
    }
)
MAX_ID = 100
MAX_EVENTS = 100_000
"""In one body. Distribution sends one event at a time."""
OLDEST = dt.timedelta(days=30)
"""A registry that could not reach us sends again for as long as it runs; what claims to be older is not believed."""

_OURS = USER_AGENT.partition("/")[0] + "/"
_MANIFESTS = INDEX_TYPES | MANIFEST_TYPES | LEGACY_TYPES | {OCI_ARTIFACT_MANIFEST}
_NO_DATABASE_TAKES = re.compile("[\x00\ud800-\udfff]")


class MalformedEnvelope(ValueError):
    """The body is not an envelope of events."""


class TooManyEvents(ValueError):
    """The body holds more than MAX_EVENTS."""


@dataclass(frozen=True, slots=True)
class Event:
    """What is kept of an event; "" is absent. `at` is the registry's clock, `address` may carry a port.

    `tag` is what the client named; `digest` only serves to count pulls.
    """

    id: str
    action: str
    at: str
    repository: str
    tag: str
    digest: str
    media_type: str
    method: str
    user_agent: str
    address: str
    actor: str

    @property
    def is_own(self) -> bool:
        """A dashboard's own request, of whatever version."""
        return self.user_agent.startswith(_OURS)

    @property
    def is_own_pull(self) -> bool:
        """Our reading would count as somebody's use."""
        return self.action == "pull" and self.is_own

    @property
    def host(self) -> str:
        """The address without the port, which is another for each connection."""
        host, colon, port = self.address.rpartition(":")
        return host if colon and port.isdigit() and (":" not in host or host.endswith("]")) else self.address

    def happened_at(self, received_at: dt.datetime) -> dt.datetime:
        """When it happened, in UTC: a time that cannot be (in the future, or very old) gives way to that of receipt."""
        try:
            at = parse_datetime(self.at)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            return received_at
        try:
            return at.astimezone(dt.UTC) if received_at - OLDEST <= at <= received_at else received_at
        except OverflowError:
            return received_at

    @property
    def payload(self) -> dict[str, str]:
        """As it is stored beside its id."""
        return {name: value for name, value in asdict(self).items() if value and name != "id"}

    @classmethod
    def stored(cls, event_id: str, payload: dict[str, str]) -> Event:
        """From what was stored."""
        return cls(id=event_id, **{name: payload.get(name, "") for name in cls.__slots__ if name != "id"})


def read_envelope(body: bytes) -> list[Event]:
    """The events that say something of a manifest; those of layers and of actions not used here are left out.

    Raises MalformedEnvelope, also if a single event is none: nothing of such a body is to be used; TooManyEvents.
    """
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedEnvelope from None
    events = envelope.get("events") if isinstance(envelope, dict) else None
    if not isinstance(events, list):
        raise MalformedEnvelope
    if len(events) > MAX_EVENTS:
        raise TooManyEvents
    read = [_event(event) for event in events]
    return [event for event in read if event is not None]


def _event(event: Any) -> Event | None:
    """An event; None for one that says nothing of a manifest. Raises MalformedEnvelope for what is no event."""
    if not isinstance(event, dict):
        raise MalformedEnvelope
    event_id = event.get("id")
    if not isinstance(event_id, str) or not 0 < len(event_id) <= MAX_ID or _NO_DATABASE_TAKES.search(event_id):
        raise MalformedEnvelope
    target, request, actor = (_mapping(event, name) for name in ("target", "request", "actor"))
    media_type = _text(target, "mediaType", 255)
    action = _text(event, "action", 20)
    # A deletion names no type: that of a blob looks like that of a manifest.
    if action != "delete" and not (
        action in {"push", "pull"} and (media_type in _MANIFESTS or "/manifests/" in _text(target, "url", 1000))
    ):
        return None
    return Event(
        id=event_id,
        action=action,
        at=_text(event, "timestamp", 40),
        repository=_text(target, "repository", 256),
        tag=_text(target, "tag", 129),
        digest=_text(target, "digest", 140),
        media_type=media_type,
        method=_text(request, "method", 10),
        user_agent=_text(request, "useragent", 200),
        address=_text(request, "addr", 100),
        actor=_text(actor, "name", 255),
    )


def _mapping(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _text(parent: dict[str, Any], name: str, limit: int) -> str:
    """At most `limit` characters; limits of names are one above what is valid, so that a cut one stays invalid."""
    value = parent.get(name)
    return _NO_DATABASE_TAKES.sub("\N{REPLACEMENT CHARACTER}", value[:limit]) if isinstance(value, str) else ""

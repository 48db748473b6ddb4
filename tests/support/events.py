"""Events as Distribution sends them (registry-made fields with made-up values), and their envelope."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

from dashboard.registry import media_types

V1 = "application/vnd.docker.distribution.events.v1+json"
V2 = "application/vnd.docker.distribution.events.v2+json"
DIGEST = "sha256:" + "a" * 64


def event(
    action: str,
    repository: str,
    *,
    tag: str = "",
    digest: str = DIGEST,
    at: dt.datetime | None = None,
    method: str = "",
    agent: str = "docker/27.3.1 go/go1.22",
    actor: str = "",
    address: str = "10.0.0.7:55874",
    media_type: str = media_types.OCI_MANIFEST,
    where: str = "manifests",
) -> dict[str, Any]:
    """An event of now, as 3.x writes it: empty fields are there. A deletion names no type and no address."""
    is_deletion = action == "delete"
    return {
        "id": str(uuid.uuid4()),
        "timestamp": (at or dt.datetime.now(dt.UTC)).isoformat().replace("+00:00", "Z"),
        "action": action,
        "target": {
            "mediaType": "" if is_deletion else media_type,
            "size": 0 if is_deletion else 417,
            "digest": digest,
            "repository": repository,
            "url": "" if is_deletion else f"http://registry:5000/v2/{repository}/{where}/{digest}",
            "tag": tag,
        },
        "request": {
            "id": str(uuid.uuid4()),
            "addr": address,
            "host": "registry:5000",
            "method": method or {"push": "PUT", "delete": "DELETE"}.get(action, "GET"),
            "useragent": agent,
        },
        "actor": {"name": actor} if actor else {},
        "source": {"addr": "registry:5000", "instanceID": str(uuid.uuid4())},
    }


def envelope(*events: dict[str, Any]) -> bytes:
    """The body of a notification."""
    return json.dumps({"events": events}, indent=3).encode()

"""A registry's documents as a page shows them."""

from __future__ import annotations

import json

from dashboard.services.inspect import MAX_SHOWN_JSON

from .formats import legible


def pretty_json(raw: bytes) -> str:
    """A JSON document indented, cut to MAX_SHOWN_JSON; as it is where it is not JSON; "" for none."""
    try:
        text = json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = raw.decode("utf-8", "replace")
    return legible(text, MAX_SHOWN_JSON)

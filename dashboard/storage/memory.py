"""What manifests refer to, remembered from one scan to the next, so that each is read once.

A manifest never changes under its digest. The memory is a file of ours beside the database, and may be lost at any
time: then the next scan reads every manifest again, as a full pass always does.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .facts import Facts
from .references import References

_HEADER = b"strata manifests 2\n"  # another number wherever References change
_HASH_BYTES = 32
MAX_BYTES = 512 * 1024 * 1024


def load(path: Path) -> Mapping[str, References]:
    """What was remembered in `path`; nothing where there is no such file, or it is not whole."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return {}
        content = path.read_bytes()
    except OSError:
        return {}
    body = memoryview(content)[len(_HEADER) + _HASH_BYTES :]
    # The hash is that of our own writing: a file cut short or changed never gets to marshal, which trusts its input.
    if content[: len(_HEADER) + _HASH_BYTES] != _HEADER + hashlib.sha256(body).digest():
        return {}
    remembered: Mapping[str, References] = marshal.loads(body)  # noqa: S302
    return remembered


def save(path: Path, facts: Facts) -> None:
    """Remembers the manifests of a scan, and no others, for the owner's eyes alone. Raises OSError."""
    seen: dict[str, str] = {}

    def once(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple([seen.setdefault(text, text) for text in texts])

    manifests: dict[str, tuple[Any, ...]] = {
        digest: (once(manifest.content), once(manifest.children), manifest.subject, *manifest[3:])
        for digest, manifest in facts.manifests.items()
    }
    body = marshal.dumps(manifests)
    if len(body) > MAX_BYTES - len(_HEADER) - _HASH_BYTES:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, written = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_HEADER)
            file.write(hashlib.sha256(body).digest())
            file.write(body)
        Path(written).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(written).unlink()
        raise

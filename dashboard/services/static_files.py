"""Static files: collected when what they are made of has changed since the last time."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.core.management import call_command


def collect_if_changed() -> bool:
    """Joins, hashes and compresses the static files unless they are those of last time; whether it did."""
    stamp = settings.STATIC_ROOT / ".stamp"
    state = _state()
    if stamp.exists() and stamp.read_text(encoding="ascii") == state:
        return False
    call_command("collectstatic", interactive=False, verbosity=0, clear=settings.STATIC_ROOT.exists())
    stamp.write_text(state, encoding="ascii")
    return True


def _state() -> str:
    """A hash over what the static files are made of: our sources, the code that joins them, the locked packages."""
    base = settings.BASE_DIR
    files = [*sorted((base / "static").rglob("*")), base / "registryui" / "assets.py", base / "requirements.txt"]
    state = hashlib.sha256()
    for file in files:
        if file.is_file():
            state.update(f"{file.relative_to(base)} {file.stat().st_mtime_ns} {file.stat().st_size}\n".encode())
    return state.hexdigest()

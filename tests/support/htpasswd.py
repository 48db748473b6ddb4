"""Password files as Distribution reads them: bcrypt only, here at its lowest cost."""

from __future__ import annotations

from pathlib import Path

import bcrypt


def write_htpasswd(path: Path, **users: str) -> Path:
    """A file of `user=password` at `path`."""
    lines = [
        f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()}\n"
        for user, password in users.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="ascii")
    return path

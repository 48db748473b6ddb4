"""A password file on the disk as the fake registry's: read anew at each question, as Distribution does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import bcrypt


class _Hash(str):
    """Equal to the password that it is the hash of."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, password: object) -> bool:
        try:
            return isinstance(password, str) and bcrypt.checkpw(password.encode()[:72], self.encode())
        except ValueError:
            return False


class PasswordFileOnDisk(Mapping[str, str]):
    """Name → what is equal to the password."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, name: str) -> str:
        return _Hash(self._users()[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._users())

    def __len__(self) -> int:
        return len(self._users())

    def _users(self) -> dict[str, str]:
        lines = (line.strip() for line in self._path.read_text(encoding="utf-8").splitlines())
        found = (line.partition(":") for line in lines if line and not line.startswith("#"))
        return {name: hashed for name, _colon, hashed in found}

"""Users of the registry of the environment, where its password file is mounted here (DASHBOARD_HTPASSWD_FILE).

The registry reads the file anew by itself. It is only ever replaced as a whole: a new file beside it, written out, with
the same mode and owner, renamed over it. One writer at a time, by a lock on a file beside it; whoever saw the file
before somebody else changed it has to look again (`seen`). The audit's row and the change come together.

What can be written at all is said by `dashboard/registry/htpasswd.py`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import hmac
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from dashboard.models import AuditEntry, Registry, User
from dashboard.registry import htpasswd
from dashboard.registry.htpasswd import PasswordFile, Refused, RegistryUser

from . import access, audit, credential_checks, credentials, status
from .audit import Actor
from .credentials import Verdict

MAX_BYTES = 1024 * 1024
LOCK_SECONDS = 5.0
ADDED, PASSWORD_SET, SWITCHED_OFF, SWITCHED_ON, REMOVED, MENDED, MAPPED, FOLLOWED = (
    "registry-user-added",
    "registry-user-password",
    "registry-user-disabled",
    "registry-user-enabled",
    "registry-user-removed",
    "registry-user-mended",
    "registry-user-mapped",
    "credentials-followed",
)
"""What was done, for the audit."""
MISSING, NO_FILE, TOO_LARGE, UNREADABLE, NOT_WRITABLE, MOUNTED_ALONE, OWNER, CHANGED, BUSY = (
    "missing",
    "no-file",
    "too-large",
    "unreadable",
    "not-writable",
    "mounted-alone",
    "owner",
    "changed",
    "busy",
)


class FileProblem(Exception):
    """The file cannot be read, or was not changed. `code`: MISSING, NO_FILE (a directory, a pipe, a link that leads out
    of its directory), TOO_LARGE, UNREADABLE, NOT_WRITABLE, MOUNTED_ALONE (a mount of this one file), OWNER (a new file
    could not be given to whom the old one belongs), CHANGED (since it was shown), BUSY.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Shown:
    """The file as it was read. `seen` stands for this very content; `people`: whose credential is kept, by its name."""

    users: Sequence[RegistryUser]
    malformed: Sequence[int]
    seen: str
    people: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and what the registry says of the new password right after (None: nothing to ask about).

    `followed`: whose kept credentials have the new password now.
    """

    name: str
    verdict: Verdict | None = None
    password: str = field(default="", repr=False)
    followed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    path: Path
    content: bytes
    stat: os.stat_result

    @property
    def seen(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def parsed(self) -> PasswordFile:
        return htpasswd.parse(self.content.decode("utf-8", "surrogateescape"))


def are_of(registry: Registry) -> bool:
    """Whether the users of this registry can be changed here."""
    return bool(settings.HTPASSWD_FILE) and registry.from_environment


def shown(registry: Registry) -> Shown:
    """The users of the registry. Raises FileProblem."""
    found = _read()
    try:
        parsed = found.parsed()
    except Refused:
        raise FileProblem(UNREADABLE) from None
    return Shown(parsed.users(), parsed.malformed, found.seen, credential_checks.owners(registry))


def problem() -> str:
    """Why the file could not be changed now, a code of FileProblem; "" if nothing is known to stand in the way."""
    try:
        found = _read()
    except FileProblem as known:
        return known.code
    return "" if os.access(found.path.parent, os.W_OK | os.X_OK) else NOT_WRITABLE


def candidates() -> QuerySet[User]:
    """People to whom a registry user can be given, by name."""
    return User.objects.filter(is_active=True).order_by("username")


def add(*, registry: Registry, name: str, password: str, seen: str, actor: Actor) -> Written:
    """Adds a user; without a `password` one is generated. Raises Refused, FileProblem."""
    chosen, hashed = _hashed(password)
    _change(lambda file: file.add(name, hashed), registry, ADDED, name, seen, actor)
    return Written(name, _verified(registry, name, chosen), "" if password else chosen)


def set_password(*, registry: Registry, name: str, password: str, seen: str, actor: Actor) -> Written:
    """Gives a user another password; without a `password` one is generated. Raises Refused, FileProblem.

    Once the registry accepts it, the credentials of that name that are kept here have it too: the one from before opens
    nothing any more, whoever gave it.
    """
    chosen, hashed = _hashed(password)
    after = _change(lambda file: file.set_hash(name, hashed), registry, PASSWORD_SET, name, seen, actor)
    user = after.user(name)
    verdict = _verified(registry, name, chosen) if user and user.enabled else None
    followed: list[str] = []
    if verdict is not None and verdict.accepted and not verdict.needless:
        followed = credential_checks.follow(registry=registry, username=name, password=chosen)
    if followed:
        _record(registry, FOLLOWED, AuditEntry.Outcome.DONE, f"{name} → {', '.join(followed)}", actor)
    return Written(name, verdict, "" if password else chosen, followed)


def disable(*, registry: Registry, name: str, seen: str, actor: Actor) -> Written:
    """Switches a user off; the line stays as a comment, and kept credentials of that name count as refused.

    Raises Refused, FileProblem.
    """
    _change(lambda file: file.disable(name), registry, SWITCHED_OFF, name, seen, actor)
    credential_checks.refuse(registry=registry, username=name)
    return Written(name)


def enable(*, registry: Registry, name: str, seen: str, actor: Actor) -> Written:
    """Switches a user on again, with the password from before; kept credentials of that name are asked about.

    Raises Refused, FileProblem.
    """
    _change(lambda file: file.enable(name), registry, SWITCHED_ON, name, seen, actor)
    credential_checks.ask_about(registry=registry, username=name, actor=actor)
    return Written(name)


def remove(*, registry: Registry, name: str, seen: str, actor: Actor) -> Written:
    """Removes a user; kept credentials of that name count as refused. Raises Refused, FileProblem."""
    _change(lambda file: file.remove(name), registry, REMOVED, name, seen, actor)
    credential_checks.refuse(registry=registry, username=name)
    return Written(name)


def mend(*, registry: Registry, seen: str, actor: Actor) -> None:
    """Makes comments of the lines that keep the registry from reading the file. Raises FileProblem."""
    _change(PasswordFile.mend, registry, MENDED, "", seen, actor)


def map_to(*, registry: Registry, user: User, name: str, seen: str | None, actor: Actor, told: bool = False) -> Written:
    """Makes a registry user with a generated password, kept as the own credential of `user`.

    Nobody sees the password, unless it is `told`: then an accepted one is in the result. What the registry does not
    accept right after is taken back, and no credential is kept: see the verdict. `seen` None: as the file is now.
    Raises Refused, FileProblem.
    """
    password, hashed = _hashed("")
    _change(
        lambda file: file.add(name, hashed), registry, MAPPED, name, seen, actor, reason=f"{name} → {user.username}"
    )
    verdict = credentials.verify(registry=registry, username=name, password=password)
    if verdict.accepted and not verdict.needless:
        credentials.store(user=user, registry=registry, username=name, password=password)
        return Written(name, verdict, password if told else "")
    _change(lambda file: file.remove(name), registry, REMOVED, name, None, actor)
    return Written(name, verdict)


def _hashed(password: str) -> tuple[str, str]:
    """The password, generated if there is none, and its hash: before the lock, as it takes its time."""
    chosen = password or htpasswd.generate_password()
    return chosen, htpasswd.hash_password(chosen)


def _verified(registry: Registry, name: str, password: str) -> Verdict:
    return credentials.verify(registry=registry, username=name, password=password)


def _change(
    change: Callable[[PasswordFile], PasswordFile],
    registry: Registry,
    deed: str,
    name: str,
    seen: str | None,
    actor: Actor,
    *,
    reason: str = "",
) -> PasswordFile:
    """Reads, changes and replaces the file, alone. Raises Refused, FileProblem; then nothing was changed."""
    if name and not htpasswd.is_name(name):
        raise Refused(htpasswd.NAME)
    try:
        with _alone():
            before = _read_as(seen)
            after = change(before.parsed())
            content = _content(after)
            with transaction.atomic():
                _record(registry, deed, AuditEntry.Outcome.DONE, reason or name, actor)
                _replace(before, content)
    except FileProblem as problem:
        _record(registry, f"htpasswd-{problem.code}", AuditEntry.Outcome.FAILED, reason or name, actor)
        raise
    access.forget()
    status.forget()
    return after


def _record(registry: Registry, code: str, outcome: AuditEntry.Outcome, reason: str, actor: Actor) -> None:
    audit.record(
        actor=actor,
        action=AuditEntry.Action.REGISTRY_USER,
        outcome=outcome,
        registry=registry.slug,
        code=code,
        reason=reason,
    )


def _path() -> Path:
    """The file itself: a link is followed within its directory, where the new file can take its target's place."""
    named = Path(settings.HTPASSWD_FILE)
    try:
        path = named.resolve(strict=True)
        inside = path.parent == named.parent.resolve(strict=True)
    except FileNotFoundError:
        raise FileProblem(MISSING) from None
    except (OSError, RuntimeError, ValueError):
        raise FileProblem(UNREADABLE) from None
    if not inside:
        raise FileProblem(NO_FILE)
    return path


def _read() -> _Read:
    path = _path()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise FileProblem(MISSING) from None
    except OSError:
        raise FileProblem(UNREADABLE) from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise FileProblem(NO_FILE)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise FileProblem(TOO_LARGE)
    return _Read(path, content, found)


def _read_as(seen: str | None) -> _Read:
    """The file, if it is as it was shown."""
    found = _read()
    if seen is not None and not hmac.compare_digest(found.seen.encode(), seen.encode()):
        raise FileProblem(CHANGED)
    return found


def _content(file: PasswordFile) -> bytes:
    content = file.text.encode("utf-8", "surrogateescape")
    if len(content) > MAX_BYTES:
        raise FileProblem(TOO_LARGE)
    return content


@contextmanager
def _alone() -> Iterator[None]:
    """Holds the lock beside the file, which every process of ours takes. Raises FileProblem."""
    path = _path()
    try:
        descriptor = os.open(
            path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
    except OSError:
        raise FileProblem(NOT_WRITABLE) from None
    try:
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise FileProblem(BUSY) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _replace(before: _Read, content: bytes) -> None:
    """Puts `content` in the file's place in one step: whoever reads sees the old one or the new one."""
    path = before.path
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            _give(file.fileno(), before.stat)
            file.write(content)
            file.flush()
            _make_newer(file.fileno(), before.stat)
            os.fsync(file.fileno())
        new.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        code = MOUNTED_ALONE if error.errno in {errno.EBUSY, errno.EXDEV} else NOT_WRITABLE
        raise FileProblem(code) from None
    finally:
        with contextlib.suppress(OSError):
            new.unlink()


def _give(descriptor: int, before: os.stat_result) -> None:
    """Mode and owner from before. Raises FileProblem where the registry might not be able to read it any more."""
    made = os.fstat(descriptor)
    try:
        if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
            os.fchown(descriptor, before.st_uid, before.st_gid)
    except PermissionError:
        if not before.st_mode & stat.S_IROTH:
            raise FileProblem(OWNER) from None
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _make_newer(descriptor: int, before: os.stat_result) -> None:
    """A time after the old one: the registry looks at nothing else to know that the file is another."""
    if os.fstat(descriptor).st_mtime_ns <= before.st_mtime_ns:
        later = before.st_mtime_ns + 1_000_000
        os.utime(descriptor, ns=(later, later))


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

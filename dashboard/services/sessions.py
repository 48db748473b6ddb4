"""Where people are signed in: noted at sign-in and every few minutes, listed, ended."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from dashboard.models import User, UserSession

from .client_address import client_address
from .quick_writes import write_within

SEEN_EVERY = 300
"""Seconds."""
WRITE_WAIT_MS = 200
MAX_LISTED = 200
_SEEN = "seen_at"


@receiver(user_logged_in, dispatch_uid="sessions")
def signed_in(sender: object, request: HttpRequest, user: User, **_kwargs: Any) -> None:
    """A session begins; rows of the person's sessions that ended by themselves go."""
    if request.session.session_key is None:
        request.session.create()
    rows = UserSession.objects.filter(user=user)
    rows.exclude(session_key__in=_live(rows)).delete()
    _note(request, user)


def seen(request: HttpRequest, user: User) -> None:
    """Notes that a session is in use, at most every SEEN_EVERY seconds; left out while the database is busy."""
    last = request.session.get(_SEEN, 0)
    if isinstance(last, int) and time.time() - last < SEEN_EVERY:
        return
    write_within(WRITE_WAIT_MS, lambda: _note(request, user))


def listed(user: User) -> list[UserSession]:
    """The live sessions of somebody, the one seen last first; at most MAX_LISTED."""
    rows = UserSession.objects.filter(user=user)
    return list(rows.filter(session_key__in=_live(rows)).order_by("-last_seen_at", "-pk")[:MAX_LISTED])


def end(user: User, pk: int) -> bool:
    """Ends one session of somebody; whether there was one."""
    return bool(_end(user, lambda row: row.pk == pk))


def end_others(user: User, session_key: str) -> int:
    """Ends all sessions of somebody but the one with this key; how many."""
    return _end(user, lambda row: row.session_key != session_key)


def end_all(user: User) -> int:
    """Ends all sessions of somebody; how many."""
    return _end(user, lambda _row: True)


def _end(user: User, chosen: Callable[[UserSession], bool]) -> int:
    keys = [row.session_key for row in UserSession.objects.filter(user=user) if chosen(row)]
    Session.objects.filter(session_key__in=keys).delete()
    return UserSession.objects.filter(user=user, session_key__in=keys).delete()[0]


def _live(rows: Any) -> Any:
    live = Session.objects.filter(expire_date__gt=timezone.now())
    return live.filter(session_key__in=rows.values("session_key")).values("session_key")


def _note(request: HttpRequest, user: User) -> None:
    now: dt.datetime = timezone.now()
    UserSession.objects.update_or_create(
        session_key=request.session.session_key,
        defaults={
            "user": user,
            "last_seen_at": now,
            "address": client_address(request)[:45],
            "agent": str(request.META.get("HTTP_USER_AGENT", "")).replace("\0", "")[: UserSession.MAX_AGENT],
        },
        create_defaults={
            "user": user,
            "created_at": now,
            "last_seen_at": now,
            "address": client_address(request)[:45],
            "agent": str(request.META.get("HTTP_USER_AGENT", "")).replace("\0", "")[: UserSession.MAX_AGENT],
        },
    )
    request.session[_SEEN] = int(time.time())

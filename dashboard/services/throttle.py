"""Sign-in throttling: until when a name and address are locked (the counting is django-axes')."""

from __future__ import annotations

import datetime as dt

from axes.models import AccessAttempt
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from .client_address import client_address


def locked_until(request: HttpRequest, username: str) -> dt.datetime:
    """When `username` may be tried again from this request's address."""
    attempts = AccessAttempt.objects.filter(username=username, ip_address=client_address(request))
    last = attempts.order_by("-attempt_time").values_list("attempt_time", flat=True).first() or timezone.now()
    until: dt.datetime = last + dt.timedelta(hours=settings.AXES_COOLOFF_TIME)
    return until


def forget(request: HttpRequest, username: str) -> None:
    """The failures of `username` from this request's address count no longer: the right password was given."""
    AccessAttempt.objects.filter(username=username, ip_address=client_address(request)).delete()


def locks_now(request: HttpRequest, username: str | None) -> bool:
    """Whether this request's failure is the one that locks: those during a lock are not counted any more."""
    counted = {"username": username, "ip_address": client_address(request)}
    when = getattr(request, "axes_attempt_time", None)
    return bool(AccessAttempt.objects.filter(**counted, attempt_time=when).exists())

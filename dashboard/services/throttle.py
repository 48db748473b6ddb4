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

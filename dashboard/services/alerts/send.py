"""Telling people outside the dashboard about alerts: by e-mail and by a webhook, each message once.

Whoever sends a message first moves on the time at which it may be tried again, in one statement; of two workers only
one succeeds in that. What fails is tried again, less and less often, MAX_ATTEMPTS times in all. A worker that is killed
while it sends leaves the message to be tried again: then it may arrive twice, with the same id.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import smtplib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from dashboard.models import AlertMessage, Registry
from dashboard.registry import webhook

from .raise_and_end import ways

logger = logging.getLogger(__name__)

AT_ONCE = 5
"""Messages in one round: each may take ten seconds, and other work waits for the round."""
LEASE = dt.timedelta(minutes=2)
PAUSES = tuple(dt.timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
MAX_ATTEMPTS = len(PAUSES) + 1
NOT_SET_UP = "no longer set up"


@dataclass(frozen=True, slots=True)
class Text:
    """A message in words: subject and body of the mail, and the object that the webhook gets."""

    subject: str
    body: str
    payload: Mapping[str, Any]


class NotSent(Exception):
    """It could not be handed over. `reason`: a short text without addresses and secrets; `is_final`: give up."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


@dataclass(frozen=True, slots=True)
class Told:
    """How it stands with telling about a registry's alerts: the ways that are set up, and what did not arrive.

    `failing`: of each way the last message, where that could not be sent, or not yet.
    """

    ways: list[AlertMessage.Way]
    failing: list[AlertMessage] = field(default_factory=list)


def send_due(words: Callable[[AlertMessage], Text]) -> int:
    """Sends what is due, the oldest first, AT_ONCE at most; `words` puts a message into words. How many were tried."""
    tried = 0
    for message in _due()[:AT_ONCE]:
        if not _claim(message):
            continue
        tried += 1
        try:
            _hand_over(message, words(message))
        except NotSent as failure:
            _failed(message, failure)
        else:
            mine = AlertMessage.objects.filter(pk=message.pk)
            mine.update(state=AlertMessage.State.SENT, sent_at=timezone.now(), next_at=None, error="")
    return tried


def told(registry: Registry) -> Told:
    """What of a registry's messages failed, for the status page."""
    found = Told(ways())
    for way in AlertMessage.Way:
        tried = AlertMessage.objects.filter(alert__registry=registry, way=way).exclude(attempts=0)
        last = tried.select_related("alert").order_by("-created_at").first()
        if last is not None and last.error and last.error != NOT_SET_UP:
            found.failing.append(last)
    return found


def _due() -> QuerySet[AlertMessage]:
    """Waiting and due; that something is over is not told before that it began."""
    earlier = AlertMessage.objects.filter(
        alert=OuterRef("alert"),
        way=OuterRef("way"),
        state=AlertMessage.State.WAITING,
        created_at__lt=OuterRef("created_at"),
    )
    waiting = AlertMessage.objects.filter(state=AlertMessage.State.WAITING, next_at__lte=timezone.now())
    return waiting.exclude(Exists(earlier)).select_related("alert__registry").order_by("created_at", "pk")


def _claim(message: AlertMessage) -> bool:
    now = timezone.now()
    waiting = AlertMessage.objects.filter(pk=message.pk, state=AlertMessage.State.WAITING, next_at=message.next_at)
    if not waiting.update(next_at=now + LEASE, attempts=F("attempts") + 1):
        return False  # another worker has it
    message.attempts += 1
    return True


def _failed(message: AlertMessage, failure: NotSent) -> None:
    gives_up = failure.is_final or message.attempts >= MAX_ATTEMPTS
    mine = AlertMessage.objects.filter(pk=message.pk)
    if gives_up:
        mine.update(state=AlertMessage.State.FAILED, next_at=None, error=failure.reason[:200])
    else:
        mine.update(next_at=timezone.now() + PAUSES[message.attempts - 1], error=failure.reason[:200])
    logger.warning("an alert could not be told by %s: %s", message.way, failure.reason)


def _hand_over(message: AlertMessage, text: Text) -> None:
    if message.way not in ways():
        raise NotSent(NOT_SET_UP, is_final=True)
    if message.way == AlertMessage.Way.EMAIL:
        _mail(message, text)
    else:
        _post(text)


def _post(text: Text) -> None:
    body = json.dumps(text.payload).encode()
    try:
        webhook.post(settings.ALERT_WEBHOOK_URL, body, token=settings.ALERT_WEBHOOK_TOKEN)
    except webhook.NotTaken as refused:
        raise NotSent(refused.reason, is_final=refused.is_final) from None


def _mail(message: AlertMessage, text: Text) -> None:
    mail = EmailMessage(
        subject=" ".join(text.subject.split()),
        body=text.body,
        to=settings.ALERT_EMAILS,
        # Auto-Submitted: no "I am on holiday" comes back.
        headers={"Message-ID": f"<{message.pk}@strata>", "Auto-Submitted": "auto-generated"},
    )
    try:
        mail.send()
    except smtplib.SMTPAuthenticationError:
        raise NotSent("the mail server refuses the name and password") from None
    except smtplib.SMTPRecipientsRefused:
        raise NotSent("the mail server refuses the recipients") from None
    except smtplib.SMTPResponseException as error:  # what it said may repeat addresses
        raise NotSent(f"the mail server answered {error.smtp_code}") from None
    except smtplib.SMTPException:
        raise NotSent("the mail server does not do what mail needs") from None
    except TimeoutError:
        raise NotSent("the mail server did not answer in time") from None
    except OSError as error:  # TLS too
        raise NotSent(f"the mail server cannot be reached: {error.strerror or type(error).__name__}") from None

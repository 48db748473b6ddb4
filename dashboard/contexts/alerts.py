"""Alerts in words: notices on pages, lines of the status page, messages to people outside; the page of thresholds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard.models import Alert, AlertMessage, Registry
from dashboard.services.alerts.send import Text, Told

from . import links
from .formats import duration, legible, relative, share, size
from .status import Level, Line

PAYLOAD_VERSION = 1


@dataclass(frozen=True, slots=True)
class AlertNotice:
    """An open alert on a page: what, since when, and what to do, with the address where."""

    code: str
    title: str
    sentence: str
    advice: str
    since: dt.datetime
    url: str


@dataclass(frozen=True, slots=True)
class PastAlert:
    """An alert in the list of the last ones, and what was told of it."""

    title: str
    since: dt.datetime
    resolved_at: dt.datetime | None
    told: Sequence[str]


@dataclass(frozen=True, slots=True)
class ThresholdsPage:
    """Everything that thresholds.html shows besides the form."""

    host: str
    url: str
    edit_url: str
    home_url: str
    mounted: bool
    notices: Sequence[AlertNotice]
    past: Sequence[PastAlert]
    emails: int
    webhook: bool


def notices(alerts: Iterable[Alert]) -> list[AlertNotice]:
    """Open alerts of one registry, as notices."""
    return [_notice(alert) for alert in alerts]


def thresholds_url(registry: Registry) -> str:
    """Where the thresholds of a registry are set."""
    return reverse("thresholds", args=[registry.slug])


def thresholds_page(registry: Registry, open_ones: Sequence[Alert], past: Sequence[Alert]) -> ThresholdsPage:
    """The page; `past` with their messages."""
    return ThresholdsPage(
        host=registry.public_host,
        url=thresholds_url(registry),
        edit_url=reverse("edit-registry", args=[registry.slug]),
        home_url=links.storage(registry),
        mounted=bool(registry.storage_address),
        notices=notices(open_ones),
        past=[PastAlert(_title(alert.code), alert.since, alert.resolved_at, _told_of(alert)) for alert in past],
        emails=len(settings.ALERT_EMAILS),
        webhook=bool(settings.ALERT_WEBHOOK_URL),
    )


def status_line(told: Told) -> Line:
    """How people are told outside the dashboard, for administrators."""
    name = _("Alerts")
    if told.failing:
        found = " ".join(
            _("By %(way)s: %(why)s (%(when)s).")
            % {
                "way": str(AlertMessage.Way(message.way).label),
                "why": legible(message.error, 200),
                "when": relative(message.created_at),
            }
            for message in told.failing
        )
        gave_up = any(message.state == AlertMessage.State.FAILED for message in told.failing)
        fix = _("See to EMAIL_URL, DASHBOARD_ALERT_EMAILS and DASHBOARD_ALERT_WEBHOOK_URL, or to who receives there.")
        verdict = _("Could not be told") if gave_up else _("Not told yet; it is tried again")
        return Line(name, Level.BAD if gave_up else Level.WARNING, verdict, found, fix)
    if not told.ways:
        found = _("Thresholds that are passed show on the pages of this registry, and nowhere else.")
        fix = _("Set DASHBOARD_ALERT_EMAILS or DASHBOARD_ALERT_WEBHOOK_URL to be told.")
        return Line(name, Level.GOOD, _("Shown here only"), found, fix)
    ways = ", ".join(str(way.label) for way in told.ways)
    return Line(
        name, Level.GOOD, _("Told by %(ways)s") % {"ways": ways}, _("Once when it begins and once when it ends.")
    )


def words(message: AlertMessage) -> Text:
    """A message to people outside: plain text, and the object of the webhook (docs/alerts.md)."""
    alert = message.alert
    registry = alert.registry
    told = _notice(alert)
    over = message.event == AlertMessage.Event.OVER
    host = legible(registry.public_host, 200)
    address = urljoin(settings.BASE_URL, links.storage(registry))
    title = _("Over: %(title)s") % {"title": told.title} if over else told.title
    if over and alert.resolved_at is not None:
        span = duration(int((alert.resolved_at - alert.since).total_seconds()))
        sentence = _("It lasted %(span)s.") % {"span": span}
    else:
        sentence = f"{told.sentence} {told.advice}"
    return Text(
        subject=f"[Strata] {host}: {title}",
        body=f"{host}: {title}.\n\n{sentence}\n\n{address}\n",
        payload={
            "version": PAYLOAD_VERSION,
            "id": str(message.pk),
            "event": message.event,
            "code": alert.code,
            "registry": {"name": registry.slug, "host": registry.public_host},
            "since": alert.since.isoformat(),
            "resolved": alert.resolved_at.isoformat() if over and alert.resolved_at else None,
            "figures": alert.figures,
            "text": f"{host}: {title}. {sentence}",
            "url": address,
        },
    )


def _notice(alert: Alert) -> AlertNotice:
    registry = alert.registry
    addresses = {Alert.Code.SCAN_AGE: reverse("jobs", args=[registry.slug])}
    return AlertNotice(
        code=alert.code,
        title=_title(alert.code),
        sentence=_sentence(alert),
        advice=_advice(alert.code),
        since=alert.since,
        url=addresses.get(Alert.Code(alert.code), links.storage(registry)),
    )


def _title(code: str) -> str:
    return {
        Alert.Code.FREE: _("Little free space"),
        Alert.Code.GROWTH: _("The registry grows fast"),
        Alert.Code.ORPHANS: _("Much that nothing needs"),
        Alert.Code.SCAN_AGE: _("The storage was not scanned for long"),
    }[Alert.Code(code)]


def _sentence(alert: Alert) -> str:
    figures: Mapping[str, Any] = alert.figures
    if alert.code == Alert.Code.FREE:
        free, disk = int(figures["free"]), int(figures["disk"])
        values = {"free": size(free), "disk": size(disk), "share": share(free, disk), "limit": size(figures["limit"])}
        return _("%(free)s of %(disk)s are free (%(share)s); this is told below %(limit)s.") % values
    if alert.code == Alert.Code.GROWTH:
        values = {"growth": size(int(figures["growth"])), "limit": size(figures["limit"])}
        return _("It grew by %(growth)s a day over the last week; this is told above %(limit)s.") % values
    if alert.code == Alert.Code.ORPHANS:
        orphans, data = int(figures["orphans"]), int(figures["data"])
        values = {"orphans": size(orphans), "data": size(data), "limit": size(figures["limit"])}
        return _("%(orphans)s of %(data)s are reached from no manifest; this is told above %(limit)s.") % values
    end = alert.resolved_at or timezone.now()
    seconds = int(figures["seconds"]) + max(0, int((end - alert.since).total_seconds()))
    values = {"span": duration(seconds), "limit": duration(int(figures["limit"]))}
    return _("The last scan that ended well began %(span)s ago; this is told after %(limit)s.") % values


def _advice(code: str) -> str:
    return {
        Alert.Code.FREE: _("The storage page shows what can go; or enlarge the disk."),
        Alert.Code.GROWTH: _("The storage page shows what is large; old tags can be deleted by a rule."),
        Alert.Code.ORPHANS: _("Run the registry's garbage collection."),
        Alert.Code.SCAN_AGE: _("See whether the worker runs and how the last scan ended, or scan now."),
    }[Alert.Code(code)]


def _told_of(alert: Alert) -> list[str]:
    states = {
        AlertMessage.State.SENT: _("%(event)s, by %(way)s: sent"),
        AlertMessage.State.WAITING: _("%(event)s, by %(way)s: waits"),
        AlertMessage.State.FAILED: _("%(event)s, by %(way)s: failed (%(why)s)"),
    }
    found = sorted(alert.messages.all(), key=lambda message: (message.created_at, message.way))
    return [
        states[AlertMessage.State(message.state)]
        % {
            "event": str(AlertMessage.Event(message.event).label),
            "way": str(AlertMessage.Way(message.way).label),
            "why": legible(message.error, 200),
        }
        for message in found
    ]

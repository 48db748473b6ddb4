"""Parts of rows that lists print many times: as filters, because an included template costs far more. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from dashboard.charts.bars import Segment
from dashboard.contexts.last_pull import Told
from dashboard.contexts.platforms import PlatformName

register = template.Library()


@register.filter
def told(moment: Told) -> SafeString:
    """A time as its cell tells it, or that there is none to tell."""
    if moment.iso:
        return format_html('<time datetime="{}" title="{}">{}</time>', moment.iso, moment.title, moment.text)
    return format_html('<span class="dim" title="{}">{}</span>', moment.title, moment.text)


@register.filter
def pieces(bar: Iterable[Segment]) -> SafeString:
    """The rectangles of a strata bar; the key of each is its class. All three texts are our own: nothing to escape."""
    return SafeString(
        "".join(
            f'<rect class="seg {part.key}{_thin(part.width)}" x="{part.x}" y="0" width="{part.width}" height="100%"/>'
            for part in bar
        )
    )


def _thin(width: str) -> str:
    """A piece that its own border would cover goes without one."""
    return " thin" if float(width.rstrip("%")) < 1 else ""


@register.filter
def platform_box(parts: Iterable[PlatformName]) -> SafeString:
    """`linux│amd64│arm64` in one box; what is missing is struck through and says so."""
    missing = gettext("not in the registry")
    inner = [
        format_html(
            '<span class="missing" title="{0}">{1}<span class="visually-hidden"> ({0})</span></span>',
            missing,
            part.label,
        )
        if part.missing
        else format_html('<span class="{}">{}</span>', "system" if part.is_system else "", part.label)
        for part in parts
    ]
    return format_html('<span class="plats">{}</span>', SafeString("".join(inner)))

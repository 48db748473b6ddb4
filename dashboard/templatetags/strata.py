"""Formatting for templates: icons, sizes, times, shares, counts. No I/O, no queries."""

from __future__ import annotations

import datetime as dt

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard.contexts import formats
from dashboard.registry import references

register = template.Library()


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """An icon of the sprite (registryui/assets.py); for the eye only."""
    classes = f"icon {extra}".strip()
    return format_html(
        '<svg class="{}" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>',
        classes,
        static("icons.svg"),
        name,
    )


@register.filter
def size(count: int | None) -> SafeString | str:
    """Bytes as a number and a unit in a slot of its own; exact in the tooltip. A dash for None."""
    if count is None:
        return "—"
    shown = formats.size(count)
    return format_html(
        '<data value="{}" title="{}">{}<span class="unit">{}</span></data>',
        count,
        shown.exact,
        shown.number,
        shown.unit,
    )


@register.filter
def size_text(count: int) -> str:
    """Bytes as plain text: `412.8 MiB`."""
    return str(formats.size(count))


@register.filter
def figure(count: int | None) -> SafeString | str:
    """Bytes for the masthead: the number large, the unit small. A dash for None."""
    if count is None:
        return "—"
    shown = formats.size(count)
    return format_html('<span title="{}">{} <small>{}</small></span>', shown.exact, shown.number, shown.unit)


@register.filter
def when(moment: dt.datetime | None) -> SafeString | str:
    """A time, relative, with the exact time in the tooltip; a dash for None."""
    shown = formats.moment(moment)
    if shown is None:
        return "—"
    return format_html('<time datetime="{}" title="{}">{}</time>', shown.iso, shown.exact, shown.relative)


@register.filter
def exact(moment: dt.datetime | None) -> str:
    """A time in full."""
    shown = formats.moment(moment)
    return shown.exact if shown else ""


@register.filter
def short(digest: str) -> str:
    """The first 12 hex digits of a digest."""
    return references.short(digest)


@register.filter
def legible(text: str, limit: int = formats.MAX_TEXT) -> str:
    """A text that somebody else wrote, cut to `limit` characters, with nothing in it that hides or turns the rest."""
    return formats.legible(text, limit)


@register.filter
def grouped(number: int) -> str:
    """A whole number with grouping."""
    return formats.count(number)

"""Formatting in templates: what is escaped, what has a tooltip, and dashes for what is not known."""

from __future__ import annotations

import datetime as dt

import pytest
from django.template import Context, Template

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def rendered(source: str, **values: object) -> str:
    return Template("{% load strata %}" + source).render(Context(values)).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("source", "value", "html"),
    [
        ("{{ v|size }}", 1536, '<data value="1536" title="1,536 bytes">1.5<span class="unit">KiB</span></data>'),
        ("{{ v|size }}", 0, '<data value="0" title="0 bytes">0<span class="unit">B</span></data>'),
        ("{{ v|size }}", None, "—"), ("{{ v|figure }}", None, "—"), ("{{ v|when }}", None, "—"),
        ("{{ v|exact }}", None, ""),
        ("{{ v|figure }}", 1536, '<span title="1,536 bytes">1.5 <small>KiB</small></span>'),
        ("{{ v|size_text }}", 1536, "1.5 KiB"), ("{{ v|grouped }}", 12345, "12,345"),
        ("{{ v|exact }}", NOW, "2 January 2026, 03:04:05 UTC"),
        ("{{ v|short }}", "sha256:" + "0123456789abcdef" * 4, "0123456789ab"),
        ("{{ v|short }}", "", ""),
        ("{{ v|legible }}", "<b>\u202e", "&lt;b&gt;\ufffd"), ("{{ v|legible:3 }}", "abcdef", "ab…"),
    ],
)  # fmt: skip
def test_filters(source: str, value: object, html: str) -> None:
    assert rendered(source, v=value) == html


def test_time_is_machine_readable() -> None:
    html = rendered("{{ v|when }}", v=NOW)
    assert html.startswith('<time datetime="2026-01-02T03:04:05+00:00" title="2 January 2026, 03:04:05 UTC">')


def test_icon_is_for_the_eye_only_and_escapes() -> None:
    html = rendered('{% icon "copy" "todo" %}')
    assert 'class="icon todo" aria-hidden="true" focusable="false"' in html
    assert "#copy" in html
    assert "<b>" not in rendered("{% icon v %}", v='"><b>')

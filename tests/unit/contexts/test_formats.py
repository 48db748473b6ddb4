"""Figures, times and texts as people read them."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from dashboard.contexts import formats
from dashboard.registry.times import parse_time

NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("count", "shown", "exact"),
    [
        (0, "0 B", "0 bytes"), (1, "1 B", "1 byte"), (1023, "1,023 B", "1,023 bytes"), (1024, "1.0 KiB", "1,024 bytes"),
        (1536, "1.5 KiB", "1,536 bytes"), (1_048_524, "1,023.9 KiB", "1,048,524 bytes"),
        (1_048_575, "1.0 MiB", "1,048,575 bytes"),
        (432_852_173, "412.8 MiB", "432,852,173 bytes"), (5 * 1024**4, "5.0 TiB", "5,497,558,138,880 bytes"),
        (3000 * 1024**5, "3,000.0 PiB", "3,377,699,720,527,872,000 bytes"),
    ],
)  # fmt: skip
def test_sizes(count: int, shown: str, exact: str) -> None:
    size = formats.size(count)
    assert str(size).replace("\N{NO-BREAK SPACE}", " ") == shown
    assert size.exact == exact
    assert size.bytes == count


@given(st.integers(0, 2**62))
def test_size_never_shows_a_thousand_and_twenty_four(count: int) -> None:
    size = formats.size(count)
    assert size.unit == "PiB" or float(size.number.replace(",", "")) < 1024


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 10, "0.0 %"),
        (1, 3, "33.3 %"),
        (10, 10, "100.0 %"),
        (1, 100_000, "< 0.1 %"),
        (1, 1000, "0.1 %"),
        (0, 0, "0.0 %"),
        (5, 0, "0.0 %"),
    ],
)
def test_shares(part: int, whole: int, shown: str) -> None:
    assert formats.share(part, whole) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "just now"), (9, "just now"), (10, "10 seconds ago"), (60, "1 minute ago"), (119, "1 minute ago"),
        (3600, "1 hour ago"), (86_400, "1 day ago"), (13 * 86_400, "13 days ago"), (14 * 86_400, "2 weeks ago"),
        (60 * 86_400, "2 months ago"), (730 * 86_400, "2 years ago"), (-5, "just now"), (-300, "in 5 minutes"),
    ],
)  # fmt: skip
def test_age_in_its_largest_unit(seconds: int, shown: str) -> None:
    assert formats.relative(NOW - dt.timedelta(seconds=seconds), NOW) == shown


def test_moment_is_exact_in_the_readers_zone() -> None:
    with timezone.override("Asia/Shanghai"):
        shown = formats.moment(NOW, NOW)
    assert shown is not None
    assert (shown.exact, shown.iso) == ("24 November 2026, 20:00:00 CST", "2026-11-24T20:00:00+08:00")
    assert formats.moment(None) is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"), ("2026-01-02t03:04:05z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02 03:04:05.999999999+05:30", "2026-01-02T03:04:05+05:30"),
        (" 2026-01-02T03:04:05Z\n", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02", None), ("2026-13-02T03:04:05Z", None), ("2026-02-30T03:04:05Z", None),
        ("2026-01-02T03:04:05", None),
        ("1970-01-01T00:00:00Z", None), ("1989-12-31T23:59:59Z", None),
        ("1990-01-01T00:00:00Z", "1990-01-01T00:00:00+00:00"),
        ("", None), ("<script>", None), ("2026-01-02T03:04:05+99:99", None),
    ],
)  # fmt: skip
def test_times_of_others(text: str, read: str | None) -> None:
    found = parse_time(text)
    assert (found.isoformat() if found else None) == read


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_times(text: str) -> None:
    found = parse_time(text)
    assert found is None or found.tzinfo is not None


def test_last_second_of_all_is_no_date() -> None:
    """West of here it would be in the year 10000."""
    assert parse_time("9999-12-31T23:59:59-12:00") is None
    found = parse_time("9998-12-31T23:59:59-23:59")
    with timezone.override("Pacific/Kiritimati"):
        assert str(formats.moment(found)).count("9999") == 2


@pytest.mark.parametrize(
    "bad", ["\x00", "\x1b", "\x7f", "\x85", "\u200b", "\u200e", "\u202e", "\u2066", "\u2028", "\ufeff", "\ud800"]
)
def test_illegible_marks_are_made_visible(bad: str) -> None:
    assert formats.legible(f"a{bad}b") == "a\ufffdb"


@pytest.mark.parametrize(
    "text", ["line\n\tindented", "中文 한국어 عربى", "naïve — “quoted”", "👩\u200d💻 emoji", "\xa0no-break"]
)
def test_honest_text_is_left_alone(text: str) -> None:
    assert formats.legible(text) == text


@given(st.text(), st.integers(1, 50))
def test_text_is_cut_and_can_be_written(text: str, limit: int) -> None:
    shown = formats.legible(text, limit)
    assert len(shown) <= limit
    shown.encode()
    assert shown == text or "…" in shown or "\ufffd" in shown

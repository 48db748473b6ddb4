"""Lists: which rows are on which page, and which tags can be asked for."""

from __future__ import annotations

import pytest

from dashboard.registry.references import is_tag
from dashboard.services.browse import PAGE_SIZE, _page


@pytest.mark.parametrize(
    ("total", "asked", "number", "pages", "rows"),
    [
        (0, 1, 1, 1, 0),
        (1, 1, 1, 1, 1),
        (50, 1, 1, 1, 50),
        (51, 1, 1, 2, 50),
        (51, 2, 2, 2, 1),
        (51, 9, 2, 2, 1),
        (51, 0, 1, 2, 50),
        (51, -7, 1, 2, 50),
    ],
)
def test_page_is_always_one_that_exists(total: int, asked: int, number: int, pages: int, rows: int) -> None:
    page = _page([f"{n}" for n in range(total)], asked)
    assert (page.number, page.pages, page.total, len(page.rows)) == (number, pages, total, rows)
    assert list(page.rows) == [f"{n}" for n in range(page.first, page.first + rows)]


def test_pages_together_hold_every_row_once() -> None:
    names = [f"{n}" for n in range(3 * PAGE_SIZE + 7)]
    assert [name for number in range(1, 5) for name in _page(names, number).rows] == names


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("1.0", True),
        ("_x", True),
        ("t" * 128, True),
        ("t" * 129, False),
        ("-rf", False),
        ("a/b", False),
        ("", False),
        ("é", False),
        ("a\n", False),
    ],
)
def test_tags_that_can_be_asked_for(name: str, known: bool) -> None:
    assert is_tag(name) is known

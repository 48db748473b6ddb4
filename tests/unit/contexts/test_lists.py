"""Links below and above a list: the address is the state."""

from __future__ import annotations

import pytest

from dashboard.contexts.lists import heads, pagination
from dashboard.contexts.pull import TOOLS, pull_box
from dashboard.services.index.lists import PAGE_SIZE, Column, ListQuery, Order, Page, bounds, order_of

COLUMNS = {"name": Column("sort_key", descending=False), "pushed": Column("since")}


def query(order: str = "", **parts: object) -> ListQuery:
    return ListQuery(order_of(order, COLUMNS, "pushed"), **parts)  # type: ignore[arg-type]


def page(number: int, pages: int) -> Page[object]:
    rows = [object()] * 50
    return Page(rows, number, pages, total=pages * 50, first=(number - 1) * 50)


@pytest.mark.parametrize(
    ("number", "pages", "shown"),
    [
        (1, 1, ["1*"]), (1, 2, ["1*", "2"]), (1, 9, ["1*", "2", "…", "9"]),
        (5, 9, ["1", "…", "4", "5*", "6", "…", "9"]),
        (9, 9, ["1", "…", "8", "9*"]), (3, 5, ["1", "2", "3*", "4", "5"]),
    ],
)  # fmt: skip
def test_neighbours_and_ends(number: int, pages: int, shown: list[str]) -> None:
    found = pagination("/x/", query(page=number), page(number, pages))
    assert ["…" if link.gap else f"{link.number}{'*' if link.current else ''}" for link in found.links] == shown
    assert found.needed is (pages > 1)
    assert (found.previous == "", found.next == "") == (number == 1, number == pages)
    assert (found.first, found.last) == (50 * number - 49, 50 * number)


def test_links_keep_filter_order_and_view() -> None:
    asked = query("-name", contains="a&b", namespace="team", platform="linux/arm64", flat=True)
    kept = "name=a%26b&namespace=team&platform=linux%2Farm64&view=flat"
    assert pagination("/x/", asked, page(1, 3)).next == f"/x/?{kept}&sort=-name&page=2"
    assert heads("/x/", asked, COLUMNS, "pushed")["name"].url == f"/x/?{kept}&sort=name"


@pytest.mark.parametrize(
    ("order", "directions", "leads_to"),
    [
        ("", ("none", "descending"), ("/x/?sort=name", "/x/?sort=-pushed")),
        ("-pushed", ("none", "ascending"), ("/x/?sort=name", "/x/")),
        ("name", ("ascending", "none"), ("/x/?sort=-name", "/x/")),
        ("-name", ("descending", "none"), ("/x/?sort=name", "/x/")),
        ("colour", ("none", "descending"), ("/x/?sort=name", "/x/?sort=-pushed")),
    ],
)
def test_heads_lead_to_their_order_and_the_present_one_turns_round(
    order: str, directions: tuple[str, str], leads_to: tuple[str, str]
) -> None:
    found = heads("/x/", query(order, page=3), COLUMNS, "pushed")
    assert tuple(head.direction for head in found.values()) == directions
    assert tuple(head.url for head in found.values()) == leads_to


@pytest.mark.parametrize(
    ("total", "asked", "number", "pages", "first"),
    [(0, 1, 1, 1, 0), (50, 1, 1, 1, 0), (51, 1, 1, 2, 0), (51, 2, 2, 2, 50), (51, 9, 2, 2, 50), (51, -7, 1, 2, 0)],
)
def test_page_is_always_one_that_exists(total: int, asked: int, number: int, pages: int, first: int) -> None:
    assert bounds(total, asked) == (number, pages, first)
    assert PAGE_SIZE == 50


def test_order_without_a_value_comes_last_both_ways() -> None:
    column = Column("pulled_at", nullable=True)
    for turned in (False, True):
        first = Order("pulled", column, turned).by("sort_key")[0]
        assert getattr(first, "nulls_last", None) is True


def test_pull_commands_for_every_tool_by_tag_and_digest() -> None:
    box = pull_box("host:5000", "team/app", tag="1.0", digest="sha256:abc")
    whole = {(c.tool, c.by): c.before + c.reference + c.after for c in box.commands}
    assert len(whole) == 2 * len(TOOLS)
    assert whole["nerdctl", "tag"] == "nerdctl pull host:5000/team/app:1.0"
    assert whole["crane", "digest"] == "crane pull host:5000/team/app@sha256:abc app.tar"
    assert whole["skopeo", "digest"] == "skopeo copy docker://host:5000/team/app@sha256:abc oci:app"


def test_pull_by_digest_alone() -> None:
    assert pull_box("h", "app", tag="", digest="sha256:abc").by == ["digest"]

"""Links below and above a list: the address is the state."""

from __future__ import annotations

import pytest

from dashboard.contexts.lists import name_sort, pagination
from dashboard.contexts.pull import TOOLS, pull_box
from dashboard.services.browse import ListQuery, Page


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
    found = pagination("/x/", ListQuery(page=number), page(number, pages))
    assert ["…" if link.gap else f"{link.number}{'*' if link.current else ''}" for link in found.links] == shown
    assert found.needed is (pages > 1)
    assert (found.previous == "", found.next == "") == (number == 1, number == pages)
    assert (found.first, found.last) == (50 * number - 49, 50 * number)


def test_links_keep_filter_order_and_view() -> None:
    query = ListQuery(contains="a&b", page=1, extra={"view": "flat", "sort": "-name"})
    assert pagination("/x/", query, page(1, 3)).next == "/x/?name=a%26b&view=flat&sort=-name&page=2"
    assert name_sort("/x/", query).url == "/x/?name=a%26b&view=flat&sort=-name"


def test_order_turns_round() -> None:
    assert name_sort("/x/", ListQuery(descending=True)).url == "/x/?sort=name"
    assert name_sort("/x/", ListQuery(descending=True)).direction == "descending"
    assert name_sort("/x/", ListQuery()).url == "/x/?sort=-name"


def test_pull_commands_for_every_tool_by_tag_and_digest() -> None:
    box = pull_box("host:5000", "team/app", tag="1.0", digest="sha256:abc")
    whole = {(c.tool, c.by): c.before + c.reference + c.after for c in box.commands}
    assert len(whole) == 2 * len(TOOLS)
    assert whole["nerdctl", "tag"] == "nerdctl pull host:5000/team/app:1.0"
    assert whole["crane", "digest"] == "crane pull host:5000/team/app@sha256:abc app.tar"
    assert whole["skopeo", "digest"] == "skopeo copy docker://host:5000/team/app@sha256:abc oci:app"


def test_pull_by_digest_alone() -> None:
    assert pull_box("h", "app", tag="", digest="sha256:abc").by == ["digest"]

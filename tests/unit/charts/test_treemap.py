"""The treemap: areas are in proportion, fill their box, and never lie upon one another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts.treemap import HEADLINE, HEIGHT, WIDTH, Area, treemap

values = st.lists(st.integers(0, 10**13), max_size=12)


def box(area: Area) -> tuple[float, float, float, float]:
    x, width = (float(text.rstrip("%")) / 100 * WIDTH for text in (area.x, area.width))
    return x, area.y, x + width, area.y + area.height


@given(st.lists(st.tuples(values, st.booleans()), max_size=8))
def test_areas_lie_inside_their_group_apart_from_each_other_and_in_proportion(
    groups: list[tuple[list[int], bool]],
) -> None:
    drawn = treemap(
        [(f"{n}", [(f"{i}", v) for i, v in enumerate(parts)], headed) for n, (parts, headed) in enumerate(groups)]
    )

    assert sorted(int(group.area.key) for group in drawn) == [n for n, (parts, _) in enumerate(groups) if sum(parts)]
    assert [group.area.value for group in drawn] == sorted((group.area.value for group in drawn), reverse=True)
    for group in drawn:
        parts, wanted = groups[int(group.area.key)]
        assert sum(area.value for area in group.areas) == group.area.value == sum(parts)
        assert wanted or not group.headed
        left, top, right, bottom = box(group.area)
        assert left >= -0.1
        assert right <= WIDTH + 0.1
        assert bottom <= HEIGHT + 0.2
        inner = (right - left) * (bottom - top - (HEADLINE if group.headed else 0))
        for area in group.areas:
            x, y, to_x, to_y = box(area)
            assert left - 0.2 <= x <= to_x <= right + 0.2
            assert top - 0.2 <= y <= to_y <= bottom + 0.2
            share = area.value / group.area.value
            slack = 0.3 * (to_x - x + to_y - y) + 0.1  # rounding of each side
            assert (to_x - x) * (to_y - y) == pytest.approx(share * inner, abs=slack + 0.01 * inner)
        for one in group.areas:
            for other in group.areas:
                if one is not other:
                    a, b = box(one), box(other)
                    across = min(a[2], b[2]) - max(a[0], b[0])
                    down = min(a[3], b[3]) - max(a[1], b[1])
                    assert across <= 0.2 or down <= 0.2


def test_nothing_draws_nothing_and_less_than_nothing_is_refused() -> None:
    assert treemap([]) == []
    assert treemap([("a", [("b", 0)], True)]) == []
    with pytest.raises(ValueError, match="negative"):
        treemap([("a", [("b", -1)], True)])

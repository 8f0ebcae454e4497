"""Rows of a graph -> where each node stands, so that lines are short and boxes do not touch."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from sessiontail.directory.layers import Joint, Layers, Link, layers_of
from sessiontail.directory.placing import Box, packed, placed


def layers(names: str, text: str) -> Layers:
    return layers_of(names, [Link(pair[0], pair[1], "named") for pair in text.split()], 9)


def middles(names: str, text: str) -> dict[str, float]:
    at, _ = placed(layers(names, text), dict.fromkeys(names, 10.0), 2.0)
    return {one: round(x, 3) for one, x in at.items() if isinstance(one, str)}


def test_one_box_stands_at_the_left() -> None:
    assert placed(layers("a", ""), {"a": 10.0}, 2.0) == ({"a": 5.0}, 10.0)


def test_a_chain_is_straight() -> None:
    assert middles("abc", "ab bc") == {"a": 5.0, "b": 5.0, "c": 5.0}


def test_a_parent_stands_over_the_middle_of_its_children() -> None:
    assert middles("abcd", "ab ac ad") == {"a": 17.0, "b": 5.0, "c": 17.0, "d": 29.0}


def test_a_child_stands_under_the_middle_of_its_parents() -> None:
    assert middles("abc", "ac bc") == {"a": 5.0, "b": 17.0, "c": 11.0}


def test_lines_do_not_cross_where_they_need_not() -> None:
    at = middles("abcdef", "ab ac bf ce cd")

    assert (at["b"] < at["c"]) == (at["f"] < at["e"])


def test_a_narrow_box_takes_less_room() -> None:
    at, width = placed(layers("abc", "ac bc"), {"a": 10.0, "b": 4.0, "c": 10.0}, 2.0)

    assert (at["a"], at["b"], width) == (5.0, 14.0, 16.0)


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 99), max_size=3), min_size=1, max_size=14))
def test_no_box_touches_another_and_all_are_inside(parents: list[list[int]]) -> None:
    names = [str(i) for i in range(len(parents))]
    made = {(parent % i, i) for i, row in enumerate(parents) for parent in row if i}
    found = layers_of(names, [Link(names[a], names[b], "named") for a, b in sorted(made)], 4)

    at, width = placed(found, {name: 10.0 + int(name) % 3 for name in names}, 2.0)

    for row in found.rows:
        ends = 0.0
        for one in sorted(row, key=at.__getitem__):
            half = 0 if isinstance(one, Joint) else (10.0 + int(one) % 3) / 2
            assert at[one] - half >= ends - 1e-6
            ends = at[one] + half + 2.0
        assert ends - 2.0 <= width + 1e-6


def test_boxes_stand_on_shelves_those_with_most_rows_first() -> None:
    boxes = [Box(10, 1), Box(10, 3), Box(30, 1), Box(10, 1)]

    corners, width, height = packed(boxes, row=10, gap=2)

    assert corners == [(12, 0), (0, 0), (0, 32), (0, 44)]
    assert (width, height) == (30, 54)


def test_no_box_is_no_room() -> None:
    assert packed([], row=10, gap=2) == ([], 0, 0)


def test_a_thousand_boxes_are_about_a_square() -> None:
    _, width, height = packed([Box(200, 1)] * 1000, row=90, gap=40)

    assert 0.5 < width / height < 2

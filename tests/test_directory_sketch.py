"""A lineage -> where each box of its picture stands, and which way each line goes, in pixels."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings, strategies as st

from chats import name
from kinships import family
from sessiontail.directory.sketch import HEIGHT, drawn

_STEP = re.compile(r"([MVC])([-\d. ]+)")


def ends(path: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where a path begins and ends."""
    at = begin = (0.0, 0.0)
    for i, (letter, numbers) in enumerate(_STEP.findall(path)):
        values = [*map(float, numbers.split())]
        at = (at[0], values[-1]) if letter == "V" else (values[-2], values[-1])
        begin = begin if i else at
    return begin, at


def meets(point: tuple[float, float], node: dict[str, Any], edge: float) -> bool:
    """Whether a point lies on the upper or lower edge of a box, which rounding moves a bit."""
    inside = node["x"] - 0.6 <= point[0] <= node["x"] + node["width"] + 0.6
    return bool(inside and abs(point[1] - node["y"] - edge) < 0.6)


def test_a_box_and_its_line_are_told_where_they_stand_and_in_words() -> None:
    family_of_two = family({1: [], 2: [1]})

    told = drawn(family_of_two)

    plain = family_of_two.to_dict()
    assert told == {
        **plain,
        "nodes": [
            {
                **node,
                "x": 0.0, "y": y, "width": 446.4, "height": 46, "name": node["id"],
                "head": node["title"], "facts": f"{node['id']} · closed · 1 row · 2026-01-01",
                "sentence": f"closed session {node['id']}; {node['title']}; 1 own row; "
                f"created 2026-01-01 00:00:0{node['title']}+00:00",
            }
            for node, y in zip(plain["nodes"], [0.0, 92.0], strict=True)
        ],
        "edges": [
            {
                **plain["edges"][0], "path": "M223.2 46V92", "tip": "end", "cycle": False,
                "sentence": f"{name(2)} names {name(1)} as parent 1",
            }
        ],
        "width": 446.4,
        "height": 138.0,
    }  # fmt: skip


def test_a_line_in_a_cycle_that_leads_up_begins_at_its_child() -> None:
    told = drawn(family({1: [3], 2: [1], 3: [2, 3]}))

    tips = {(e["child"], e["parent"]): (e["tip"], e["cycle"]) for e in told["edges"]}
    assert tips == {
        (name(1), name(3)): ("start", True),
        (name(2), name(1)): ("end", False),
        (name(3), name(2)): ("end", False),
        (name(3), name(3)): ("end", True),
    }


def test_a_loop_at_the_right_end_is_inside_the_picture() -> None:
    alone, looped = drawn(family({1: []})), drawn(family({1: [1]}))

    assert looped["width"] == alone["width"] + 18


def test_a_parent_that_is_named_twice_has_a_line_for_each() -> None:
    told = drawn(family({1: [], 2: [1, 1]}))

    assert [edge["path"] for edge in told["edges"]] == ["M223.2 46V92"] * 2


def test_a_line_past_a_row_goes_straight_down_beside_its_boxes() -> None:
    told = drawn(family({1: [], 2: [1], 3: [1, 2]}))

    assert [edge["path"] for edge in told["edges"]] == [
        "M223.2 46C223.2 73.6 404.4 64.4 404.4 92",
        "M223.2 46C223.2 73.6 161.2 64.4 161.2 92V138C161.2 165.6 282.8 156.4 282.8 184",
        "M404.4 138C404.4 165.6 282.8 156.4 282.8 184",
    ]


def test_nothing_is_an_empty_picture() -> None:
    told = drawn(family({}))

    assert (told["nodes"], told["edges"], told["width"], told["height"]) == ([], [], 0.0, 0)


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.integers(0, 30), st.lists(st.integers(0, 34), max_size=3), min_size=1, max_size=30
    )
)
def test_every_line_goes_from_a_box_to_a_box(parents: dict[int, list[int]]) -> None:
    told = drawn(family(parents))

    nodes = {node["id"]: node for node in told["nodes"]}
    for edge in told["edges"]:
        if edge["child"] == edge["parent"]:
            continue
        begin, end = ends(edge["path"])
        upper, lower = nodes[edge["parent"]], nodes[edge["child"]]
        if edge["tip"] == "start":
            upper, lower = lower, upper
        assert meets(begin, upper, HEIGHT)
        assert meets(end, lower, 0)

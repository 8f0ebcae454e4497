"""A lineage -> one SVG file: no script, nothing from elsewhere, for light and dark, eyes and ears."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings, strategies as st

from chats import name
from kinships import family, outline
from sessiontail import Lineage, draw_svg
from sessiontail.directory.tracing import lineage_of

SVG = "{http://www.w3.org/2000/svg}"
Parents = dict[int, list[int]]


def parsed(lineage: Lineage) -> ET.Element:
    return ET.fromstring(draw_svg(lineage))


def boxes(svg: ET.Element) -> dict[str, tuple[float, float, float]]:
    """Left, top and width of each box, by what it is called."""
    found: dict[str, tuple[float, float, float]] = {}
    for group in svg.iter(f"{SVG}g"):
        if group.get("role") == "img":
            place = re.fullmatch(r"translate\((\S+) (\S+)\)", group.get("transform") or "")
            rect, head = group.find(f"{SVG}rect"), group.find(f".//{SVG}text[@class='head']")
            assert place is not None
            assert rect is not None
            assert head is not None
            called = head.text or ""
            if called in found:
                called += f" {len(found)}"
            found[called] = float(place[1]), float(place[2]), float(rect.get("width") or 0)
    return found


def lines(svg: ET.Element) -> list[tuple[str, str]]:
    """The classes and the words of each line that has some."""
    return [
        (path.get("class") or "", title.text or "")
        for path in svg.iter(f"{SVG}path")
        if (title := path.find(f"{SVG}title")) is not None
    ]


def test_a_merge_stands_below_its_two_parents_and_each_says_what_it_is() -> None:
    svg = parsed(family({1: [], 2: [], 3: [1, 2]}))

    found = boxes(svg)
    assert found["1"][1] == found["2"][1] < found["3"][1]
    assert lines(svg) == [
        ("link named", f"{name(3)} names {name(1)} as parent 1"),
        ("link named", f"{name(3)} names {name(2)} as parent 2"),
    ]
    assert [title.text for title in svg.findall(f"{SVG}title")] == ["Lineage"]
    assert [desc.text for desc in svg.findall(f"{SVG}desc")] == [
        "3 sessions, 2 links. Parents stand above."
    ]


def test_what_is_missing_or_found_is_dashed_and_explained() -> None:
    svg = parsed(family({1: [], 2: [9]}, found={2: 1}).around(name(2)))

    kinds = [g.get("class") for g in svg.iter(f"{SVG}g") if g.get("role") == "img"]
    assert kinds == ["closed", "closed focus", "missing"]
    assert [kind for kind, _ in lines(svg)] == ["link named", "link content"]
    notes = [text.text for text in svg.iter(f"{SVG}text") if text.get("class") == "note"]
    assert notes[1:] == ["found by content", "no file"]
    style = svg.findtext(f"{SVG}style") or ""
    assert ".content{stroke-dasharray" in style
    assert "@media (prefers-color-scheme:dark)" in style


def test_a_picture_with_nothing_dashed_explains_nothing() -> None:
    svg = parsed(family({1: []}))

    assert [text.text for text in svg.iter(f"{SVG}text") if text.get("class") == "note"] == [
        "1 session, 0 links"
    ]


def test_a_cycle_is_drawn_and_each_link_of_it_is_a_line() -> None:
    svg = parsed(family({1: [3], 2: [1], 3: [2, 3]}))

    assert sorted(kind for kind, _ in lines(svg)) == [
        "link cycle", "link named", "link named", "link named cycle",
    ]  # fmt: skip
    found = boxes(svg)
    assert found["1"][1] < found["2"][1] < found["3"][1]
    tips = [key for path in svg.iter(f"{SVG}path") for key in path.attrib if "marker" in key]
    assert sorted(tips) == ["marker-end"] * 3 + ["marker-start"]


def test_a_legend_is_inside_the_page() -> None:
    svg = parsed(family({1: [2, 9], 2: [1]}, found={1: 3}))

    notes = [text for text in svg.iter(f"{SVG}text") if text.get("class") == "note"]
    last = notes[-1]
    assert last.text == "cycle"
    assert float(last.get("x") or 0) + 6 * len("cycle") < float(svg.get("width") or 0)


def test_nothing_is_an_empty_page() -> None:
    svg = parsed(family({}))

    assert boxes(svg) == {}
    assert svg.findtext(f"{SVG}desc") == "0 sessions, 0 links. Parents stand above."


@pytest.mark.parametrize(
    "title", ["</svg><script>alert(1)</script>", "&amp; \"'", "\x00\ufffe\ud800"]
)
def test_what_a_session_says_is_text(title: str) -> None:
    lineage = lineage_of([outline(1, title=title)])

    assert "<script" not in draw_svg(lineage)
    assert len(boxes(parsed(lineage))) == 1


@settings(max_examples=40)
@given(st.text(max_size=20))
def test_any_title_is_good_xml(title: str) -> None:
    assert len(boxes(parsed(lineage_of([outline(1, title=title)])))) == 1


def test_nothing_is_run_and_nothing_is_fetched() -> None:
    text = draw_svg(family({1: [], 2: [1, 9]}, found={1: 2}))

    assert re.findall(r"<script|\bon\w+=|href|@import|url\((?!#)", text) == []


@pytest.mark.parametrize(
    "parents",
    [
        {i: [] for i in range(400)},
        {i: [i - 1] if i else [] for i in range(400)},
        {i: [900] for i in range(400)},
        {i: [i - 1, 500 + i, 900] if i % 7 else [900] for i in range(300)},
    ],
    ids=["alone", "chain", "fan", "conversations"],
)
def test_many_boxes_do_not_lie_on_each_other(parents: Parents) -> None:
    svg = parsed(family(parents))

    right = float(svg.get("width") or 0)
    rows: dict[float, list[tuple[float, float]]] = {}
    for left, top, width in boxes(svg).values():
        rows.setdefault(top, []).append((left, left + width))
    assert sum(map(len, rows.values())) >= len(parents)
    for row in rows.values():
        row.sort()
        assert all(a[1] < b[0] for a, b in pairwise(row))
        assert row[0][0] >= 0
        assert row[-1][1] <= right
    assert right < 20_000

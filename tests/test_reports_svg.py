"""Charts: in proportion, at any width, said in words, and whatever names stand there."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from audits import HOSTILE
from sessiontail.format.findings import FINDINGS
from sessiontail.reports.svg import Bar, bars, columns


def drawn(text: str) -> ET.Element:
    return ET.fromstring(text)


def test_bars_are_in_proportion_and_the_failed_part_is_on_top() -> None:
    svg = drawn(
        bars("a", "Calls", "What is seen.", [Bar("bash", 4, "4 (1 failed)", 1), Bar("ls", 2, "2")])
    )

    assert svg.attrib == {
        "role": "img", "width": "100%", "height": "80", "aria-labelledby": "a-title a-desc",
    }  # fmt: skip
    assert [(one.tag, one.get("id"), one.text) for one in svg][:2] == [
        ("title", "a-title", "Calls"),
        ("desc", "a-desc", "What is seen."),
    ]
    assert [(one.get("class"), one.get("width"), one.get("y")) for one in svg.iter("rect")] == [
        ("track", "100.00%", "20.0"),
        ("bar", "100.00%", "20.0"),
        ("bar error", "25.00%", "20.0"),
        ("track", "100.00%", "60.0"),
        ("bar", "50.00%", "60.0"),
    ]
    assert [one.text for one in svg.iter("text")] == ["bash", "4 (1 failed)", "ls", "2"]


def test_a_hostile_name_is_text_and_a_long_one_is_cut() -> None:
    svg = drawn(bars("a", HOSTILE, HOSTILE, [Bar(HOSTILE, 1, "1"), Bar("x" * 50, 0, "0")]))

    assert {one.tag for one in svg} == {"title", "desc", "text", "rect"}
    assert [one.text for one in svg.iter("text")] == [
        "=</style><script>alert(1)</script>\\x1b[2…", "1", f"{'x' * 37}…", "0",
    ]  # fmt: skip


def test_a_label_has_the_place_that_its_figure_leaves_and_so_every_finding_is_whole() -> None:
    whole = [f"{reason} ({severity})" for reason, severity in FINDINGS.items()]
    svg = drawn(bars("a", "", "", [Bar(label, 1, "12,345") for label in whole]))
    narrow = drawn(bars("a", "", "", [Bar("x" * 50, 1, "12,345 (12,345 failed)")]))

    assert [one.text for one in svg.iter("text")][::2] == whole
    assert next(one.text for one in narrow.iter("text")) == f"{'x' * 25}…"


def test_nothing_but_zeros_is_drawn_too() -> None:
    svg = drawn(bars("a", "", "", [Bar("none", 0, "0")]))

    assert [one.get("class") for one in svg.iter("rect")] == ["track"]
    assert len(list(drawn(columns("b", "", "", [("now", 0)])).iter("rect"))) == 0


def test_columns_stand_on_the_ground_and_their_ends_are_named() -> None:
    svg = drawn(columns("a", "Sessions", "", [("mon", 1000), ("tue", 0), ("wed", 500), ("thu", 1)]))

    rects = [[one.get(name) for name in ("x", "y", "width", "height")] for one in svg.iter("rect")]
    assert rects == [
        ["2.50%", "22.0", "20.00%", "120.0"],
        ["52.50%", "82.0", "20.00%", "60.0"],
        ["77.50%", "140.5", "20.00%", "1.5"],  # a little is seen
    ]
    assert [one.text for one in svg.iter("text")] == ["most: 1,000", "mon", "thu"]

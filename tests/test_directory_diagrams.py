"""A lineage -> the same as Graphviz (dot) and as Mermaid read it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings, strategies as st

from chats import name
from kinships import family, outline
from sessiontail import draw_dot, draw_mermaid
from sessiontail.directory.tracing import lineage_of


def test_a_graph_for_graphviz_has_each_node_and_link_once() -> None:
    lineage = family({1: [], 2: [9, 9, 1]}, found={})

    one, two, gone = name(1), name(2), name(9)

    assert (
        draw_dot(lineage.around(two))
        == f"""\
digraph lineage {{
  graph [tooltip="2 sessions, 1 parent without a file, 3 links"];
  node [shape=box, fontname="sans-serif", fontsize=11, style=rounded];
  edge [color="#6e7781", arrowsize=0.7];
  "{one}" [label="1\\n{one} · closed · 1 row · 2026-01-01", tooltip="closed session {one}; 1; 1 own row; created 2026-01-01 00:00:01+00:00", color="#6e7781"];
  "{two}" [label="2\\n{two} · closed · 1 row · 2026-01-01", tooltip="closed session {two}; 2; 1 own row; created 2026-01-01 00:00:02+00:00", color="#6e7781", penwidth=3];
  "{gone}" [label="no file\\n{gone} · missing", tooltip="session {gone}: missing, it has no file", color="#8c959f", style="rounded,dashed"];
  "{gone}" -> "{two}" [tooltip="{two} names {gone} as parent 1"];
  "{one}" -> "{two}" [tooltip="{two} names {one} as parent 3"];
}}"""
    )


def test_a_link_that_is_found_by_content_is_dashed() -> None:
    lineage = family({1: [], 2: []}, found={2: 1})

    assert draw_dot(lineage).splitlines()[-2].endswith('found by content", style=dashed];')
    assert "  s0 -.-> s1" in draw_mermaid(lineage).splitlines()


def test_a_flowchart_for_mermaid_has_each_node_and_link_once() -> None:
    lineage = family({1: [], 2: [9, 9, 1]})

    assert draw_mermaid(lineage.around(name(2))).splitlines() == [
        "flowchart TD",
        f'  s0["1<br>{name(1).replace("-", "#45;")} · closed · 1 row · 2026#45;01#45;01"]',
        f'  s1["2<br>{name(2).replace("-", "#45;")} · closed · 1 row · 2026#45;01#45;01"]',
        "  style s1 stroke-width:3px",
        f'  s2["no file<br>{name(9).replace("-", "#45;")} · missing"]',
        "  s2 --> s1",
        "  s0 --> s1",
        "  classDef closed stroke:#6e7781",
        "  class s0,s1 closed",
        "  classDef missing stroke:#8c959f,stroke-dasharray:4 3",
        "  class s2 missing",
    ]


def test_an_empty_lineage_is_an_empty_graph() -> None:
    assert draw_dot(family({})).splitlines()[-1] == "}"
    assert draw_mermaid(family({})) == "flowchart TD"


@pytest.mark.parametrize(
    ("title", "dot", "mermaid"),
    [
        ('say "hi"', r"say \"hi\"", "say #34;hi#34;"),
        ("back\\N", r"back\\N", "back#92;N"),
        ("end\\", r"end\\", "end#92;"),
        ("&lt; <b>", "&amp;lt; <b>", "#38;lt#59; #60;b#62;"),
        ("two\nlines", "two lines", "two lines"),
        ("1. style: a#b;", "1. style: a#b;", "1#46; style#58; a#35;b#59;"),
        ("`x`", "`x`", "#96;x#96;"),
        ("$$$", "$$$", "#36;#8288;#36;#8288;#36;"),
        ("fa:fa-car", "fa:fa-car", "fa#58;#8288;fa#45;car"),
    ],
)
def test_what_means_something_to_either_is_escaped(title: str, dot: str, mermaid: str) -> None:
    lineage = lineage_of([outline(1, title=title)])

    assert f'label="{dot}\\n' in draw_dot(lineage)
    assert f'["{mermaid}<br>' in draw_mermaid(lineage)


@settings(max_examples=60)
@given(st.text(max_size=30))
def test_no_title_leaves_its_label(title: str) -> None:
    lineage = lineage_of([outline(1, title=title)])

    dot, mermaid = draw_dot(lineage).splitlines(), draw_mermaid(lineage).splitlines()

    assert (len(dot), len(mermaid)) == (6, 4)
    string = r'"(?:[^"\\]|\\["\\n])*"'
    assert re.fullmatch(
        f"  {string} \\[label={string}, tooltip={string}, color={string}\\];", dot[4]
    )
    assert re.fullmatch(r'  s0\["(?:[^\W_]| |[^\x00-\x7f]|#\d+;)*<br>[^"]*"\]', mermaid[1])

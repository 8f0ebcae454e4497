"""The sections of a page: each figure in the table that the chart shows."""

from __future__ import annotations

from typing import Any

from audits import audit, family, tally, unread
from pages import Page
from sessiontail.format.audit import SessionAudit, summarize
from sessiontail.reports.sections import numbers_of


def pages_of(audits: list[SessionAudit]) -> dict[str, Page]:
    return {one.ident: Page(one.body) for one in numbers_of(audits, summarize(audits))}


def rows(page: Page) -> list[list[str]]:
    """The cells of the rows that a page's tables have, heads and all."""
    cells = iter([*page.texts["th"]]), iter([*page.texts.get("td", [])])
    found: list[list[str]] = []
    for tag, _ in page.elements:
        if tag == "tr":
            found.append([])
        elif tag in {"th", "td"}:
            found[-1].append(next(cells[tag == "td"]))
    return found


def test_each_section_has_a_chart_and_a_table_of_the_same() -> None:
    pages = pages_of(family())

    assert [*pages] == ["states", "time", "sizes", "rows", "tools", "tokens", "findings"]
    for ident, page in pages.items():
        assert len(page.all("svg")) == len(page.all("table")) == 1, ident
        assert all(page.texts["title"])
        assert all(page.texts["desc"])


def test_the_figures_are_those_of_the_directory() -> None:
    pages = pages_of(family())

    assert rows(pages["states"])[1:3] == [["closed", "2", "50.0%"], ["live", "0", "0.0%"]]
    assert rows(pages["time"]) == [
        ["Hour", "Sessions", "Own rows", "Tokens", "Known of"],
        ["2026-01-02 04:00", "1", "4", "30", "1"],
        ["2026-01-02 05:00", "1", "3", "30", "1"],
        ["2026-01-02 06:00", "1", "1", "?", "0"],
    ]
    assert rows(pages["sizes"])[1:] == [
        ["under 1 K", "1", "1000 B"],
        ["1 K to 4 K", "2", "4.9 K"],
        ["4 K to 16 K", "1", "8.8 K"],
    ]
    assert rows(pages["rows"])[1:] == [
        ["user", "3", "300 B"],
        ["assistant", "3", "300 B"],
        ["tool_result", "2", "200 B"],
        ["Together", "8", "800 B"],
    ]
    assert rows(pages["tools"])[1:] == [
        ["bash", "2", "1", "1", "100.0%"],
        ["=</style><script>alert(1)</script>\\x1b[2J\\u202e\\u2066", "1", "1", "0", "0.0%"],
        ["Together", "3", "2", "1", "50.0%"],
    ]
    assert rows(pages["tokens"])[1:] == [
        ["Prompt", "40", "2", "0", "1"],
        ["Completion", "20", "2", "0", "1"],
        ["Total", "60", "2", "0", "1"],
    ]
    assert rows(pages["findings"])[1:] == [
        ["invalid-json", "error", "1", "1"],
        ["unreadable", "error", "1", "1"],
        ["torn-tail", "warning", "1", "1"],
        ["missing-parent", "info", "1", "1"],
    ]


def test_copies_and_what_is_unknown_are_said_in_words() -> None:
    pages = pages_of([*family(), audit(4, tally=tally(user=3), inherited=None)])

    assert pages["rows"].texts["p"] == [
        (
            "The files have 15 rows; 4 of these are copies of an earlier session's, which are not "
            "counted here."
        ),
        "Of 1 session it is unknown what is copied: all their rows are counted.",
    ]
    assert pages["time"].texts["p"] == ["Of 1 session it is unknown when: they have no header."]


def test_where_there_is_nothing_it_is_said() -> None:
    pages = pages_of([unread()])

    assert pages["tools"].texts["p"] == ["No session calls a tool."]
    assert pages["time"].texts["p"] == ["Of 1 session it is unknown when: they have no header."]
    assert rows(pages["tokens"])[1] == ["Prompt", "?", "0", "0", "0"]
    assert pages_of([audit()])["findings"].texts["p"] == ["None."]


def test_many_tools_are_summed_up_and_few_are_drawn() -> None:
    uses: dict[str, Any] = {f"tool{number:02}": (100 - number, 0, 0) for number in range(50)}
    page = pages_of([audit(tally=tally(**uses))])["tools"]

    assert len(page.all("tr")) == 1 + 30 + 1 + 1
    assert rows(page)[-2] == ["20 more tools", f"{sum(range(51, 71)):,}", "0", "0", "?"]
    assert len(page.all("rect")) == 2 * 10


def test_spans_without_sessions_are_not_listed() -> None:
    page = pages_of([audit(1), audit(40)])["time"]

    assert len(page.all("tr")) == 3
    assert page.texts["p"] == ["In 38 other hours none began."]
    assert page.texts["text"] == ["most: 1", "2026-01-02 04:00", "2026-01-03 19:00"]

"""Tools of a tally: the most called first, with those that only have results."""

from __future__ import annotations

from audits import tally
from sessiontail.reports.tools import ToolUse, together, tools_of


def test_tools_come_by_how_often_they_are_called() -> None:
    uses = tools_of(tally(bash=(2, 2, 1), ls=(3, 0, 0), cat=(2, 2, 0), old=(0, 1, 1)))

    assert uses == [
        ToolUse("ls", 3, 0, 0),
        ToolUse("bash", 2, 2, 1),
        ToolUse("cat", 2, 2, 0),
        ToolUse("old", 0, 1, 1),
    ]
    assert [one.failed for one in uses] == ["?", "50.0%", "0.0%", "100.0%"]
    assert [one.figure for one in uses] == ["3", "2 (1 failed)", "2", "0 (1 failed)"]
    assert together(uses, "all") == ToolUse("all", 7, 5, 2)

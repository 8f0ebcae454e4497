"""What sessions do, as lines: they fit any screen, say what is left out, and command no terminal."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.cells import cell_len

from sessiontail import DirectoryActivity, SessionActivity, SessionState, TokenUsage
from sessiontail.cli.terminal import Output
from sessiontail.cli.top_table import SORTS, Screenful, screenful
from sessiontail.directory.activity_sums import ActivitySums
from test_directory_activity_sums import session

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def moment(*sessions: SessionActivity, **fields: Any) -> DirectoryActivity:
    sums = ActivitySums()
    sums.add(sessions)
    usual: dict[str, Any] = {
        "present": True, "sessions": sessions, "unread": 0, "unreadable": {}, "rows_per_s": 2.5,
        "bytes_per_s": 2048.0,
    }  # fmt: skip
    return sums.activity(**(usual | fields))


def shown(at: DirectoryActivity, **options: Any) -> Screenful:
    usual: dict[str, Any] = {"title": "/s", "now_s": 100.0, "sort": "rate"}
    return screenful(Output("never"), at, **(usual | options))


def cells(page: Screenful) -> list[list[str]]:
    """What is in the table."""
    start = next(i for i, line in enumerate(page.lines) if line.startswith("STATE"))
    return [re.split(r" {2,}", line.strip()) for line in page.lines[start:]]


def one(number: int, **fields: Any) -> SessionActivity:
    return session(id_text=f"{number:08d}-0000-4000-8000-000000000000", **fields)


def test_all_that_is_known_of_a_session_is_in_its_row() -> None:
    page = shown(
        moment(
            one(1, title="Fix it", active_s=88.0, unanswered_calls=3, waits_for=("a", "b", "c"),
                damaged_lines=2, last_tool="c"),
            one(2, state=SessionState.CLOSED, usage=TokenUsage(1, 2, 3), rows_per_s=0.0),
        )
    )  # fmt: skip

    assert cells(page) == [
        ["STATE", "ID", "ROWS", "ROWS/S", "IDLE", "SIZE", "CALLS", "FAILED", "LAST TOOL",
         "WAITS FOR", "DAMAGE", "TOKENS", "AGE", "TITLE"],
        ["live", "00000001", "5", "1.0", "12s", "100 B", "3", "1", "c", "c +2", "2", "?", "?",
         "Fix it"],
        ["closed", "00000002", "5", "0.0", "100s", "100 B", "3", "1", "t", "0", "3", "?"],
    ]  # fmt: skip


def test_the_sums_say_what_is_unknown() -> None:
    page = shown(moment(one(1, inherited_rows=0), one(2, usage=TokenUsage(1, 2, 3))))
    (none, *_) = shown(moment()).lines

    assert page.lines[0] == (
        "/s: 2 live · 10 rows, 2.5 a second · 2 inherited · 200 B, 2.0 K a second · "
        "6 tool calls, 2 failed, 2 open · 3 tokens (1 known, 1 unknown) · 0 damaged lines"
    )
    assert "? tokens (0 known, 0 unknown)" in none


def test_without_a_time_to_measure_there_are_no_rates() -> None:
    page = shown(moment(one(1)), rated=False)

    assert "a second" not in page.lines[0]
    assert "ROWS/S" not in cells(page)[0]


def test_what_was_not_read_from_its_start_has_more() -> None:
    assert cells(shown(moment(one(1, is_whole=False))))[1][2] == "5+"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("height", [5, 12, 24])
def test_it_fits_the_screen_and_tells_how_many_do_not(width: int, height: int) -> None:
    sessions = [one(i, title="結果 " * 50, last_tool="t" * 200) for i in range(30)]
    page = shown(moment(*sessions), width=width, height=height)

    assert len(page.lines) <= height
    if width >= 40:
        assert max(map(cell_len, page.lines)) <= width
    assert page.shown + page.more == 30
    if len(page.lines) < height or page.lines[-1].endswith("more"):
        assert page.lines[-1] == f"{page.more} more"


def test_all_are_shown_where_they_just_fit() -> None:
    sessions = [one(i) for i in range(8)]
    page = shown(moment(*sessions), width=500, height=10)

    assert (page.shown, page.more, len(page.lines)) == (8, 0, 10)
    assert shown(moment(*sessions), width=500, height=9).lines[-1] == "2 more"


def test_so_many_as_are_asked_for_are_shown() -> None:
    page = shown(moment(one(1), one(2), one(3)), most=2)

    assert (page.shown, page.more, len(cells(page))) == (2, 1, 3)


@pytest.mark.parametrize(
    ("sort", "fields"),
    [
        ("rate", {"rows_per_s": 2.0}),
        ("rate", {"active_s": 9.0}),
        ("rows", {"rows": 6}),
        ("damage", {"damaged_lines": 1}),
        ("damage", {"findings_by_reason": {"index-gap": 1}}),
    ],
)
def test_the_most_comes_first(sort: str, fields: dict[str, Any]) -> None:
    page = shown(moment(one(1), one(2, **fields), one(3)), sort=sort)

    assert [row[1][-1] for row in cells(page)[1:]] == ["2", "1", "3"]


def test_a_session_without_a_header_is_the_oldest() -> None:
    assert SORTS["age"](one(1)) < SORTS["age"](one(1, created_at=NOW))


def test_only_states_that_are_asked_for_are_shown() -> None:
    at = moment(one(1), one(2, state=SessionState.ABANDONED))

    assert [row[0] for row in cells(shown(at, states=("abandoned",)))[1:]] == ["abandoned"]
    assert shown(at, states=("closed",)).lines[-1] == "none of these sessions fits"


def test_where_there_is_nothing_it_says_why() -> None:
    assert shown(moment()).lines[-1] == "no session runs yet"
    assert shown(moment(present=False)).lines[1:] == ["no such directory yet: waiting for it"]


def test_what_is_not_read_is_told() -> None:
    page = shown(moment(one(1), unread=3, unreadable={"a": "/s/a: Permission denied"}), width=70)

    assert page.lines[3:5] == [
        "reading: 3 sessions to go",
        "1 session cannot be read: /s/a: Permission denied",
    ]


def test_nothing_that_a_session_says_commands_the_terminal() -> None:
    evil = "\x1b]0;x\x07\n\x9b31m\u202e"
    page = shown(
        moment(one(1, title=evil, last_tool=evil, waits_for=(evil,)), unreadable={"a": evil}),
        title=evil,
    )

    assert not [c for line in page.lines for c in line if c in "\x1b\x07\n\x9b\u202e"]


def test_what_is_torn_is_told_beside_what_is_damaged() -> None:
    dead = {"state": SessionState.ABANDONED, "torn_bytes": 4}
    page = shown(moment(one(1, **dead), one(2, damaged_lines=3, **dead)))

    assert [row[9] for row in cells(page)[1:]] == ["0 torn", "3 torn"]


def test_what_ended_waits_for_nothing() -> None:
    row = cells(shown(moment(one(1, state=SessionState.ABANDONED))))[1]

    assert row[8:10] == ["t", "0"]  # the last tool, then the damage

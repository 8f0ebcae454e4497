"""Sums over sessions: each row once, and what is unknown is no zero."""

from __future__ import annotations

from typing import Any

from samples import ID
from sessiontail import SessionState, TokenUsage
from sessiontail.directory.activity import SessionActivity
from sessiontail.directory.activity_sums import ActivitySums, DirectoryActivity
from sessiontail.format.tally import UsageTotal

REST: dict[str, Any] = {
    "present": True, "sessions": (), "unread": 1, "unreadable": {"a": "why"}, "rows_per_s": 2.5,
    "bytes_per_s": 9.0,
}  # fmt: skip


def session(**fields: Any) -> SessionActivity:
    usual: dict[str, Any] = {
        "id_text": str(ID), "state": SessionState.LIVE, "created_at": None, "title": None,
        "rows": 5, "inherited_rows": 2, "is_whole": True, "size_bytes": 100, "rows_per_s": 1.0,
        "bytes_per_s": 10.0, "active_s": 0.0, "tool_calls": 3, "tool_errors": 1, "last_tool": "t",
        "unanswered_calls": 1, "waits_for": ("t",), "damaged_lines": 0, "torn_bytes": 0, "findings_by_reason": {},
        "last_finding": None, "usage": None,
    }  # fmt: skip
    return SessionActivity(**(usual | fields))


def test_each_sum_is_of_all_and_tokens_say_of_how_many_they_are_known() -> None:
    sums = ActivitySums()
    sums.add([session(), session(state=SessionState.CLOSED, usage=TokenUsage(1, 2, 3))])
    sums.add([session(state=SessionState.ABANDONED, damaged_lines=4)])
    sums.add([session(state=SessionState.CLOSED, usage=TokenUsage(1, 1, 2))], gone=True)

    assert sums.activity(**REST) == DirectoryActivity(
        present=True,
        sessions=(),
        by_state={SessionState.LIVE: 1, SessionState.CLOSED: 1, SessionState.ABANDONED: 1},
        unread=1,
        unreadable={"a": "why"},
        rows_per_s=2.5,
        bytes_per_s=9.0,
        rows=20,
        inherited_rows=8,
        size_bytes=400,
        tool_calls=12,
        tool_errors=4,
        unanswered_calls=1,  # those that ended wait for nothing
        damaged_lines=4,
        usage=UsageTotal(
            prompt_tokens=2, completion_tokens=3, total_tokens=5, known=2, unknown=1, damaged=1
        ),
    )


def test_a_copy_goes_its_own_way() -> None:
    sums = ActivitySums()
    sums.add([session()])

    other = sums.copy()
    other.add([session()])

    assert (sums.activity(**REST).rows, other.activity(**REST).rows) == (5, 10)
    assert (sums.activity(**REST).by_state, other.activity(**REST).by_state) == (
        {SessionState.LIVE: 1},
        {SessionState.LIVE: 2},
    )

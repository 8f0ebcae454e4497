"""The row of a session: each column there, unknown as None, each row counted once."""

from __future__ import annotations

from audits import HOSTILE, audit, family, ident, unread
from sessiontail.reports.rows import COLUMNS, NESTED, session_row


def test_a_row_has_the_columns_in_their_order() -> None:
    for one in family():
        row = session_row(one)

        assert [*row] == [*COLUMNS, *NESTED]


def test_a_child_has_what_is_its_own_beside_what_its_file_has() -> None:
    row = session_row(family()[1])

    assert {name: value for name, value in row.items() if name not in NESTED} == {
        "id": ident(2),
        "file": f"/sessions/{ident(2)}.jsonl",
        "state": "closed",
        "was_read": True,
        "created_at": "2026-01-02T05:04:00+00:00",
        "closed_at": "2026-01-02T05:05:00+00:00",
        "severity": "info",
        "finding_count": 1,
        "findings_by_reason": {"missing-parent": 1},
        "size_bytes": 2000,
        "torn_bytes": 0,
        "lines": 9,
        "rows": 7,
        "own_rows": 3,
        "inherited_rows": 4,
        "system_rows": 0,
        "user_rows": 2,
        "assistant_rows": 3,
        "tool_result_rows": 2,
        "own_system_rows": 0,
        "own_user_rows": 1,
        "own_assistant_rows": 1,
        "own_tool_result_rows": 1,
        "system_bytes": 0,
        "user_bytes": 200,
        "assistant_bytes": 300,
        "tool_result_bytes": 200,
        "tool_calls": 3,
        "own_tool_calls": 1,
        "tool_results": 2,
        "own_tool_results": 1,
        "tool_errors": 1,
        "own_tool_errors": 0,
        "unanswered_calls": 0,
        "unasked_results": 0,
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "total_tokens": 30,
        "lineage_operator": "run",
        "lineage_kind": "op_session_loop",
        "origin": ident(1),
        "parent_session_ids": [ident(1), ident(7)],
    }
    assert row["tools"] == [
        {"tool": HOSTILE, "calls": 1, "own_calls": 1, "results": 1, "own_results": 1}
        | {"errors": 0, "own_errors": 0},
        {"tool": "bash", "calls": 2, "own_calls": 0, "results": 1, "own_results": 0}
        | {"errors": 1, "own_errors": 0},
    ]


def test_of_a_file_that_was_not_read_no_count_is_known() -> None:
    row = session_row(unread())

    known = {name for name, value in row.items() if value is not None}
    assert known == {
        "id", "file", "state", "was_read", "severity", "finding_count", "findings_by_reason",
        "size_bytes", "parent_session_ids", "findings", "tools",
    }  # fmt: skip
    assert row["was_read"] is False


def test_a_name_that_is_no_utf_8_is_shown_as_one_that_is() -> None:
    row = session_row(audit(file="/sessions/\udcff.jsonl"))

    assert row["file"] == "/sessions/\\udcff.jsonl"


def test_unknown_tokens_are_none() -> None:
    row = session_row(audit(tokens=None))

    assert [row[name] for name in row if name.endswith("_tokens")] == [None, None, None]

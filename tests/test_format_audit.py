"""Audits of sessions -> the audit of all of them: each row counts once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from chats import name
from sessiontail.format.audit import SessionAudit, summarize
from sessiontail.format.findings import Severity, finding
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.records import LineageKind, TokenUsage
from sessiontail.format.tally import Tally, UsageTotal

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def audit(number: int = 1, **fields: Any) -> SessionAudit:
    made: dict[str, Any] = {
        "id_text": name(number),
        "file": f"/sessions/{name(number)}.jsonl",
        "state": SessionState.CLOSED,
        "closed": True,
        "size_bytes": 100,
        "created_at": MOMENT,
        "closed_at": MOMENT,
        "torn_bytes": 0,
        "parent_texts": (),
        "lineage_operator": "run",
        "lineage_kind": LineageKind.OP_SESSION_LOOP,
        "lines": 4,
        "tally": Tally(rows=2, rows_by_kind={"user": 1, "assistant": 1}),
        "inherited": Tally(),
        "origin_text": None,
        "usage": None,
        "findings": (),
        "findings_by_reason": {},
    }
    return SessionAudit(**made | fields)


def test_what_a_child_repeats_counts_once() -> None:
    parent = audit(1, tally=Tally(rows=2, tool_calls={"bash": 1}, unanswered_calls=1))
    child = audit(
        2,
        parent_texts=(name(1),),
        tally=Tally(rows=5, tool_calls={"bash": 2}),
        inherited=Tally(rows=2, tool_calls={"bash": 1}),
        origin_text=name(1),
    )

    total = summarize([parent, child])

    assert (child.inherited_rows, child.own_rows) == (2, 3)
    assert (total.rows, total.own_rows, total.conversations) == (7, 5, 1)
    assert total.own == Tally(rows=5, tool_calls={"bash": 2}, unanswered_calls=1)


def test_conversations_are_trees_and_a_circle_is_one() -> None:
    parents = {1: (), 2: (1,), 3: (2,), 4: (99,), 5: (6,), 6: (5,), 7: (7,), 8: (4,)}
    audits = [audit(number, parent_texts=tuple(map(name, of))) for number, of in parents.items()]

    assert summarize(audits).conversations == 4
    assert summarize([audit(1), audit(1)]).conversations == 1


def test_unknown_usage_is_counted_beside_the_sum() -> None:
    audits = [
        audit(1, usage=TokenUsage(1, 2, 3)),
        audit(2),
        audit(3, findings_by_reason={"malformed-trailer": 1}),
        audit(4, was_read=False, findings_by_reason={"unreadable": 1}),
    ]

    total = summarize(audits)

    assert total.usage == UsageTotal(
        prompt_tokens=1, completion_tokens=2, total_tokens=3, known=1, unknown=1, damaged=1
    )
    assert (total.sessions, total.unreadable) == (4, 1)


def test_findings_are_counted_by_reason_and_sessions_by_the_worst() -> None:
    gap = finding("index-gap", "a")
    audits = [
        audit(1, findings=(gap,), findings_by_reason={"index-gap": 300}),
        audit(
            2,
            findings=(gap, finding("invalid-json", "b"), finding("missing-parent", "c")),
            findings_by_reason={"index-gap": 1, "invalid-json": 1, "missing-parent": 1},
        ),
        audit(3),
    ]

    total = summarize(audits)

    assert [one.severity for one in audits] == [Severity.WARNING, Severity.ERROR, None]
    assert [one.is_damaged for one in audits] == [False, True, False]
    assert total.findings_by_reason["index-gap"] == 301
    assert total.sessions_by_reason["index-gap"] == 2
    assert total.sessions_by_severity == {"warning": 1, "error": 1, "none": 1}


def test_where_it_is_not_known_what_is_inherited_all_rows_are_its_own() -> None:
    one = audit(1, inherited=None)

    assert (one.inherited_rows, one.own_rows, one.own) == (None, 2, one.tally)
    assert summarize([one]).inherited_unknown == 1


def test_nothing_sums_up_to_nothing() -> None:
    total = summarize([])

    assert (total.sessions, total.rows, total.usage) == (0, 0, UsageTotal())


def test_json_has_the_counts_beside_the_other_fields() -> None:
    one = audit(1, findings=(finding("index-gap", "a", line=3, offset=9),))

    told = json.loads(json.dumps(one.to_dict()))

    assert told["schema"] == 1
    assert (told["id"], told["rows"], told["own_rows"], told["inherited_rows"]) == (
        name(1),
        2,
        2,
        0,
    )
    assert told["findings"][0]["severity"] == "warning"
    assert told["usage"] is None
    summed = json.loads(json.dumps(summarize([one]).to_dict()))
    assert (summed["rows"], summed["own_rows"], summed["own"]["rows_by_kind"]) == (
        2, 2, {"user": 1, "assistant": 1},
    )  # fmt: skip
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=SessionAudit) == one


def test_of_a_file_that_could_not_be_read_every_count_is_unknown() -> None:
    told = audit(1, was_read=False, tally=Tally(), inherited=None, lines=0).to_dict()

    numbers = {key: value for key, value in told.items() if isinstance(value, (int, dict))}
    assert numbers == {"schema": 1, "was_read": False, "size_bytes": 100, "findings_by_reason": {}}


def test_it_says_what_it_is() -> None:
    one = audit(1, parent_texts=(name(2),))

    assert (one.id, one.parent_session_ids) == (UUID(name(1)), (UUID(name(2)),))
    assert one.path.name == f"{name(1)}.jsonl"
    assert repr(one) == "SessionAudit(00000000, closed, 2 rows, 0 findings)"
    assert audit(1, id_text=None).id is None

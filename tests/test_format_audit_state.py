"""What is known behind a line: it goes through bytes, and a hostile file does not make it large."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from samples import ID
from sessiontail.format.audit_state import AuditState, HeaderFacts, OpenCalls, in_utc
from sessiontail.format.findings import MOST_OF_A_REASON
from sessiontail.format.records import Header, LineageKind


def test_a_call_is_answered_by_its_id_the_oldest_first() -> None:
    calls = OpenCalls()
    calls.ask("a", "bash", 1)
    calls.ask("a", "search", 2)
    calls.ask("b", "bash", 2)

    assert calls.answer("a") == "bash"
    assert calls.rows == [2, 2]
    assert (calls.answer("a"), calls.answer("a"), calls.unanswered) == ("search", None, 1)


def test_ten_thousand_calls_are_told_apart_and_the_others_counted() -> None:
    calls = OpenCalls()
    for i in range(10_003):
        calls.ask(f"c{i}", "bash", i)

    assert (len(calls.by_id), calls.unanswered) == (10_000, 10_003)
    assert (calls.answer("c10001"), calls.unanswered) == ("", 10_002)
    assert (calls.answer("c1"), calls.unanswered) == ("bash", 10_001)


@pytest.mark.parametrize("call_id", ["x" * 3_000_000, "é" * 100, "\ud800"])
def test_an_odd_id_takes_no_place_and_is_found_again(call_id: str) -> None:
    calls = OpenCalls()
    calls.ask(call_id, "bash", 1)

    assert all(len(key) < 50 for key in calls.by_id)
    assert calls.answer(call_id) == "bash"


def test_all_of_it_goes_through_bytes() -> None:
    state = AuditState(usage=None, next_index=7)
    state.header = HeaderFacts.of(
        Header(id=ID, created_at=datetime(2026, 1, 1, tzinfo=UTC), lineage_operator="\ud800")
    )
    state.calls.ask("a", "bash", 3)
    for line in range(MOST_OF_A_REASON + 5):
        state.tell("index-gap", "index 3, expected 2", line, 10 * line)

    again = AuditState.from_bytes(state.as_bytes())

    assert again == state
    assert again.findings_by_reason == {"index-gap": MOST_OF_A_REASON + 5}
    assert len(again.findings) == MOST_OF_A_REASON
    assert again.header is not None
    assert again.header.lineage_operator == "\\ud800"
    assert again.header.lineage_kind is LineageKind.UNKNOWN


def test_bytes_of_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match=r".+"):
        AuditState.from_bytes(b"\x00")


def test_a_moment_that_has_none_in_utc_is_the_last_one_that_has() -> None:
    west, east = timezone(timedelta(hours=-9)), timezone(timedelta(hours=9))

    assert in_utc(datetime(2026, 1, 1, 3, tzinfo=east)) == datetime(2025, 12, 31, 18, tzinfo=UTC)
    assert in_utc(datetime(1, 1, 1, 3, tzinfo=east)).isoformat() == "0001-01-01T00:00:00+00:00"
    assert in_utc(datetime(9999, 12, 31, 23, tzinfo=west)).year == 9999

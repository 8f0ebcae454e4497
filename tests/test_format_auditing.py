"""Lines -> the audit so far: however they are cut, skimmed or decoded, it is the same."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings, strategies as st

from hostile import CASES
from samples import chunk_line, header_line, json_line, trailer_line
from sessiontail.format.audit_state import AuditState
from sessiontail.format.auditing import AuditFold
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.framing import Block, LineFramer, LongLine

CALL = {"id": "c1", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
ASK = chunk_line(1, None, "assistant", tool_calls=[CALL])
TELL = chunk_line(2, '{"ok": false}', "tool_result", tool_call_id="c1", name="bash")


def folded(data: bytes, *, state: AuditState | None = None) -> AuditState:
    """Fold what is one block."""
    fold = AuditFold(state)
    mark = fold.state.mark
    if data:
        fold.add_lines(Block.cut(data, offset=mark.offset, line=(mark.lines or 0) + 1))
    return fold.state


def told(state: AuditState) -> list[tuple[str, int | None, int | None]]:
    return [(one.reason, one.line, one.offset) for one in state.findings]


def test_rows_are_counted_by_kind_and_tool() -> None:
    data = header_line() + chunk_line(0, "hi") + ASK + TELL + trailer_line(3, (1, 2, 3))

    state = folded(data)

    tally = state.tally
    assert tally.rows_by_kind == {"user": 1, "assistant": 1, "tool_result": 1}
    assert tally.bytes_by_kind == {
        "user": len(chunk_line(0, "hi")), "assistant": len(ASK), "tool_result": len(TELL),
    }  # fmt: skip
    assert (tally.tool_calls, tally.tool_results, tally.tool_errors) == ({"bash": 1},) * 3
    assert (state.calls.unanswered, tally.unasked_results) == (0, 0)
    assert state.usage is not None
    assert state.usage.total_tokens == 3
    assert (state.trailer_line, state.final_chunk_count) == (5, 3)
    assert (state.mark.offset, state.mark.lines) == (len(data), 5)


def test_a_result_without_a_name_has_that_of_its_call() -> None:
    state = folded(header_line() + ASK + chunk_line(2, "x", "tool_result", tool_call_id="c1"))

    assert state.tally.tool_results == {"bash": 1}


def test_a_gap_and_a_repeat_are_told_where_they_are() -> None:
    lines = [header_line(), chunk_line(0), chunk_line(3), chunk_line(4), chunk_line(4)]

    state = folded(b"".join(lines))

    third, fifth = (len(b"".join(lines[:i])) for i in (2, 4))
    assert told(state) == [("index-gap", 3, third), ("index-repeat", 5, fifth)]
    assert state.findings[0].message == "index 3, expected 1"


def test_a_writer_that_came_back_may_count_from_0_again() -> None:
    again = header_line() + chunk_line(0) + trailer_line(1)

    for between in (b"", b'{"record_type": "chunk", "ind'):
        state = folded(header_line() + chunk_line(0) + chunk_line(1) + between + again)

        assert [one.reason for one in state.findings] == [
            "invalid-json" if between else "duplicate-header"
        ]
        assert state.rows_before_writer == 2


def test_what_stands_behind_a_trailer_is_told_once() -> None:
    body = [header_line(), trailer_line(0), chunk_line(0), chunk_line(1), trailer_line(2)]

    state = folded(b"".join(body))

    assert [one[:2] for one in told(state)] == [("after-trailer", 3), ("second-trailer", 5)]


def test_blank_lines_move_no_place() -> None:
    data = header_line() + b"\n  \n" + chunk_line(5) + b"\r\n"

    state = folded(data)

    assert told(state) == [("index-gap", 4, len(header_line()) + 4)]
    assert state.tally.bytes_by_kind == {"user": len(chunk_line(5))}


def test_records_of_a_tail_are_counted_as_blocks_of_a_file() -> None:
    data = header_line() + chunk_line(0) + ASK + b"{damaged\n" + TELL + trailer_line(3)
    framer, decoder, fold = LineFramer(), RecordDecoder(), AuditFold()

    for i in range(0, len(data), 100):
        for item in framer.feed(data[i : i + 100]):
            fold.add_batch(decoder.decode(item))

    assert fold.state == folded(data)


ODD = [
    header_line(), chunk_line(0), chunk_line(1, "ünï", "assistant"), ASK, TELL, trailer_line(2), b"\n", b"x\n",
    chunk_line(None, [1, {"type": "text", "text": "t"}]), json_line({"record_type": "chunk", "kind": "user"}),  # type: ignore[arg-type] # what is tested
    chunk_line(2, "x", "tool_result", tool_call_id=None, name=7, is_error=True), chunk_line(3, "\ud800".encode("utf-8", "replace").decode()),
    b'{"record_type": "chunk", "index": 3, "kind": "user", "payload": {"content": "\xff"}}\n',
    b'{"record_type": "chunk", "index": 3, "kind": "user", "payload": {"content": NaN}}\n',
    b'{"record_type": "chunk", "index": 3, "kind": "assistant", "payload": {"tool_calls": [{"id": 3, "function": {}}, 4]}}\n',
    header_line(schema_version=0), trailer_line(9, (1, 2, 3)),
]  # fmt: skip


@settings(max_examples=200)
@given(lines=st.lists(st.sampled_from(ODD), max_size=8), begun=st.booleans(), cut=st.integers(0, 8))
def test_skimmed_or_decoded_in_one_go_or_two_it_is_the_same(
    lines: list[bytes], cut: int, *, begun: bool
) -> None:
    lines = [header_line()] * begun + lines
    whole = folded(b"".join(lines))

    with patch.object(AuditFold, "_skim", lambda *_: False):
        decoded = folded(b"".join(lines))
    first = folded(b"".join(lines[:cut]))
    kept = AuditState.from_bytes(first.as_bytes())
    second = folded(b"".join(lines[cut:]), state=kept)

    assert decoded == whole
    assert second == whole


def test_hostile_files_are_skimmed_as_they_are_decoded() -> None:
    for name, case in CASES.items():
        data: Any = case.data[: case.data.rfind(b"\n") + 1]
        whole = folded(data)
        with patch.object(AuditFold, "_skim", lambda *_: False):
            assert folded(data) == whole, name


def test_a_line_that_is_too_long_is_told_and_passed_over() -> None:
    fold = AuditFold(folded(header_line()))
    start = fold.state.mark.offset
    fold.add_lines(LongLine(b"{", start, 2, 100_000_000, b"{" * 256, b"}" * 256))

    assert told(fold.state) == [("line-too-long", 2, start)]
    assert fold.state.mark.offset == start + 100_000_000


@pytest.mark.parametrize("name", ["\ud800", "n" * 3_000_000, "\ud800" * 200, "ü" * 300])
def test_whatever_a_tool_is_called_its_open_call_is_kept_and_its_result_found(name: str) -> None:
    call = {"id": "a", "function": {"name": "NAME"}}
    asked = chunk_line(0, None, "assistant", tool_calls=[call])
    state = folded(header_line() + asked.replace(b'"NAME"', json.dumps(name).encode()))
    kept = AuditState.from_bytes(state.as_bytes())

    after = folded(chunk_line(1, "x", "tool_result", tool_call_id="a"), state=kept)

    assert len(state.as_bytes()) < 5000
    assert after.tally.tool_results == after.tally.tool_calls
    assert sum(after.tally.tool_calls.values()) == 1


@pytest.mark.parametrize("digits", ["9" * 19, "9" * 20, "9" * 4000])
def test_a_number_of_more_than_64_bits_is_told_and_does_not_end_the_fold(digits: str) -> None:
    number = int(digits)
    lines = chunk_line(number) + chunk_line(-number) + chunk_line(2) + trailer_line(number)

    state = folded(header_line() + lines)

    assert AuditState.from_bytes(state.as_bytes()) == state
    assert [reason for reason, *_ in told(state)] == ["index-gap", "index-repeat", "index-gap"]
    assert state.final_chunk_count is not None
    assert state.final_chunk_count > 10**18


def test_tokens_of_more_than_64_bits_are_unknown_and_told() -> None:
    state = folded(header_line() + trailer_line(0, (10**20, 1, 1)))

    assert AuditState.from_bytes(state.as_bytes()) == state
    assert (state.usage, state.trailer_line) == (None, 2)
    assert [reason for reason, *_ in told(state)] == ["malformed-trailer"]

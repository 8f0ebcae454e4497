"""What a running session does: counted as an audit does, and only what is news has a rate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from msgspec import structs

from samples import ID, MOMENT, chunk_line, header_line, trailer_line
from sessiontail import SessionState, TokenUsage
from sessiontail.directory.activity import ActivityFold, SessionActivity
from sessiontail.format import Block, RecordDecoder
from sessiontail.format.auditing import AuditFold
from sessiontail.format.batch import Batch
from sessiontail.format.findings import Finding, Severity
from sessiontail.format.records import as_utc

NAME = str(ID)


def call(index: int, call_id: str, *names: str) -> bytes:
    calls = [
        {"id": f"{call_id}{i}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for i, name in enumerate(names)
    ]
    return chunk_line(index, None, "assistant", tool_calls=calls)


def result(index: int, call_id: str, name: str, **more: Any) -> bytes:
    return chunk_line(index, "ok", "tool_result", tool_call_id=call_id, name=name, **more)


def batches(*blocks: bytes) -> Iterator[Batch]:
    """Blocks of one file, decoded as a reader does."""
    decoder, offset, line = RecordDecoder(), 0, 1
    for data in blocks:
        yield decoder.decode(Block.cut(data, offset=offset, line=line))
        offset, line = offset + len(data), line + data.count(b"\n")


def folded(*blocks: bytes, known_bytes: int = 0) -> ActivityFold:
    fold = ActivityFold(0.0, known_bytes=known_bytes)
    for second, batch in enumerate(batches(*blocks), 1):
        fold.add(batch, left_out=0, now_s=float(second))
    return fold


def test_all_is_told_that_a_session_does() -> None:
    first = header_line() + chunk_line(0, " Fix  it,\nplease ") + call(1, "a", "read", "search")
    second = result(2, "a0", "read", is_error=True) + b"garbage\n" + call(3, "b", "edit")
    fold = folded(first, second)
    fold.state = SessionState.LIVE

    assert fold.activity(NAME, 4.0) == SessionActivity(
        id_text=NAME,
        state=SessionState.LIVE,
        created_at=as_utc(datetime.fromisoformat(MOMENT)),
        title="Fix it, please",
        rows=4,
        inherited_rows=0,
        is_whole=True,
        size_bytes=len(first + second),
        rows_per_s=1.0,
        bytes_per_s=len(first + second) / 4.0,
        active_s=2.0,
        tool_calls=3,
        tool_errors=1,
        last_tool="edit",
        unanswered_calls=2,
        waits_for=("search", "edit"),
        damaged_lines=1,
        torn_bytes=0,
        findings_by_reason={"invalid-json": 1},
        last_finding=Finding(
            Severity.ERROR,
            "invalid-json",
            5,
            len(first + result(2, "a0", "read", is_error=True)),
            "invalid JSON: Expecting value (column 1)",
        ),
        usage=None,
    )


def test_tokens_are_unknown_until_the_trailer_says_them() -> None:
    assert folded(header_line()).activity(NAME, 1.0).usage is None
    ended = folded(header_line() + trailer_line(0, (1, 2, 3)))
    assert ended.activity(NAME, 1.0).usage == TokenUsage(1, 2, 3)


def test_what_was_there_before_is_counted_and_is_no_rate() -> None:
    before = header_line() + chunk_line(0) + chunk_line(1)
    after = chunk_line(2) + chunk_line(3)

    # The file was read in one go: some of its rows are news.
    mixed = folded(before + after, known_bytes=len(before)).activity(NAME, 2.0)
    old = folded(before, known_bytes=len(before)).activity(NAME, 2.0)

    assert (mixed.rows, mixed.rows_per_s, mixed.bytes_per_s) == (4, 1.0, len(after) / 2)
    assert (old.rows, old.rows_per_s, old.bytes_per_s, old.active_s) == (2, 0.0, 0.0, 0.0)


def test_rows_that_were_left_out_are_no_gap() -> None:
    fold = ActivityFold(0.0)
    inherited = chunk_line(0) + chunk_line(1)
    data = header_line() + inherited + chunk_line(2) + chunk_line(4)
    (batch,) = batches(data)

    fold.add(batch.without_chunks(len(header_line() + inherited)), left_out=2, now_s=1.0)

    one = fold.activity(NAME, 1.0)
    assert (one.rows, one.inherited_rows) == (2, 2)
    assert one.findings_by_reason == {"index-gap": 1}
    assert one.last_finding is not None
    assert (one.last_finding.line, one.last_finding.message) == (5, "index 4, expected 3")


def test_of_a_file_that_is_taken_up_in_its_midst_the_rest_is_counted_and_no_line_is_made_up() -> (
    None
):
    first, second = header_line() + chunk_line(0), chunk_line(1) + chunk_line(3)
    _, batch = batches(first, second)
    unnumbered = RecordDecoder(start=structs.replace(batch.start, lines=None)).decode(batch.block)
    fold = ActivityFold(0.0, known_bytes=len(first))

    fold.add(unnumbered, left_out=0, now_s=1.0)

    one = fold.activity(NAME, 1.0)
    assert (one.is_whole, one.rows, one.rows_per_s) == (False, 2, 2.0)
    assert one.findings_by_reason == {"index-gap": 1}
    assert one.last_finding is not None
    assert (one.last_finding.line, one.last_finding.offset) == (None, len(first + chunk_line(1)))


def test_blank_lines_before_the_header_make_no_rest_of_it() -> None:
    *_, batch = batches(b"\n\n", header_line() + chunk_line(0))
    fold = ActivityFold(0.0)

    fold.add(batch, left_out=0, now_s=1.0)

    assert fold.activity(NAME, 1.0).is_whole


@pytest.mark.parametrize("size", [1, 2, 5])
def test_it_counts_what_the_audit_counts_however_the_file_is_cut(size: int) -> None:
    lines = [
        header_line(), chunk_line(0), call(1, "a", "t", "u"), result(2, "a0", "t"), b"{}\n",
        call(3, "b", "t"), chunk_line(5), trailer_line(5), chunk_line(6), header_line(),
    ]  # fmt: skip
    whole = AuditFold()
    for batch in batches(b"".join(lines)):
        whole.add_batch(batch)
    fold = folded(*[b"".join(lines[i : i + size]) for i in range(0, len(lines), size)])

    one, state = fold.activity(NAME, 1.0), whole.state
    assert fold._fold.state == state
    assert one.rows == state.tally.rows
    assert one.waits_for == ("u", "t")
    assert one.damaged_lines == 2


def test_the_same_object_says_it_again_while_nothing_changes() -> None:
    fold = folded(header_line() + chunk_line(0))
    long_ago = fold.activity(NAME, 100.0)

    assert fold.activity(NAME, 200.0) is long_ago
    fold.state = SessionState.LIVE
    assert fold.activity(NAME, 200.0).state is SessionState.LIVE


def test_a_tools_name_and_a_message_of_any_length_take_little() -> None:
    fold = folded(header_line() + chunk_line(0, "x" * 10_000) + call(1, "a", "t" * 10_000))

    one = fold.activity(NAME, 1.0)
    assert one.last_tool == "t" * 200 + "…"
    assert one.title == "x" * 200

"""Records fold into one session, whole, a few at a time or all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from samples import chunk_line, header_line, trailer_line
from sessiontail import (
    Chunk,
    ChunkTable,
    Damage,
    DamagedSession,
    Header,
    PersistedSessionHeader,
    Record,
    TokenUsage,
)
from sessiontail.format import Block, RecordDecoder
from sessiontail.format.folding import SessionFold, damaged, fold
from sessiontail.format.runs import decode_run

PATH = Path("/sessions/x.jsonl")


def records(data: bytes) -> list[Record]:
    return RecordDecoder().decode(Block.cut(data)).records


def test_a_session_is_folded_whole() -> None:
    found = records(header_line() + chunk_line(0) + chunk_line(1) + trailer_line(2, (1, 2, 3)))

    session = fold(found, path=PATH, torn_bytes=7)

    assert session.header == found[0]
    assert session.chunk_table.rows == tuple(found[1:3])
    assert (session.cumulative_usage, session.closed) == (TokenUsage(1, 2, 3), True)
    assert (session.trailer, session.path, session.torn_bytes) == (found[3], PATH, 7)
    assert session.trailer_raw is not None
    assert session.trailer_raw["final_chunk_count"] == 2
    assert session.to_messages() == [{"role": "user", "content": "hi"}] * 2


def test_a_session_without_a_trailer_is_not_closed_and_its_usage_unknown() -> None:
    session = fold(records(header_line()), path=PATH)

    assert (session.closed, session.cumulative_usage) == (False, None)
    assert (session.trailer, session.trailer_raw, len(session.chunk_table)) == (None, None, 0)


def test_the_last_trailer_wins_even_if_it_knows_less() -> None:
    session = fold(records(header_line() + trailer_line(0, (1, 1, 2)) + trailer_line()), path=PATH)

    assert (session.closed, session.cumulative_usage) == (True, None)


def test_a_strict_fold_raises_at_the_first_damage() -> None:
    data = header_line() + b"[]\n" + b"{\n" + chunk_line()

    with pytest.raises(DamagedSession) as caught:
        fold(records(data), path=PATH)

    error = caught.value
    assert (error.path, error.line, error.offset, error.reason) == (
        PATH,
        2,
        len(header_line()),
        "not-an-object",
    )
    assert str(error) == (
        f"{PATH}:2 (byte {len(header_line())}): a record is a JSON object, not list"
    )


def test_a_salvaging_fold_keeps_what_is_whole_and_lists_the_damage() -> None:
    found = records(header_line() + b"[]\n" + chunk_line() + b"{\n" + trailer_line())

    session = fold(found, path=PATH, salvage=True)

    assert [type(row) for row in session.chunk_table] == [Chunk]
    assert session.damage == tuple(record for record in found if isinstance(record, Damage))
    assert [damage.line for damage in session.damage] == [2, 4]
    assert session.closed


@pytest.mark.parametrize("salvage", [False, True])
@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"", None, "no-header"),
        (b"\n\n", None, "no-header"),
        (b"\n{}\n[]\n", 2, "unknown-record"),
        (header_line(id="x") + chunk_line(), 1, "malformed-header"),
    ],
)
def test_without_a_header_nothing_can_be_kept(
    data: bytes,
    line: int | None,
    reason: str,
    salvage: bool,  # noqa: FBT001 - given by name
) -> None:
    with pytest.raises(DamagedSession) as caught:
        fold(records(data) if data else [], path=PATH, salvage=salvage)

    assert (caught.value.line, caught.value.reason) == (line, reason)


def test_a_chunk_table_is_read_like_a_tuple() -> None:
    rows = tuple(row for row in records(header_line() + chunk_line() * 3) if isinstance(row, Chunk))
    table = ChunkTable(rows)

    assert (len(table), table[0], table[-2:], tuple(table)) == (3, rows[0], rows[-2:], rows)


def test_the_header_has_the_name_that_openrath_gives_it() -> None:
    assert PersistedSessionHeader is Header


WHOLE = header_line() + b"".join(chunk_line(i) for i in range(4)) + trailer_line(4, (1, 2, 3))
ODD = (
    header_line()
    + chunk_line(0)
    + b"[]\n"
    + chunk_line(1)
    + trailer_line()
    + b"{\n"
    + chunk_line(2)
)


@pytest.mark.parametrize("data", [WHOLE, ODD], ids=["whole", "odd"])
@pytest.mark.parametrize("count", range(1, 7))
def test_records_that_come_a_few_at_a_time_are_the_same_session(data: bytes, count: int) -> None:
    found = records(data)
    session = SessionFold(PATH, salvage=True)

    for start in range(0, len(found), count):
        session.add(found[start : start + count])

    assert session.finish(torn_bytes=3) == fold(found, path=PATH, salvage=True, torn_bytes=3)


@pytest.mark.parametrize("slice_lines", [1, 2, 5])
def test_runs_of_lines_are_the_same_session(slice_lines: int) -> None:
    lines = WHOLE.splitlines(keepends=True)
    decoder, session, counted = RecordDecoder(), SessionFold(PATH), 0

    for start in range(0, len(lines), slice_lines):
        part = b"".join(lines[start : start + slice_lines])
        run = decode_run(decoder, part, 0, len(part))
        assert run is not None
        counted += session.add_run(run)

    assert counted == len(lines)
    assert session.finish() == fold(records(WHOLE), path=PATH)


def test_a_run_behind_records_goes_on_with_them() -> None:
    decoder, session = RecordDecoder(), SessionFold(PATH)
    begin = header_line() + chunk_line(0)
    session.add(decoder.decode(Block.cut(begin)).records)
    rest = WHOLE[len(begin) :]

    run = decode_run(decoder, rest, 0, len(rest))
    assert run is not None
    session.add_run(run)

    assert session.finish() == fold(records(WHOLE), path=PATH)


def test_a_strict_fold_of_a_few_at_a_time_tells_the_first_damage() -> None:
    session = SessionFold(PATH)
    header, *rest = records(ODD)
    session.add([header])

    with pytest.raises(DamagedSession) as caught:
        session.add(rest)

    (first, _) = (record for record in rest if isinstance(record, Damage))
    error = damaged(first, PATH)
    assert f"{caught.value}" == f"{error}"
    assert (error.line, error.offset, error.reason) == (3, first.offset, first.reason.value)

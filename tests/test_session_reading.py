"""One file, up to the end that it has when reading begins."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors import Actor, drain, records_of, take
from samples import ID, chunk_line, header_line, json_line, session_bytes, trailer_line
from sessiontail import (
    CursorInvalid,
    Damage,
    PersistenceError,
    SessionNotFound,
    SessionStore,
    load_session,
    read_session,
    tail_session,
)
from sessiontail.format.framing import MAX_BLOCK_LINES
from sessiontail.session.blocks import READ_BYTES

pytestmark = pytest.mark.anyio

OTHER = UUID("4f2c0000-0000-4000-8000-000000000002")


async def turns_of_others(work: Callable[[], Awaitable[object]]) -> int:
    """How often another task had its turn while this was done."""
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(take_turns)
        await work()
        group.cancel_scope.cancel()
    return turns


async def test_what_comes_after_the_first_look_is_left_for_the_next_reader(tmp_path: Path) -> None:
    with Actor(tmp_path).open().say("one") as actor:
        reader = read_session(actor.id, directory=tmp_path)
        got = await take(reader, 1)
        early = actor.records
        actor.say("two")
        got += await drain(reader)
        rest = await drain(read_session(actor.id, directory=tmp_path, after=reader.cursor))

        assert (got, got + rest) == (early, actor.records)


async def test_a_torn_line_is_no_record_and_is_counted(tmp_path: Path) -> None:
    with Actor(tmp_path).open().say("one") as actor:
        actor.write(actor.chunk("é")[:-5])
        reader = read_session(actor.id, directory=tmp_path)

        assert (await drain(reader), reader.torn_bytes) == (actor.records, actor.torn)


async def test_batches_and_records_share_one_position(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(session_bytes(5))
    reader = read_session(ID, directory=tmp_path)
    first = await take(reader, 2)
    rest = [record async for batch in reader.batches() for record in batch]

    assert first + rest == records_of(session_bytes(5))


async def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    with Actor(tmp_path).open().say(*["x" * 100_000] * 9) as actor:
        reader = read_session(actor.id, directory=tmp_path)
        await take(reader, 1)
        actor.cut(10)

        with pytest.raises(PersistenceError, match="rewritten while it was read"):
            await drain(reader)


async def test_a_cursor_of_a_longer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / f"{ID}.jsonl"
    path.write_bytes(session_bytes(5))
    reader = SessionStore(tmp_path).read(ID)
    await take(reader, 4)
    path.write_bytes(session_bytes(1, closed=False))

    with pytest.raises(CursorInvalid):
        await drain(SessionStore(tmp_path).read(ID, after=reader.cursor))


@pytest.mark.parametrize("name", [f"{ID}.jsonl", f"{ID}.jsonl.__partial__"])
async def test_what_is_no_file_under_one_name_hides_no_session_under_the_other(
    tmp_path: Path, name: str
) -> None:
    for path in (tmp_path / f"{ID}.jsonl", tmp_path / f"{ID}.jsonl.__partial__"):
        if path.name == name:
            path.mkdir()
        else:
            path.write_bytes(session_bytes(2))

    session = await load_session(ID, directory=tmp_path)
    read = await drain(read_session(ID, directory=tmp_path))

    assert (len(session.chunk_table), len(read)) == (2, 4)


async def test_a_cursor_of_another_session_is_refused_however_long_its_header(
    tmp_path: Path,
) -> None:
    operator = "x" * 300
    for session_id in (ID, OTHER):
        record = {**json.loads(header_line(session_id)), "lineage_operator": operator}
        late = json_line(dict(sorted(record.items(), key=lambda pair: pair[0] == "id")))
        path = tmp_path / f"{session_id}.jsonl"
        path.write_bytes(late + chunk_line(0, "y" * 300) + trailer_line())
    reader = read_session(ID, directory=tmp_path)
    await take(reader, 2)

    with pytest.raises(CursorInvalid, match=f"is of session {ID}, the file of {OTHER}"):
        await drain(read_session(OTHER, directory=tmp_path, after=reader.cursor))


async def test_blank_and_damaged_lines_leave_the_loop_to_others(tmp_path: Path) -> None:
    path = tmp_path / f"{ID}.jsonl"
    for line in (b"\n", b"x\n"):
        path.write_bytes(header_line() + line * 20_000 + trailer_line(0))
        for work in (
            lambda: load_session(path=path, salvage=True),
            lambda: drain(read_session(path=path)),
            lambda: drain(tail_session(path=path)),
        ):
            assert await turns_of_others(work) >= 20_000 // MAX_BLOCK_LINES


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n\n"])
async def test_a_cursor_inside_a_batch_of_short_lines_stands_behind_its_record(
    tmp_path: Path, between: bytes
) -> None:
    lines = [
        header_line(),
        *(chunk_line(i, "é" * (i % 7)) for i in range(1900)),
        trailer_line(1900),
    ]
    data = b"".join(between * (i % 3) + line for i, line in enumerate(lines))
    path = tmp_path / f"{ID}.jsonl"
    path.write_bytes(data)
    reader = read_session(path=path)
    owed = records_of(data)
    cursors = []
    for count in range(len(owed)):
        await anext(reader)
        if count % 50 == 0 or count > len(owed) - 4:
            cursors.append((count + 1, reader.cursor, data[: reader.offset], reader.line))
    assert READ_BYTES // 2 < len(data) <= READ_BYTES

    for count, cursor, before, line in cursors:
        assert (records_of(before), before.count(b"\n")) == (owed[:count], line)
        assert await drain(read_session(path=path, after=cursor)) == owed[count:]


async def test_the_open_files_descriptor_is_there_until_the_end(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(session_bytes(1))
    reader = read_session(ID, directory=tmp_path)
    found = [reader.fd]
    await take(reader, 1)
    assert reader.fd is not None
    data = os.pread(reader.fd, 1000, 0)
    await drain(reader)
    found.append(reader.fd)

    assert (data, found) == (session_bytes(1), [None, None])


async def test_an_absent_session_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(SessionNotFound):
        await anext(read_session(ID, directory=tmp_path))


# --- so many lines before the end


@pytest.mark.parametrize("last", [0, 1, 2, 5, 6, 1_000_000])
@pytest.mark.parametrize("closed", [True, False])
async def test_reading_begins_so_many_lines_before_the_end(
    tmp_path: Path, last: int, *, closed: bool
) -> None:
    data = session_bytes(4, closed=closed)
    (tmp_path / f"{ID}.jsonl{'' if closed else '.__partial__'}").write_bytes(data)
    owed = records_of(data)
    store = SessionStore(tmp_path)

    for reader in (store.read(ID, last=last), read_session(ID, directory=tmp_path, last=last)):
        assert await drain(reader) == owed[max(0, len(owed) - last) :]
        assert (reader.offset, reader.line) == (len(data), len(owed))


async def test_by_its_path_a_file_is_read_from_so_many_lines_before_its_end_too(
    tmp_path: Path,
) -> None:
    path = tmp_path / "export.txt"
    path.write_bytes(session_bytes(3))

    assert await drain(read_session(path=path, last=2)) == records_of(session_bytes(3))[-2:]


async def test_found_by_its_header_a_file_is_read_from_so_many_lines_before_its_end_too(
    tmp_path: Path,
) -> None:
    (tmp_path / "export.jsonl").write_bytes(session_bytes(3))

    read = await drain(read_session(ID, directory=tmp_path, last=2))

    assert read == records_of(session_bytes(3))[-2:]


async def test_the_end_is_the_one_that_the_file_has_when_reading_begins(tmp_path: Path) -> None:
    with Actor(tmp_path).open().say("one", "two") as actor:
        reader = read_session(actor.id, directory=tmp_path, last=2)
        actor.say("three", "four", "five")  # nothing is opened yet
        owed = actor.records[-2:]
        got = await take(reader, 1)
        actor.say("six")
        got += await drain(reader)

        assert got == owed


async def test_a_torn_line_is_none_of_the_last(tmp_path: Path) -> None:
    with Actor(tmp_path).open().say("one", "two") as actor:
        actor.write(actor.chunk("é" * 100_000)[:-5])
        reader = read_session(actor.id, directory=tmp_path, last=1)

        assert (await drain(reader), reader.torn_bytes) == (actor.records[-1:], actor.torn)


async def test_of_the_last_lines_damaged_ones_count_and_empty_ones_do_not(tmp_path: Path) -> None:
    data = header_line() + chunk_line() + b"\n\nbad\n\n" + trailer_line()
    (tmp_path / f"{ID}.jsonl").write_bytes(data)
    owed = records_of(data)

    read = [await drain(read_session(ID, directory=tmp_path, last=last)) for last in range(6)]

    assert read == [owed[len(owed) - min(last, 4) :] for last in range(6)]


@pytest.mark.parametrize(
    "data",
    [b"", b"half", chunk_line() * 3, b"bad\n" + session_bytes(2)],
    ids=["empty", "torn", "chunks", "damage first"],
)
@pytest.mark.parametrize("last", [0, 1])
async def test_a_file_without_a_header_is_read_from_its_start_whatever_is_asked(
    tmp_path: Path, data: bytes, last: int
) -> None:
    path = tmp_path / f"{ID}.jsonl"
    path.write_bytes(data)

    assert await drain(read_session(path=path, last=last)) == records_of(data)


async def test_a_cursor_taken_behind_any_of_the_last_records_goes_on_with_the_next(
    tmp_path: Path,
) -> None:
    data = session_bytes(6)
    (tmp_path / f"{ID}.jsonl").write_bytes(data)
    owed = records_of(data)[-4:]
    reader = read_session(ID, directory=tmp_path, last=4)
    rests = []
    for _ in owed:
        await take(reader, 1)
        rests.append(await drain(read_session(ID, directory=tmp_path, after=reader.cursor)))

    assert rests == [owed[count:] for count in range(1, 5)]


async def test_a_cursor_of_who_read_none_of_the_last_has_what_is_written_later(
    tmp_path: Path,
) -> None:
    with Actor(tmp_path).open().say("one", "two") as actor:
        reader = read_session(actor.id, directory=tmp_path, last=0)
        assert await drain(reader) == []
        early = len(actor.records)
        actor.say("three").close()
        rest = read_session(actor.id, directory=tmp_path, after=reader.cursor)

        assert await drain(rest) == actor.records[early:]


async def test_of_two_generations_the_last_lines_are_those_of_the_later(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(session_bytes(9))
    with Actor(tmp_path).open().say("new") as actor:
        reader = read_session(actor.id, directory=tmp_path, last=100)

        assert await drain(reader) == actor.records


async def test_of_a_large_file_the_last_lines_are_read_and_which_they_are_is_not_said(
    tmp_path: Path,
) -> None:
    data = header_line() + chunk_line(0, "x" * 100_000) * 60 + b"bad\n" + trailer_line()
    (tmp_path / f"{ID}.jsonl").write_bytes(data)
    store = SessionStore(tmp_path)
    reader = store.read(ID, last=2)
    damage, trailer = await drain(reader)

    assert isinstance(damage, Damage)
    assert (damage.line, damage.offset) == (None, len(data) - len(b"bad\n" + trailer_line()))
    assert trailer == records_of(data)[-1]
    assert (reader.line, reader.offset) == (None, len(data))
    assert store.stats.bytes < 10_000


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (-1, ValueError),
        (-(10**9), ValueError),
        (True, TypeError),
        (1.0, TypeError),
        ("1", TypeError),
    ],
)
@pytest.mark.parametrize("after", [None, "st1.nonsense"])
async def test_what_is_no_number_of_lines_is_refused_before_anything_is_opened(
    tmp_path: Path, last: Any, error: type[Exception], after: str | None
) -> None:
    store = SessionStore(tmp_path / "absent")
    for begin in (
        store.read,
        store.tail,
        partial(read_session, directory=tmp_path),
        partial(tail_session, directory=tmp_path),
    ):
        with pytest.raises(error, match="last"):
            begin(ID, last=last, after=after)


@pytest.mark.parametrize("last", [0, 1])
async def test_two_places_to_begin_at_are_refused(tmp_path: Path, last: int) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(session_bytes(1))
    reader = read_session(ID, directory=tmp_path)
    await take(reader, 1)
    store = SessionStore(tmp_path)
    for begin in (
        store.read,
        store.tail,
        partial(read_session, directory=tmp_path),
        partial(tail_session, directory=tmp_path),
    ):
        with pytest.raises(ValueError, match="give after= or last=, not both"):
            begin(ID, last=last, after=reader.cursor)

"""One file, up to the end that it has when reading begins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors import Actor, drain, records_of, take
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import CursorInvalid, PersistenceError, SessionNotFound, SessionStore, read_session
from sessiontail.advancing import READ_BYTES

pytestmark = pytest.mark.anyio


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

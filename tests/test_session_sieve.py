"""Batches of a file that begins with another's rows -> the same without these."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

from actors import drain
from chats import FIRST, GONE, Chats, name, rows
from samples import chunk_line, trailer_line
from sessiontail import (
    Chunk,
    DirectoryTail,
    Record,
    SessionStore,
    read_session,
    tail_session,
)
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.framing import Block
from sessiontail.session import sieve as sieving
from sessiontail.session.sieve import NOTHING, UNKNOWN, Inherited, Sieve
from sessiontail.session.tail import SessionTail
from sessiontail.system.stamps import FileId

pytestmark = pytest.mark.anyio

NEVER_S = 10**6


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    return Chats(tmp_path)


def said(records: list[Record]) -> list[str]:
    return [
        record.text or "" if isinstance(record, Chunk) else type(record).__name__
        for record in records
    ]


@pytest.mark.parametrize("read", [read_session, tail_session])
async def test_a_turn_is_read_without_what_it_inherits(chats: Chats, read: Any) -> None:
    chats.write(1, rows(*FIRST[:2]))
    path = chats.write(2, rows(*FIRST))

    reader = read(path=path, inherited="skip")
    records = await drain(reader)

    assert said(records) == ["Header", "and", "No.", "Trailer"]
    assert (reader.inherited.count, reader.inherited.origin) == (4, UUID(name(1)))
    assert reader.left_out == 4


@pytest.mark.parametrize("read", [read_session, tail_session])
async def test_all_is_read_where_nothing_else_is_asked_for(chats: Chats, read: Any) -> None:
    chats.write(1, rows(*FIRST[:2]))
    path = chats.write(2, rows(*FIRST))

    reader = read(path=path)
    records = await drain(reader)

    assert len(records) == 8
    assert reader.inherited is None


async def test_a_cursor_taken_anywhere_goes_on_with_what_follows(chats: Chats) -> None:
    chats.write(1, rows(*FIRST[:2]))
    path = chats.write(2, rows(*FIRST))
    async with read_session(path=path, inherited="skip") as reader:
        cursors = [reader.cursor] + [reader.cursor async for _ in reader]
    async with read_session(path=path) as reader:
        whole = [reader.cursor] + [reader.cursor async for _ in reader]

    left = [
        said(await drain(read_session(path=path, after=at, inherited="skip"))) for at in cursors
    ]
    within = [
        said(await drain(read_session(path=path, after=at, inherited="skip"))) for at in whole
    ]

    own = ["Header", "and", "No.", "Trailer"]
    assert left == [own[i:] for i in range(5)]
    assert within == [own, *[own[1:]] * 5, own[2:], own[3:], []]


async def test_a_damaged_line_among_inherited_rows_is_shown(chats: Chats) -> None:
    first, *more = rows(*FIRST).splitlines(keepends=True)
    body = first + b"damaged\n" + b"".join(more)
    chats.write(1, body)

    records = await drain(read_session(path=chats.write(2, body), inherited="skip"))

    # What stands behind it is known nowhere: the rows of both end there.
    assert said(records)[:3] == ["Header", "hello", "Damage"]


@pytest.mark.parametrize("lines", [1, 3, 700])
async def test_batches_of_any_size_are_cut_where_the_own_rows_begin(
    chats: Chats, lines: int
) -> None:
    turns = [(str(i), str(-i)) for i in range(lines)]
    chats.write(1, rows(*turns))
    path = chats.write(2, rows(*turns, ("own", "yes")))

    found: list[Record] = []
    async for batch in read_session(path=path, inherited="skip").batches():
        found += batch

    assert said(found) == ["Header", "own", "yes", "Trailer"]


async def test_the_last_records_are_the_last_own_ones(chats: Chats) -> None:
    chats.write(1, rows(*FIRST[:2]))
    path = chats.write(2, rows(*FIRST))

    assert said(await drain(read_session(path=path, last=4, inherited="skip"))) == [
        "and", "No.", "Trailer",
    ]  # fmt: skip


@asynccontextmanager
async def held_back(wal: Path, taken: list[Record]) -> AsyncIterator[SessionTail]:
    """A tail whose records are taken, once rows of it are held back; it is left when it ends."""

    async def consume() -> None:
        async for record in tail:
            taken.append(record)

    with anyio.fail_after(60):
        async with (
            tail_session(path=wal, inherited="skip") as tail,
            anyio.create_task_group() as group,
        ):
            group.start_soon(consume)
            while not (tail._reader and tail._reader.held_until_s):
                await anyio.sleep(0.001)
            yield tail


async def test_a_copy_that_is_seen_while_it_is_written_is_not_shown(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sieving, "HOLD_S", NEVER_S)
    chats.write(1, rows(*FIRST[:2]))
    first, *more = rows(*FIRST).splitlines(keepends=True)
    wal = chats.write(2, first, closed=False)
    taken: list[Record] = []
    async with held_back(wal, taken):
        with wal.open("ab") as file:
            file.write(b"".join(more) + trailer_line(6))
        wal.rename(wal.with_name(f"{name(2)}.jsonl"))

    assert said(taken) == ["Header", "and", "No.", "Trailer"]


async def test_a_question_that_was_asked_before_is_shown_when_no_copy_follows(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sieving, "HOLD_S", 0.01)
    chats.write(1, rows(*FIRST[:2]))
    wal = chats.write(2, rows(*FIRST).splitlines(keepends=True)[0], closed=False)

    with anyio.fail_after(60):
        async with tail_session(path=wal, inherited="skip") as tail:
            assert said([await anext(tail), await anext(tail)]) == ["Header", "hello"]
            with wal.open("ab") as file:
                file.write(chunk_line(1, "Other.", "assistant") + trailer_line(2))
            wal.rename(wal.with_name(f"{name(2)}.jsonl"))
            rest = [record async for record in tail]

    assert said(rest) == ["Other.", "Trailer"]
    assert tail.outcome == "closed"


async def test_what_is_held_back_when_its_file_is_deleted_is_not_lost(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats.write(1, rows(*FIRST[:2]))
    wal = chats.write(2, rows(*FIRST).splitlines(keepends=True)[0], closed=False)
    monkeypatch.setattr(sieving, "HOLD_S", NEVER_S)
    taken: list[Record] = []
    async with held_back(wal, taken) as tail:
        wal.unlink()

    assert said(taken) == ["Header", "hello"]
    assert tail.outcome == "deleted"


@pytest.mark.parametrize("max_open", [None, 1])
async def test_a_directory_is_told_each_message_once(
    chats: Chats, store: SessionStore, max_open: int | None
) -> None:
    chats.directory = store.directory
    turns = [(f"q{i}", f"a{i}") for i in range(20)]
    for i in range(20):
        chats.write(i + 1, rows(*turns[: i + 1]), closed=i % 2 == 0)
    found: list[str] = []

    with anyio.fail_after(60):
        async with store.tail_all(include_closed=True, inherited="skip", max_open=max_open) as tail:
            async for _, record in tail:
                if isinstance(record, Chunk):
                    found.append(record.text or "")
                if len(found) == 40:
                    break

    assert sorted(found) == sorted(text for turn in turns for text in turn)


async def of_second(tail: DirectoryTail, count: int) -> list[Record]:
    """The next records of the second session; the first was closed just now, and may be told."""
    found: list[Record] = []
    while len(found) < count:
        session_id, record = await anext(tail)
        found += [record] if session_id == UUID(name(2)) else []
    return found


async def test_a_directory_says_what_of_a_session_it_leaves_out(
    chats: Chats, store: SessionStore
) -> None:
    chats.directory = store.directory
    chats.write(1, rows(*FIRST[:2]))
    chats.write(2, rows(*FIRST), closed=False)

    with anyio.fail_after(60):
        async with store.tail_all(inherited="skip") as tail:
            records = await of_second(tail, 3)
            inherited = tail.inherited(UUID(name(2)))

    assert said(records) == ["Header", "and", "No."]
    assert inherited is not None
    assert (inherited[0].count, inherited[0].origin, inherited[1]) == (4, UUID(name(1)), 4)


async def test_what_a_directory_holds_back_is_shown_when_no_copy_follows(
    chats: Chats, store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sieving, "HOLD_S", 0.01)
    chats.directory = store.directory
    chats.write(1, rows(*FIRST[:2]))
    chats.write(2, rows(*FIRST).splitlines(keepends=True)[0], closed=False)

    with anyio.fail_after(60):
        async with store.tail_all(inherited="skip") as tail:
            records = await of_second(tail, 2)

    assert said(records) == ["Header", "hello"]


async def test_a_directory_cursor_goes_on_within_what_is_inherited(
    chats: Chats, store: SessionStore
) -> None:
    chats.directory = store.directory
    chats.write(1, rows(*FIRST[:2]))
    chats.write(2, rows(*FIRST), closed=False)
    with anyio.fail_after(60):
        async with store.tail_all() as tail:
            await of_second(tail, 3)
            cursor = tail.cursor
        async with store.tail_all(after=cursor, inherited="skip") as tail:
            records = await of_second(tail, 2)

    assert said(records) == ["and", "No."]


def batch_of(body: bytes) -> Any:
    return RecordDecoder(header_version=1).decode(Block.cut(body))


@pytest.mark.parametrize("inherited", [NOTHING, UNKNOWN])
def test_what_is_not_known_to_be_elsewhere_is_handed_over(inherited: Inherited) -> None:
    sieve = Sieve(lambda _, __: inherited, ("a",), FileId(1, 2), finite=False)

    assert len(sieve.sift(batch_of(rows(*FIRST))).records) == 6
    assert sieve.settled


def test_a_parent_is_looked_for_until_that_is_settled() -> None:
    body = rows(*FIRST[:1])
    end = len(body)
    answers = [Inherited(2, end, None, end, settled=False), Inherited(2, end, None, end)]
    sieve = Sieve(lambda _, __: answers.pop(0), ("a",), FileId(1, 2), finite=False)

    kept = [len(sieve.sift(batch_of(body)).records) for _ in range(3)]

    assert kept == [0, 0, 0]
    assert not answers


def test_what_there_is_now_is_all_where_the_end_is_fixed() -> None:
    body = rows(*FIRST[:1])
    undecided = Inherited(0, 0, None, len(body), settled=False)
    sieve = Sieve(lambda _, __: undecided, (GONE,), FileId(1, 2), finite=True)

    assert len(sieve.sift(batch_of(body)).records) == 2
    assert sieve.held_until_s is None


def test_behind_a_row_that_was_handed_over_none_is_left_out() -> None:
    lines = rows(*FIRST[:1]).splitlines(keepends=True)
    first, both = len(lines[0]), len(lines[0] + lines[1])
    answers = [
        Inherited(0, 0, None, first, settled=False),
        Inherited(2, both, None, both, settled=False),
    ]
    sieve = Sieve(lambda _, __: answers.pop(0), ("a",), FileId(1, 2), finite=True)
    decoder = RecordDecoder(header_version=1)

    kept = [
        len(sieve.sift(decoder.decode(Block.cut(line, offset=at))).records)
        for line, at in zip(lines, (0, first), strict=True)
    ]

    assert kept == [1, 1]
    assert sieve.left_out == 0

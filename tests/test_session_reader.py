"""An open file, taken forward while its writer cuts, resumes and drips."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from actors import Actor, drain, heard
from bursts import Burst
from samples import ID
from sessiontail import Record, SessionStore
from sessiontail.format import Block, LongLine, RecordDecoder
from sessiontail.format.batch import Batch
from sessiontail.session.blocks import READ_BYTES, FileReplaced
from sessiontail.session.reader import FileReader
from sessiontail.system.files import SessionFile


def rest(reader: FileReader, *, thorough: bool = False) -> list[Record]:
    """Read on as a tail does: on the loop, and in a thread where that would wait."""
    got: list[Record] = []
    block = False
    while True:
        try:
            batch = reader.next_batch(block=block, thorough=thorough)
        except BlockingIOError:
            block = True
            continue
        if batch is None:
            return got
        got += batch.records
        block = False


def test_the_end_of_the_page_cache_is_not_taken_for_the_end_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = SessionFile.read_cached

    def up_to_a_page(file: SessionFile, offset: int, size: int) -> bytes | None:
        data = whole(file, offset, size) or b""
        return data[: max(0, 4096 - offset)]

    with Actor(tmp_path).open().say("one") as actor:
        reader = FileReader(SessionFile(actor.wal))
        got = rest(reader)
        filler = actor.chunk()
        actor.say("x" * (4096 - len(actor.data) - len(filler) + len("hi")), "behind")
        assert actor.data[4095:4096] == b"\n"
        monkeypatch.setattr(SessionFile, "read_cached", up_to_a_page)
        first = reader.next_batch(block=False)
        at_end = reader.at_end
        got += (first.records if first else []) + rest(reader)
        reader.close()

        assert (at_end, got) == (False, actor.records)


def test_a_block_that_waited_does_not_show_what_was_written_since(tmp_path: Path) -> None:
    with Actor(tmp_path).open() as actor:
        reader = FileReader(SessionFile(actor.wal))
        actor.write(actor.lines(Burst(700, 20)))  # one read, two blocks
        got: list[Record] = []
        while len(got) < len(actor.records):
            batch = reader.next_batch(block=False)
            assert batch is not None
            got += batch.records
            assert not reader.at_end
        actor.say("behind it")
        got += rest(reader)

        assert got == actor.records
        assert reader.at_end
        reader.close()


def test_a_torn_head_that_is_cut_off_is_no_replacement(tmp_path: Path) -> None:
    with Actor(tmp_path) as actor:
        actor.open(header=False).write(b"x" * 300)
        reader = FileReader(SessionFile(actor.wal))
        got = rest(reader)
        actor.cut(0)
        actor.kill()
        actor.open().say("one")
        got += rest(reader)

        assert not reader.changed_in_place(block=True)
        assert got == actor.records


def test_bytes_that_change_before_the_position_are_noticed(tmp_path: Path) -> None:
    with Actor(tmp_path).open().say("one") as actor:
        reader = FileReader(SessionFile(actor.wal))
        rest(reader)
        actor.wal.write_bytes(actor.data.replace(b"one", b"two"))

        with pytest.raises(FileReplaced):
            reader.next_batch(block=True)


async def by_tail(store: SessionStore) -> list[Record]:
    return await drain(store.tail(ID))


async def by_tail_all(store: SessionStore) -> list[Record]:
    async with store.tail_all(include_closed=True) as tail:
        return (await heard(tail, 5))[ID]


async def by_read(store: SessionStore) -> list[Record]:
    return await drain(store.read(ID))


@pytest.mark.anyio
@pytest.mark.parametrize("way", [by_tail, by_tail_all, by_read])
async def test_a_line_that_takes_long_to_decode_is_decoded_in_a_thread(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[SessionStore], Awaitable[list[Record]]],
) -> None:
    actor = Actor(tmp_path).open().say("small", "x" * 3_000_000, "small")
    actor.close()
    expected = actor.records
    here: dict[int, bool] = {}
    plain = RecordDecoder.decode

    def decode(self: RecordDecoder, block: Block | LongLine) -> Batch:
        if isinstance(block, Block):
            here[len(block.data)] = threading.get_ident() == loop
        return plain(self, block)

    loop = threading.get_ident()
    monkeypatch.setattr(RecordDecoder, "decode", decode)

    assert await way(SessionStore(tmp_path)) == expected
    assert max(here) > 3_000_000
    assert {size for size, on_loop in here.items() if on_loop and size > READ_BYTES} == set()

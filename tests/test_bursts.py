"""A burst is handed over whole, at once, on every path, and nothing need be written for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from actors import Actor, heard, nothing_more, owed, take
from bursts import SHAPES, Burst
from sessiontail import (
    Chunk,
    Damage,
    EventKind,
    Outcome,
    Record,
    SessionStore,
)

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("burst", SHAPES, ids=str)]


@pytest.fixture(params=["events", "polling"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SessionStore:
    """A store that looks by itself once a minute, or a hundred times a second."""
    return SessionStore(
        tmp_path, events=request.param == "events", sweep_interval_s=60, poll_interval_s=0.01
    )


def events_are_trusted(store: SessionStore) -> bool:
    """Whether it told of everything, and is still believed; nothing is asked of who polls."""
    stats = store.stats
    return store.polled_because == "events are switched off" or (
        (store.polled_because, stats.missed, stats.distrusted) == (None, 0, 0)
    )


async def batched(batches: AsyncIterator[list[Record]], count: int) -> list[Record]:
    """The next batches, up to so many records."""
    found: list[Record] = []
    with anyio.fail_after(30):
        while len(found) < count:
            found += await anext(batches)
    return found


async def test_a_tail_that_had_read_all_gets_it(store: SessionStore, burst: Burst) -> None:
    actor = Actor(store.directory).open().say("one")
    async with store, store.tail(actor.id) as tail:
        await take(tail, 2)
        assert await nothing_more(tail)
        actor.write(actor.lines(burst))
        got = await take(tail, burst.lines)

        assert got == actor.records[2:]
        assert await nothing_more(tail, 0.01)
        assert events_are_trusted(store)
        actor.close()
        assert [record async for record in tail] == actor.records[2 + burst.lines :]
        assert tail.outcome is Outcome.CLOSED


async def test_batches_hold_it(store: SessionStore, burst: Burst) -> None:
    actor = Actor(store.directory).open().say("one")
    async with store, store.tail(actor.id) as tail:
        batches = tail.batches()
        await batched(batches, 2)
        assert await nothing_more(batches)
        actor.write(actor.lines(burst))
        got = await batched(batches, burst.lines)

        assert got == actor.records[2:]
        assert await nothing_more(batches, 0.01)
        assert events_are_trusted(store)


async def test_a_directory_that_was_read_to_its_end_gets_it(
    store: SessionStore, burst: Burst
) -> None:
    actor = Actor(store.directory).open().say("one")
    async with store, store.tail_all() as tail:
        assert await heard(tail, 2) == owed(actor)
        assert await nothing_more(tail)  # its writer was seen, so that nothing is due for it
        actor.write(actor.lines(burst))

        assert await heard(tail, burst.lines) == {actor.id: actor.records[2:]}
        assert await nothing_more(tail, 0.01)
        assert events_are_trusted(store)


async def test_a_session_that_begins_with_it_is_heard_whole(
    store: SessionStore, burst: Burst
) -> None:
    actor = Actor(store.directory)
    async with store, store.tail_all() as tail:
        assert await nothing_more(tail)
        actor.open().write(actor.lines(burst))

        assert await heard(tail, 1 + burst.lines) == owed(actor)
        assert await nothing_more(tail, 0.01)
        assert events_are_trusted(store)


async def test_a_watch_goes_on_behind_it(store: SessionStore, burst: Burst) -> None:
    actor = Actor(store.directory).open().say("one")
    with anyio.fail_after(30):
        async with store, store.watch(include_existing=True) as watch:
            assert (await anext(watch)).kind is EventKind.STARTED
            actor.write(actor.lines(burst))
            assert await nothing_more(watch, 0.01)
            actor.close()
            closed = await anext(watch)

            assert closed.kind is EventKind.CLOSED
            chunks = sum(isinstance(record, Chunk) for record in actor.records)
            # The trailer is believed: it counts the lines that its writer took for chunks.
            assert closed.meta.chunk_count == 1 + burst.lines >= chunks
            assert await nothing_more(watch, 0.01)
            assert events_are_trusted(store)


async def test_who_waits_for_its_last_record_gets_that(store: SessionStore, burst: Burst) -> None:
    actor = Actor(store.directory).open().say("one")
    found: list[Record] = []

    async def wait() -> None:
        found.append(
            await store.wait_for(
                actor.id, lambda record: getattr(record, "text", "") == "end", timeout=20
            )
        )

    async with store, anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        actor.write(actor.lines(burst) + actor.chunk("end"))

    assert found == actor.records[-1:]


async def test_a_reader_reads_it_and_ends(store: SessionStore, burst: Burst) -> None:
    actor = Actor(store.directory).open()
    actor.write(actor.lines(burst))

    async with store, store.read(actor.id) as reader:
        assert [record async for record in reader] == actor.records
    async with store.read(actor.id) as reader:
        assert await batched(reader.batches(), 1 + burst.lines) == actor.records


async def test_a_reader_ends_where_the_file_did_before_it(
    store: SessionStore, burst: Burst
) -> None:
    actor = Actor(store.directory).open().say("one")
    async with store, store.read(actor.id) as reader:
        got = [await anext(reader)]
        actor.write(actor.lines(burst))
        got += [record async for record in reader]

        rest = store.read(actor.id, after=reader.cursor)
        assert got == actor.records[:2]
        assert [record async for record in rest] == actor.records[2:]


async def test_loading_takes_it_all(store: SessionStore, burst: Burst) -> None:
    actor = Actor(store.directory).open()
    actor.write(actor.lines(burst))

    session = await store.load(actor.id, salvage=True)

    assert list(session.chunk_table) == [r for r in actor.records if isinstance(r, Chunk)]
    assert list(session.damage) == [r for r in actor.records if isinstance(r, Damage)]


async def test_it_is_gone_on_with_from_anywhere_within(store: SessionStore, burst: Burst) -> None:
    actor = Actor(store.directory).open()
    actor.write(actor.lines(burst))
    records = actor.records
    read = 0
    async with store, store.tail_all() as tail:
        for count in (1, 511, 1, 1, 4000):
            await heard(tail, min(count, len(records) - read))
            read = min(read + count, len(records))
            async with store.tail_all(after=tail.cursor) as other:
                rest = await heard(other, len(records) - read)

                assert rest.get(actor.id, []) == records[read:]
                assert await nothing_more(other, 0.01)

"""What a store has done is counted where it happens, into one object."""

from __future__ import annotations

import dataclasses
from uuid import UUID

import pytest

from actors import Actor, drain, heard, take
from samples import ID
from sessiontail import SessionStore, tail_session
from sessiontail.system.stats import StoreStats


def test_all_counters_begin_at_nothing_and_are_given_by_name() -> None:
    stats = StoreStats()

    assert set(stats.as_dict().values()) == {0}
    assert {"reads", "records", "sweeps", "missed", "lag_s"} <= stats.as_dict().keys()


def test_what_was_given_by_name_does_not_count_on() -> None:
    stats = StoreStats()
    before = stats.as_dict()
    stats.reads += 1

    assert (before["reads"], stats.as_dict()["reads"]) == (0, 1)


def test_a_counter_that_there_is_not_cannot_be_counted() -> None:
    with pytest.raises(AttributeError):
        StoreStats().record = 1  # type: ignore[attr-defined] # as meant


@pytest.mark.anyio
async def test_a_tail_counts_into_its_store_what_it_reads(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one", "two")
    async with store, store.tail(ID) as tail:
        await take(tail, 3)
        running, size = dataclasses.replace(store.stats), len(actor.whole)
        actor.close()
        rest = await drain(tail)
    ended = store.stats

    assert (running.records, running.bytes, ended.records) == (3, size, 3 + len(rest))
    assert ended.bytes >= len(actor.whole)
    assert ended.reads > running.reads > 0


@pytest.mark.anyio
async def test_the_gauge_of_open_files_goes_up_and_down(store: SessionStore) -> None:
    actors = [Actor(store.directory, UUID(int=number + 1)).open() for number in range(3)]
    async with store:
        async with store.tail_all() as tail:
            await heard(tail, len(actors))
            during = store.stats.open_files
        after = store.stats.open_files

    assert (during, after) == (3, 0)
    assert all(actor.writing for actor in actors)


@pytest.mark.anyio
async def test_a_lone_tail_has_its_own(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one")
    actor.close()
    lone = tail_session(ID, directory=store.directory)

    assert await drain(lone) == actor.records
    assert (store.stats.records, lone._stats.records) == (0, 3)

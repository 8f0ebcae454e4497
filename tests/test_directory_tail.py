"""One stream of the records of all sessions: what it hands over, where it stands, how it ends."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from uuid import UUID

import anyio
import pytest
from anyio import BusyResourceError, wait_all_tasks_blocked

from actors import Actor, heard, held_of, nothing_more, owed
from samples import ID, chunk_line
from sessiontail import (
    ChunkKind,
    CursorInvalid,
    Damage,
    DirectoryTail,
    EventKind,
    SessionStore,
)
from test_directory_following import ids, settled

pytestmark = pytest.mark.anyio


async def test_the_cursor_of_a_stream_that_has_not_begun_begins(store: SessionStore) -> None:
    Actor(store.directory).open().say("before").close()
    cursor = store.tail_all().cursor
    async with store, store.tail_all(after=cursor) as tail:
        assert await nothing_more(tail)
        later = Actor(store.directory, ids(1)[0]).open()

        assert await heard(tail, 1) == owed(later)


async def test_kinds_keeps_only_chunks_of_these_and_damage(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("user")
    actor.write(chunk_line(1, "assistant", "assistant") + b"[]\n")
    actor.close()
    async with store, store.tail_all(kinds=["assistant"], include_closed=True) as tail:
        got = (await heard(tail, 2))[ID]

        assert got == actor.records[2:4]
        assert isinstance(got[1], Damage)
        assert await nothing_more(tail)


def test_a_kind_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="robot"):
        SessionStore(tmp_path).tail_all(kinds=["robot", ChunkKind.USER])


@pytest.mark.parametrize("shared", [True, False])
async def test_a_tail_closed_by_another_task_ends(tmp_path: Path, *, shared: bool) -> None:
    store = SessionStore(tmp_path)
    ended = False

    async def listen(tail: DirectoryTail) -> None:
        nonlocal ended
        async for _ in tail:
            pass
        ended = True

    async with store, anyio.create_task_group() as tasks:
        tail = store.tail_all() if shared else SessionStore(tmp_path).tail_all()
        with anyio.fail_after(30):
            tasks.start_soon(listen, tail)
            await wait_all_tasks_blocked()
            await tail.aclose()
            while not ended:
                await wait_all_tasks_blocked()

    assert ended


async def test_the_header_and_the_trailer_are_no_chunks_of_any_kind(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one")
    actor.close()
    kinds = [*ChunkKind]
    async with store, store.tail_all(kinds=kinds, include_closed=True) as tail:
        assert (await heard(tail, 1))[ID] == actor.records[1:2]
        assert await nothing_more(tail)


async def test_no_kind_at_all_leaves_damage(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one")
    actor.write(b"[]\n")
    async with store, store.tail_all(kinds=[]) as tail:
        assert (await heard(tail, 1))[ID] == actor.records[2:]


@pytest.mark.parametrize("cursor", ["", "st3d.", "st3d.nonsense", "st1.nonsense", "new"])
async def test_a_cursor_that_is_none_is_refused_before_anything_is_opened(
    tmp_path: Path, cursor: str
) -> None:
    with pytest.raises(CursorInvalid):
        SessionStore(tmp_path / "none").tail_all(after=cursor)


async def test_the_cursor_stands_behind_each_record_that_was_handed_over(
    store: SessionStore,
) -> None:
    actors = [Actor(store.directory, session_id).open().say("one", "two") for session_id in ids(3)]
    total = sum(len(actor.records) for actor in actors)
    for count in (1, 4, total):
        async with store:
            async with store.tail_all() as tail:
                got = await heard(tail, count)
                cursor = tail.cursor
            async with store.tail_all(after=cursor) as tail:
                rest = await heard(tail, total - count)
                assert await nothing_more(tail)

        assert {
            actor.id: got.get(actor.id, []) + rest.get(actor.id, []) for actor in actors
        } == owed(*actors)


async def test_the_cursor_stays_when_it_is_closed(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one", "two")
    async with store:
        async with store.tail_all() as tail:
            await heard(tail, 2)
            before = tail.cursor
        after = tail.cursor
        async with store.tail_all(after=after) as again:
            assert (await heard(again, 1))[ID] == actor.records[2:]

    assert before == after
    assert (tail.open_files, held_of(store.directory).count(str(actor.wal))) == (0, 1)


async def test_it_says_which_sessions_it_follows_and_what_it_holds(store: SessionStore) -> None:
    actors = [Actor(store.directory, session_id).open() for session_id in ids(2)]
    async with store, store.tail_all() as tail:
        assert (tail.session_ids, tail.open_files, tail.errors) == ([], 0, {})
        await heard(tail, 2)
        assert sorted(tail.session_ids) == ids(2)
        assert tail.open_files == 2
        actors[0].close()
        await heard(tail, 1)
        await settled(tail, lambda: (tail.open_files, tail.session_ids) == (1, ids(2)[1:]))


async def test_what_happens_is_told_once_its_id_is_known_and_before_its_records(
    store: SessionStore,
) -> None:
    told: list[tuple[UUID, EventKind]] = []
    named = store.directory / "named otherwise.jsonl.__partial__"
    async with store, store.tail_all(on_event=lambda *event: told.append(event)) as tail:
        actor = Actor(store.directory).open()
        actor.wal.rename(named)
        async for session_id, record in tail:
            assert [record] == actor.records
            assert told == [(session_id, EventKind.STARTED)] == [(ID, EventKind.STARTED)]
            break


async def test_how_many_run_is_known_when_the_directory_is_told_of(store: SessionStore) -> None:
    over, crashed, running = ids(3)
    Actor(store.directory, over).open().say("over").close()
    Actor(store.directory, crashed).open().say("crashed").kill()
    told: list[int] = []
    with Actor(store.directory, running).open().say("one"):
        tail = store.tail_all(only_running=True, on_directory=lambda _: told.append(tail.running))
        async with store, tail:
            await anext(tail)

    assert told == [1]


async def test_only_one_task_at_a_time_may_pull(tmp_path: Path) -> None:
    store = SessionStore(tmp_path)
    async with store, store.tail_all() as tail, anyio.create_task_group() as tasks:
        tasks.start_soon(anext, tail)
        await wait_all_tasks_blocked()
        with pytest.raises(BusyResourceError):
            await anext(tail)
        actor = Actor(tmp_path).open().say("one")  # the first goes on undisturbed
        with anyio.fail_after(30):
            while not tail.session_ids or tail._following._pulling:
                await wait_all_tasks_blocked()

        assert (await heard(tail, 1))[ID] == actor.records[1:]


async def test_after_it_was_closed_every_step_ends_it(tmp_path: Path) -> None:
    Actor(tmp_path).open().say("one")
    store = SessionStore(tmp_path)
    async with store:
        began, never = store.tail_all(), store.tail_all()
        await anext(began)
        for tail in (began, never):
            await tail.aclose()
            tail.close()
            for _ in range(2):
                with pytest.raises(StopAsyncIteration):
                    await anext(tail)

        assert [record async for record in began] == []


async def test_a_stream_that_is_dropped_is_gone_at_once_with_its_files(tmp_path: Path) -> None:
    actor = Actor(tmp_path).open().say("one")
    store = SessionStore(tmp_path)
    async with store:
        tail = store.tail_all()
        await anext(tail)
        assert held_of(tmp_path).count(str(actor.wal)) == 2
        gone = weakref.ref(tail)
        gc.disable()
        try:
            del tail
            assert gone() is None
            assert held_of(tmp_path).count(str(actor.wal)) == 1  # the writer's
        finally:
            gc.enable()


async def test_begun_before_a_record_is_asked_for_it_knows_where_all_stand(tmp_path: Path) -> None:
    with Actor(tmp_path).open().say("before") as actor:
        store = SessionStore(tmp_path)
        async with store.tail_all(last=0) as tail:
            await tail.begin()
            await tail.begin()
            cursor = tail.cursor
        await tail.begin()  # closed: nothing to begin

        actor.say("behind")
        async with store.tail_all(after=cursor) as tail:
            assert await heard(tail, 1) == {ID: actor.records[2:]}

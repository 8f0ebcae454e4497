"""What happens to sessions: each event once, in order, with its meta; and waiting for a record."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from anyio import wait_all_tasks_blocked

import actors
from actors import Actor, WriterServer, cancelled_at
from samples import ID, header_line
from sessiontail import (
    Chunk,
    EventKind,
    PersistenceError,
    Record,
    SessionEnded,
    SessionEvent,
    SessionState,
    SessionStore,
    SessionWatch,
)
from sessiontail.session import ending

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WriterServer]:
    with WriterServer(tmp_path_factory.mktemp("home")) as server:
        yield server


async def nothing_more(watch: SessionWatch) -> bool:
    """Whether a watch that has begun, however long that takes, stays silent."""
    while watch._existing is None:
        assert await actors.nothing_more(watch)
    return await actors.nothing_more(watch)


async def next_event(watch: SessionWatch) -> SessionEvent:
    with anyio.fail_after(30):
        return await anext(watch)


async def told(watch: SessionWatch) -> tuple[str, UUID]:
    event = await next_event(watch)
    return event.kind.value, event.meta.id


async def test_each_event_of_a_sessions_life_is_told_in_order(store: SessionStore) -> None:
    actor = Actor(store.directory)
    async with store, store.watch() as watch:
        assert await nothing_more(watch)
        actor.open().say("one")
        event = await next_event(watch)
        assert (event.kind, event.meta.id) == (EventKind.STARTED, ID)
        assert event.meta.state is SessionState.LIVE
        actor.write(actor.chunk("torn")[:20])
        actor.kill()
        assert await told(watch) == ("abandoned", ID)
        actor.resume(cut=True)
        assert await told(watch) == ("resumed", ID)
        actor.cut(0)
        actor.write(header_line())
        assert await told(watch) == ("replaced", ID)
        actor.say("two").close()
        event = await next_event(watch)
        assert (event.kind, event.meta.state) == (EventKind.CLOSED, SessionState.CLOSED)
        assert event.meta.path == actor.final
        actor.final.unlink()
        assert await told(watch) == ("deleted", ID)
        assert await nothing_more(watch)


async def test_a_session_reopened_under_its_id_is_resumed(store: SessionStore) -> None:
    first, second = Actor(store.directory), Actor(store.directory)
    async with store, store.watch() as watch:
        assert await nothing_more(watch)
        first.open().close()
        assert [await told(watch), await told(watch)] == [("started", ID), ("closed", ID)]
        second.open()
        assert await told(watch) == ("resumed", ID)
        second.close()
        assert await told(watch) == ("closed", ID)


async def test_real_writers_start_close_and_die(
    store: SessionStore, server: WriterServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # They live for milliseconds: their locks may be gone before anybody has seen them.
    monkeypatch.setattr(ending, "QUIET_S", 0.5)
    directory = server.home / "sessions"
    for path in directory.iterdir():
        path.unlink()
    store = SessionStore(
        directory, events=store._place.events, sweep_interval_s=60, poll_interval_s=0.01
    )
    async with store, store.watch() as watch:
        assert await nothing_more(watch)
        closes, dies, renames_not = (uuid4() for _ in range(3))
        server.start(id=str(closes), seed=1, chunks=5)
        assert [await told(watch), await told(watch)] == [("started", closes), ("closed", closes)]
        server.start(id=str(dies), seed=2, chunks=5, kill_at_byte=700)
        assert [await told(watch), await told(watch)] == [("started", dies), ("abandoned", dies)]
        server.start(id=str(dies), seed=3, chunks=5, cut=True)
        assert [await told(watch), await told(watch)] == [("resumed", dies), ("closed", dies)]
        server.start(id=str(renames_not), seed=4, chunks=5, kill_before_rename=True)
        assert await told(watch) == ("started", renames_not)
        assert await told(watch) == ("abandoned", renames_not)


async def test_existing_sessions_are_told_of_where_asked_for(store: SessionStore) -> None:
    closed, live = Actor(store.directory, UUID(int=1)), Actor(store.directory, UUID(int=2))
    closed.open().close()
    live.open().say("one")
    async with store, store.watch() as watch, store.watch(include_existing=True) as every:
        got = {await told(every), await told(every)}
        assert got == {("started", closed.id), ("started", live.id)}
        live.close()
        assert await told(every) == ("closed", live.id)
        assert await nothing_more(every)
        assert await nothing_more(watch)


async def test_an_event_whose_file_is_gone_has_the_meta_that_was_known(store: SessionStore) -> None:
    actor = Actor(store.directory)
    async with store, store.watch() as watch:
        assert await nothing_more(watch)
        actor.open()
        assert await told(watch) == ("started", ID)
        before = watch._following.gate

        def gate(moment: str) -> None:
            before(moment)
            if moment == "before waiting" and actor.writing:
                actor.close()
            if watch._news:
                actor.final.unlink(missing_ok=True)

        watch._following.gate = gate
        assert await told(watch) == ("closed", ID)
        actor.final.unlink(missing_ok=True)
        assert await told(watch) == ("deleted", ID)


async def test_a_session_closed_while_it_is_looked_at_and_deleted_at_once_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SessionStore(tmp_path, events=False, poll_interval_s=0.01)
    actor = Actor(tmp_path)
    plain = os.scandir

    @contextmanager
    def listed(path: Any) -> Iterator[list[os.DirEntry[str]]]:
        with plain(path) as entries:
            found = list(entries)
        if path == tmp_path and found and actor.writing:
            actor.close()  # each name that was listed is gone when it is looked at
        yield found

    async with store, store.watch() as watch:
        assert await nothing_more(watch)
        actor.open()
        assert await told(watch) == ("started", ID)
        monkeypatch.setattr(os, "scandir", listed)
        assert await told(watch) == ("closed", ID)
        actor.final.unlink()
        assert await told(watch) == ("deleted", ID)


async def test_a_step_of_a_watch_cancelled_at_any_await_can_be_tried_again(
    store: SessionStore,
) -> None:
    events: list[tuple[str, UUID]] = []
    async with store, store.watch() as watch:
        assert await nothing_more(watch)
        actors = [Actor(store.directory, UUID(int=n + 1)) for n in range(4)]
        for actor in actors:
            actor.open().say("one").kill()
            moment, found = 0, 0
            while found < 2:
                moment += 1
                with anyio.CancelScope() as scope, anyio.fail_after(30):
                    event = await cancelled_at(watch.__anext__(), moment, scope.cancel)
                    events.append((event.kind.value, event.meta.id))
                    found += 1

    # A file that is let go before anybody looked can be seen as held, never as two sessions.
    assert events == [(k, a.id) for a in actors for k in ("started", "abandoned")]


async def test_a_watch_that_is_closed_tells_nothing_more_of_what_was_there(
    store: SessionStore,
) -> None:
    for number in range(3):
        Actor(store.directory, UUID(int=number + 1)).open().close()
    async with store:
        watch = store.watch(include_existing=True)
        await next_event(watch)
        await watch.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(watch)


async def test_a_session_that_is_just_being_copied_is_not_called_abandoned(
    store: SessionStore,
) -> None:
    async with store, store.watch() as watch:
        assert await nothing_more(watch)
        with (store.directory / f"{ID}.jsonl").open("wb", buffering=0) as copy:
            copy.write(header_line())
            event = await next_event(watch)

            assert (event.kind, event.meta.state) == (EventKind.STARTED, SessionState.UNKNOWN)


async def test_a_watch_does_not_stop_at_a_damaged_header(store: SessionStore) -> None:
    bad, good = Actor(store.directory, UUID(int=1)), Actor(store.directory, UUID(int=2))
    async with store, store.watch() as watch:
        assert await nothing_more(watch)
        bad.open(header=False).write(b"[]\n")
        good.open()
        assert await told(watch) == ("started", good.id)
        assert await nothing_more(watch)


def says(text: str, *, among: list[Record]) -> bool:
    return any(isinstance(record, Chunk) and record.text == text for record in among)


async def test_the_record_that_is_waited_for_is_returned(store: SessionStore) -> None:
    actor = Actor(store.directory)
    got: list[Record] = []
    async with store, anyio.create_task_group() as tasks:

        async def wait() -> None:
            def wanted(record: Record) -> bool:
                return says("two", among=[record])

            got.append(await store.wait_for(ID, wanted, timeout=30))

        tasks.start_soon(wait)
        tasks.start_soon(wait)
        await wait_all_tasks_blocked()
        actor.open().say("one", "two", "three")

    assert got == [actor.records[2]] * 2


async def test_waiting_for_a_record_ends_with_the_session(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one")
    actor.close()
    async with store:
        with pytest.raises(SessionEnded, match=r"the session ended \(closed\) without that record"):
            await store.wait_for(ID, lambda _: False, timeout=30)


async def test_waiting_for_a_record_has_a_limit_and_can_be_cancelled(store: SessionStore) -> None:
    actor = Actor(store.directory).open()
    async with store:
        with pytest.raises(TimeoutError):
            await store.wait_for(ID, lambda _: False, timeout=0.05)
        with pytest.raises(TimeoutError):
            await store.wait_for(uuid4(), lambda _: True, timeout=0.05)
        with anyio.move_on_after(0.05) as scope:
            await store.wait_for(ID, lambda _: False)
        [watch] = store._place._held

        assert scope.cancelled_caught
        assert watch._followers.stems == []
        assert actor.writing


async def test_only_records_behind_the_cursor_count(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one", "one")
    async with store:
        async with store.tail(ID) as tail:
            for _ in range(2):
                await anext(tail)
            cursor = tail.cursor
        found = await store.wait_for(ID, lambda r: isinstance(r, Chunk), after=cursor, timeout=30)

        assert found == actor.records[2]
        with pytest.raises(PersistenceError):
            await store.wait_for(ID, lambda _: True, after="st1.nonsense", timeout=30)


async def test_a_watch_beside_a_huge_session_reads_its_ends(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = Actor(store.directory).open()
    huge.write(b"".join(huge.chunk("x" * 1000) for _ in range(10_000)))
    count = 0
    pread, preadv = os.pread, os.preadv

    def counted_pread(*args: Any) -> bytes:
        nonlocal count
        data = pread(*args)
        count += len(data)
        return data

    def counted_preadv(*args: Any) -> int:
        nonlocal count
        size = preadv(*args)
        count += size
        return size

    monkeypatch.setattr(os, "pread", counted_pread)
    monkeypatch.setattr(os, "preadv", counted_preadv)
    async with store, store.watch() as watch:
        await watch._begin()
        for _ in range(5):
            new = Actor(store.directory, uuid4()).open()
            assert (await next_event(watch)).meta.id == new.id
        huge.say("more")
        huge.kill()
        abandoned = await next_event(watch)

    assert count <= 1_000_000
    assert (abandoned.kind, abandoned.meta.chunk_count) == ("abandoned", 10_001)


async def have_grown(watch: SessionWatch, count: int) -> None:
    """Wait for an event, that does not come, until it is seen of so many that they grow."""
    with anyio.fail_after(30):
        while len(watch._grown) < count:
            assert await nothing_more(watch)


async def test_sessions_that_grow_are_known_while_an_event_is_waited_for(
    store: SessionStore,
) -> None:
    first, second, still = (Actor(store.directory, UUID(int=i)) for i in (1, 2, 3))
    for actor in (first, second, still):
        actor.open().say("before")
    async with store, store.watch() as watch:
        await watch.begin()
        assert await watch.grown(9) == []
        first.say("one", "two")
        second.say("three")
        await have_grown(watch, 2)
        longest = await watch.grown(1)
        rest = await watch.grown(9)
        again = await watch.grown(9)

    found = {meta.id: (meta.chunk_count, meta.size_bytes) for meta in [*longest, *rest]}
    assert found == {first.id: (3, len(first.data)), second.id: (2, len(second.data))}
    assert (len(longest), len(rest), again) == (1, 1, [])


async def test_who_grew_is_told_again_to_who_was_cancelled_while_asking(
    store: SessionStore,
) -> None:
    gone, actor = Actor(store.directory, UUID(int=1)), Actor(store.directory)
    gone.open().say("before")
    actor.open().say("before")
    async with store, store.watch() as watch:
        await watch.begin()
        gone.say("one")
        actor.say("one")
        await have_grown(watch, 2)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await watch.grown(9)
        gone.wal.unlink()

        assert [meta.id for meta in await watch.grown(9)] == [actor.id]

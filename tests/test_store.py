from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from actors import Actor, Counts, drain, heard, held_of, owed, take
from samples import ID, session_bytes
from sessiontail import (
    Chunk,
    ChunkKind,
    CursorInvalid,
    Outcome,
    PersistenceError,
    Record,
    SessionNotFound,
    SessionStore,
    SessionTail,
    list_persisted_sessions,
    load_session,
    read_session,
    tail_session,
)
from sessiontail.directory.plan import PrunePlan
from test_by_id import CALLS, put

pytestmark = pytest.mark.anyio

OTHER = UUID(int=7, version=4)


@pytest.fixture
def sessions(tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path, poll_interval_s=0.01)


async def test_the_functions_do_what_the_store_does(sessions: SessionStore) -> None:
    put(sessions, f"{ID}.jsonl", session_bytes(2))
    directory = sessions.directory

    assert await load_session(ID, directory=directory) == await sessions.load(ID)
    assert await list_persisted_sessions(directory=directory) == await sessions.list()
    records = [record async for record in sessions.read(ID)]
    assert [record async for record in read_session(ID, directory=directory)] == records
    assert [record async for record in tail_session(str(ID), directory=directory)] == records


async def test_a_cursor_that_is_no_text_is_refused(sessions: SessionStore) -> None:
    calls: list[Callable[..., object]] = [
        partial(sessions.tail, ID),
        partial(sessions.read, ID),
        sessions.tail_all,
    ]

    for call in calls:
        for after in (3, b"st2.x"):
            with pytest.raises(CursorInvalid) as caught:
                call(after=after)
            assert str(caught.value) == f"a cursor is text, not {type(after).__name__}"


@pytest.mark.parametrize(
    ("option", "error", "told"),
    [
        ({"on_missing": "raise"}, ValueError, "on_missing is 'wait' or 'error', not 'raise'"),
        ({"last": -1}, ValueError, "last cannot be negative: -1"),
        ({"last": "3"}, TypeError, "last is an int, not str '3'"),
        ({"kinds": "user"}, TypeError, "kinds: give a collection, such as ['user']"),
        ({"kinds": ChunkKind.USER}, TypeError, "kinds: give a collection, such as ['user']"),
    ],
)
async def test_an_option_of_tail_all_that_cannot_be_meant_is_refused_by_name(
    sessions: SessionStore, option: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as caught:
        sessions.tail_all(**option)

    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("option", "error", "told"),
    [
        ({"max_line_bytes": -1}, ValueError, "max_line_bytes is more than 0, not -1"),
        ({"max_line_bytes": "1k"}, TypeError, "max_line_bytes is a number, not str '1k'"),
        ({"sweep_interval_s": 0}, ValueError, "sweep_interval_s is more than 0, not 0"),
        ({"poll_interval_s": -0.5}, ValueError, "poll_interval_s is more than 0, not -0.5"),
        ({"poll_interval_s": None}, TypeError, "poll_interval_s is a number, not NoneType None"),
        ({"poll_interval_s": float("nan")}, ValueError, "poll_interval_s is more than 0, not nan"),
    ],
)
async def test_a_store_with_a_number_that_cannot_be_meant_is_not_made(
    tmp_path: Path, option: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as caught:
        SessionStore(tmp_path, **option)

    assert str(caught.value) == told


@pytest.mark.parametrize("call", [*CALLS, "list", "plan_prune", "prune"])
@pytest.mark.parametrize("directory", ["file", "x" * 300])
async def test_a_directory_that_is_none_is_one_line_of_error(
    tmp_path: Path, directory: str, call: str
) -> None:
    (tmp_path / "file").touch()
    store = SessionStore(tmp_path / directory)
    calls: dict[str, Callable[[], Any]] = {
        "list": store.list,
        "plan_prune": partial(store.plan_prune, keep_last=0),
        "prune": partial(store.prune, PrunePlan((), ())),
        **{name: partial(CALLS[name], store, session_id=ID) for name in CALLS},
    }

    with pytest.raises(PersistenceError) as caught:
        await calls[call]()

    assert str(caught.value).startswith(str(tmp_path / directory))
    assert caught.value.message in ("Not a directory", "File name too long") or (
        caught.value.message.startswith("no such")
    )


@pytest.mark.parametrize("name", ["x" * 300, "a" * 300 + "/b"])
async def test_an_openrath_home_with_a_name_too_long_is_an_absent_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path / name))

    with pytest.raises(PersistenceError, match="File name too long"):
        await list_persisted_sessions()


async def test_an_entered_store_shares_one_watcher_and_gives_everything_back(
    tmp_path: Path,
) -> None:
    for n in range(20):
        (tmp_path / f"{UUID(int=n)}.jsonl").write_bytes(session_bytes(session_id=UUID(int=n)))
    await SessionStore(tmp_path).list()
    before = held_of(tmp_path)
    async with SessionStore(tmp_path) as sessions:
        entered = held_of(tmp_path)
        tails = [sessions.tail(UUID(int=n)) for n in range(20)]
        for tail in tails:
            await anext(tail)
        opened = held_of(tmp_path)
        for tail in tails:
            tail.close()

        assert (len(entered) - len(before), len(opened) - len(entered)) == (1, 20)
        assert sessions.polled_because is None
    assert held_of(tmp_path) == before


async def test_an_error_leaves_an_entered_store_as_it_was_raised(sessions: SessionStore) -> None:
    with pytest.raises(SessionNotFound):
        async with sessions:
            await sessions.load(ID)


async def test_an_openrath_home_that_is_a_file_is_one_line_of_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path / "file"))

    with pytest.raises(PersistenceError, match="is not a directory; set it to one, or unset it"):
        SessionStore()


async def test_openrath_home_is_where_sessions_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path))
    (tmp_path / "sessions").mkdir()
    path = tmp_path / "sessions" / f"{ID}.jsonl"
    path.write_bytes(session_bytes())

    assert (await load_session(ID)).path == path
    assert [meta.id for meta in await list_persisted_sessions()] == [ID]


@pytest.mark.parametrize("events", [True, False])
async def test_tails_go_on_when_their_store_is_left(tmp_path: Path, *, events: bool) -> None:
    store = SessionStore(tmp_path, events=events, sweep_interval_s=60, poll_interval_s=0.01)
    actors = [Actor(tmp_path, UUID(int=n + 1)).open() for n in range(30)]
    tails = [store.tail(actor.id) for actor in actors]
    every = store.tail_all()
    waiting = store.tail(UUID(int=99), wait=True)
    later = Actor(tmp_path, UUID(int=99))
    got: list[list[Record]] = []
    async with anyio.create_task_group() as tasks:

        async def listen(tail: SessionTail, count: int) -> None:
            got.append(await take(tail, count))

        async with store:
            assert await heard(every, len(actors)) == owed(*actors)
            for tail in tails:
                await take(tail, 1)
                tasks.start_soon(listen, tail, 1)
            tasks.start_soon(listen, waiting, 2)
            await wait_all_tasks_blocked()
        for actor in (*actors, later.open()):
            actor.say("after it was left")
        assert len(await heard(every, len(actors) + 2)) == len(actors) + 1
    for actor, tail in zip(actors, tails, strict=True):
        actor.close()
        assert await drain(tail) == actor.records[-1:]
        assert tail.outcome is Outcome.CLOSED
    await heard(every, len(actors))
    every.close()
    waiting.close()

    assert sorted(map(len, got)) == [1] * len(actors) + [2]
    if events:  # nothing had to be looked for
        assert store.stats.missed == 0


async def test_a_store_that_is_left_leaves_no_watch_behind_its_last_tail(tmp_path: Path) -> None:
    actor = Actor(tmp_path).open()
    before = Counts.now()
    store = SessionStore(tmp_path)
    async with store:
        tail = store.tail(actor.id)
        await take(tail, 1)
    during = Counts.now()
    tail.close()

    assert during[1] == before[1] + 1
    assert Counts.at_rest(before) == before


async def test_a_store_may_be_entered_by_several_tasks_and_again(tmp_path: Path) -> None:
    actor = Actor(tmp_path).open().say("one")
    store = SessionStore(tmp_path)
    before = Counts.now()
    left = 0

    async def work(first: anyio.Event, second: anyio.Event) -> None:
        nonlocal left
        async with store:
            first.set()
            await second.wait()
            async with store:  # again, inside
                await store.wait_for(actor.id, lambda record: isinstance(record, Chunk))
            assert store.polled_because is None
        left += 1

    a, b, c = (anyio.Event() for _ in range(3))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, a, b)
        tasks.start_soon(work, b, c)
        await a.wait()
        c.set()

    assert left == 2
    assert store._place._held == []
    assert Counts.at_rest(before) == before


@pytest.mark.parametrize("other", ["asyncio", "trio"])
async def test_a_store_may_be_entered_on_two_event_loops_at_once(
    tmp_path: Path, other: str
) -> None:
    actor = Actor(tmp_path).open()
    before = Counts.now()
    store = SessionStore(tmp_path, sweep_interval_s=60)
    heard_there: list[Record] = []
    ready = threading.Event()

    async def there() -> None:
        async with store, store.tail(actor.id) as tail:
            heard_there.extend(await take(tail, 1))
            ready.set()
            heard_there.extend(await take(tail, 1))

    thread = threading.Thread(target=anyio.run, args=(there,), kwargs={"backend": other})
    async with store, store.tail(actor.id) as tail:
        got = await take(tail, 1)
        thread.start()
        await anyio.to_thread.run_sync(ready.wait, 30)
        actor.say("one")
        got += await take(tail, 1)
        await anyio.to_thread.run_sync(thread.join, 30)

    assert got == heard_there == actor.records
    assert store._place._held == []
    assert Counts.at_rest(before) == before


async def test_a_store_that_was_left_serves_on(live: Path) -> None:
    async with SessionStore(live.parent) as store:
        tail, everything = store.tail(ID), store.tail_all()
        begun = [await anext(tail), (await anext(everything))[1]]

    with anyio.fail_after(30):
        went_on = [await anext(tail), (await anext(everything))[1]]
        anew = [await anext(store.tail(ID)), await store.wait_for(ID, lambda _: True)]
    tail.close()
    everything.close()

    assert begun == anew
    assert went_on == [Chunk(kind=ChunkKind.USER, payload={"content": "first"}, index=0)] * 2
    assert [meta.id for meta in await store.list()] == [ID]
    async with store:
        assert store.polled_because is None

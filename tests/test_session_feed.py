"""The pull side of every reader: records one by one, or by the batch, for one task."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from actors import Actor, drain, held_of, records_of, take
from samples import ID, session_bytes
from sessiontail import CursorInvalid, Record, SessionNotFound, SessionStore, tail_session
from sessiontail.system.files import SessionFile

pytestmark = pytest.mark.anyio

DATA = session_bytes(5)
OWED = records_of(DATA)


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    (tmp_path / f"{ID}.jsonl").write_bytes(DATA)
    return SessionStore(tmp_path)


async def test_before_the_first_record_nothing_is_open_and_nothing_known(
    store: SessionStore,
) -> None:
    feed = store.read(ID)

    assert (feed.header, feed.fd, feed.offset, feed.line, feed.torn_bytes) == (None, None, 0, 0, 0)
    assert held_of(store.directory) == []
    assert await drain(store.read(ID, after=feed.cursor)) == OWED


async def test_at_the_end_everything_is_released_and_it_stays_at_its_end(
    store: SessionStore,
) -> None:
    feed = store.read(ID)
    got = [await drain(feed), await drain(feed)]

    assert got == [OWED, []]
    assert (feed.header, feed.offset, feed.line) == (OWED[0], len(DATA), len(OWED))
    assert held_of(store.directory) == []


async def test_the_place_of_a_record_is_its_own_line_though_blank_lines_follow(
    tmp_path: Path,
) -> None:
    lines = DATA.splitlines(keepends=True)
    data = b"".join([lines[0], b"\n", *lines[1:3], b"\n\n"])
    (tmp_path / f"{ID}.jsonl").write_bytes(data)
    places = []
    async with SessionStore(tmp_path).read(ID) as feed:
        before = (feed.place, feed.at_hand)
        async for _ in feed:
            places.append((feed.place, feed.at_hand))

    second = len(lines[0]) + 1
    assert before == ((None, None), 0)
    assert places == [((1, 0), 2), ((3, second), 1), ((4, second + len(lines[1])), 0)]


@pytest.mark.parametrize("count", range(len(OWED) + 1))
async def test_leaving_it_releases_everything_and_keeps_the_cursor(
    store: SessionStore, count: int
) -> None:
    async with store.read(ID) as feed:
        got = await take(feed, count)

    assert held_of(store.directory) == []
    assert await drain(feed) == []
    assert got + await drain(store.read(ID, after=feed.cursor)) == OWED


async def test_closed_twice_or_before_it_began_it_gives_nothing(store: SessionStore) -> None:
    feed = store.read(ID)
    feed.close()
    await feed.aclose()

    assert await drain(feed) == []


async def test_batches_begin_where_single_records_ended_and_end_where_they_go_on(
    store: SessionStore,
) -> None:
    feed = store.read(ID)
    got: list[Record] = await take(feed, 2)
    async for batch in feed.batches():
        assert batch
        got += batch

    assert got == OWED
    assert (feed.offset, feed.line) == (len(DATA), len(OWED))


async def test_one_task_at_a_time_may_pull_and_the_other_takes_nothing(tmp_path: Path) -> None:
    with Actor(tmp_path).open() as actor:
        feed = tail_session(actor.id, directory=tmp_path)
        got = await take(feed, 1)
        waits = anyio.Event()
        feed._gate = lambda moment: waits.set() if moment == "before waiting" else None
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:

                async def pull() -> None:
                    got.append(await anext(feed))

                tasks.start_soon(pull)
                await waits.wait()
                with pytest.raises(anyio.BusyResourceError):
                    await anext(feed)
                actor.say("one")
        feed.close()

        assert got == actor.records


async def test_a_step_that_fails_can_be_tried_again(tmp_path: Path) -> None:
    feed = SessionStore(tmp_path).read(ID)
    with pytest.raises(SessionNotFound):
        await anext(feed)
    (tmp_path / f"{ID}.jsonl").write_bytes(DATA)

    assert await drain(feed) == OWED


async def test_a_step_that_a_thread_does_gives_the_same(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionFile, "read_cached", lambda *_: None)

    assert await drain(store.read(ID)) == OWED
    assert held_of(store.directory) == []


@pytest.mark.parametrize("cursor", ["", "st1.", "st1.nonsense", "st9.x"])
async def test_what_is_no_cursor_is_refused_at_once(store: SessionStore, cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        store.read(ID, after=cursor)
    with pytest.raises(CursorInvalid):
        store.tail(ID, after=cursor)

    assert held_of(store.directory) == []

"""A directory when it is first looked at -> which sessions are followed, and from where."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

from actors import Actor, cancelled_at, heard, nothing_more, owed
from samples import ID, header_line, trailer_line
from sessiontail import CursorInvalid, DirectoryTail, Header, SessionNotFound, SessionStore
from sessiontail.directory.schedule import LaneState
from sessiontail.directory.stock import Stock, Wanted, take_stock
from sessiontail.session.ending import FAR_S
from sessiontail.system.survey import look_around
from test_directory_following import at, ids, settled


def dated(actor: Actor, age_s: float) -> Actor:
    """Give its WAL the age."""
    then_s = time.time() - age_s
    os.utime(actor.wal, (then_s, then_s))
    return actor


def stock_of(directory: Path, *, include_closed: bool = False, **wanted: Any) -> Stock:
    seen = look_around(directory)
    assert seen is not None
    return take_stock(directory, seen, Wanted(**wanted), include_closed)


def begins(stock: Stock) -> dict[int, tuple[int | None, bool]]:
    """For each lane, how many records before the end it begins, and whether it is taken as gone."""
    return {UUID(stem).int: (lane.last, lane.abandoned) for stem, lane in stock.lanes.items()}


# --- what a directory has, sorted


def test_what_is_written_is_followed_and_what_is_closed_is_done_with(tmp_path: Path) -> None:
    closed, running = (Actor(tmp_path, i).open() for i in ids(2))
    closed.close()

    stock = stock_of(tmp_path)

    assert begins(stock) == {2: (None, False)}
    assert str(closed.id) in stock.ended
    assert str(running.id) not in stock.ended


def test_what_is_closed_is_followed_too_where_asked_for(tmp_path: Path) -> None:
    for session_id in ids(2):
        Actor(tmp_path, session_id).open().close()

    stock = stock_of(tmp_path, include_closed=True)

    assert begins(stock) == {1: (None, False), 2: (None, False)}
    assert len(stock.ended) == 0


def test_of_a_session_that_was_opened_again_only_the_new_life_is_followed(tmp_path: Path) -> None:
    Actor(tmp_path).open().close()
    Actor(tmp_path).open()

    stock = stock_of(tmp_path)

    assert [*stock.lanes] == [str(ID)]
    assert str(ID) in stock.ended  # its closed file


def test_who_was_written_last_has_its_turn_first(tmp_path: Path) -> None:
    for session_id, age_s in zip(ids(4), (30, 10, 40, 20), strict=True):
        dated(Actor(tmp_path, session_id).open(), age_s)

    assert [UUID(lane.stem).int for lane in stock_of(tmp_path).order] == [2, 4, 1, 3]


@pytest.mark.parametrize(
    ("age_s", "held", "gone"),
    [
        (FAR_S + 60, False, True),
        (FAR_S - 60, False, False),
        (0, False, False),
        (-3600, False, False),
        (FAR_S + 60, True, False),
        (0, True, False),
    ],
)
def test_a_wal_is_gone_where_nobody_holds_it_and_it_is_older_than_ten_minutes(
    tmp_path: Path, age_s: float, *, held: bool, gone: bool
) -> None:
    actor = Actor(tmp_path, ids(1)[0]).open().say("one")
    if not held:
        actor.kill()
    dated(actor, age_s)

    assert begins(stock_of(tmp_path, only_running=True, last=3)) == {
        1: (0, True) if gone else (3, False)
    }
    assert begins(stock_of(tmp_path, last=3)) == {1: (3, False)}


@pytest.mark.parametrize("held", [False, True])
def test_a_wal_that_has_its_trailer_is_gone_at_once_unless_somebody_holds_it(
    tmp_path: Path, *, held: bool
) -> None:
    actor = Actor(tmp_path, ids(1)[0]).open().say("one")
    actor.write(trailer_line(1))
    if not held:
        actor.kill()
    dated(actor, 0)

    assert begins(stock_of(tmp_path, only_running=True, last=3)) == {
        1: (3, False) if held else (0, True)
    }


def test_a_damaged_cursor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CursorInvalid):
        stock_of(tmp_path, after="st3d.nonsense")


# --- a stream that begins with it


@pytest.mark.anyio
async def test_last_begins_so_many_records_before_the_end(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one", "two", "three")
    later = Actor(store.directory, UUID(int=7))
    async with store, store.tail_all(last=2) as tail:
        assert (await heard(tail, 2))[ID] == actor.records[-2:]
        later.open().say("one", "two", "three")
        assert await heard(tail, 4) == owed(later)


@pytest.mark.anyio
async def test_last_counts_from_the_end_that_was_there_when_it_began(store: SessionStore) -> None:
    actors = [Actor(store.directory, session_id).open().say("old", "last") for session_id in ids(9)]
    async with store, store.tail_all(last=1) as tail:
        at(tail, "after scan", lambda: [actor.say("new", "newer") for actor in actors])
        got = await heard(tail, 27)

        assert got == {actor.id: actor.records[-3:] for actor in actors}


@pytest.mark.anyio
async def test_a_stock_that_is_cut_short_at_any_await_is_taken_once(store: SessionStore) -> None:
    actor = Actor(store.directory).open()
    looks = 0
    moment = 0
    async with store, store.tail_all() as tail:

        def gate(name: str) -> None:
            nonlocal looks
            looks += name == "after scan"

        tail._gate = gate
        while True:
            moment += 1
            with anyio.fail_after(30), anyio.CancelScope() as scope:
                session_id, record = await cancelled_at(tail.__anext__(), moment, scope.cancel)
                break

    assert (session_id, [record]) == (ID, actor.records)
    assert moment > 1
    assert looks == 1


@pytest.mark.anyio
async def test_an_absent_directory_is_looked_for_or_an_error(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "none", poll_interval_s=0.01)
    async with store, store.tail_all(on_missing="error") as tail, store.tail_all() as waits:
        with pytest.raises(SessionNotFound, match="no such directory"):
            await anext(tail)
        assert await nothing_more(waits)
        store.directory.mkdir()
        actor = Actor(store.directory).open()

        assert await heard(waits, 1) == owed(actor)


# --- only what runs


def crashed(directory: Path, session_id: UUID, *texts: str) -> Actor:
    """A session whose writer was killed long ago."""
    actor = Actor(directory, session_id).open().say(*texts)
    actor.kill()
    return actor


class Told(list[tuple[UUID, str]]):
    """What a stream has told, by session."""

    def __call__(self, session_id: UUID, kind: str) -> None:
        self.append((session_id, str(kind)))


async def given_up(tail: DirectoryTail, *actors: Actor) -> None:
    """Pull, and expect no record, until these wait for a writer that comes back."""

    def waiting() -> bool:
        lanes = [tail._following.sessions.lanes.get(str(actor.id)) for actor in actors]
        return all(lane is not None and lane.state is LaneState.ABANDONED for lane in lanes)

    await settled(tail, waiting)


@pytest.mark.anyio
async def test_of_those_whose_writer_is_gone_nothing_is_heard_nor_told(
    store: SessionStore,
) -> None:
    gone = [crashed(store.directory, session_id, "old") for session_id in ids(5)]
    running = Actor(store.directory).open().say("one")
    told = Told()
    async with store, store.tail_all(only_running=True, on_event=told) as tail:
        assert await heard(tail, 2) == owed(running)
        await given_up(tail, *gone)

        assert told == [(ID, "started")]
        assert set(tail.session_ids) == {ID, *ids(5)}
        assert tail.open_files == 1  # an idle crash costs no descriptor
        assert tail.errors == {}


@pytest.mark.anyio
async def test_a_writer_that_comes_back_is_told_and_heard(store: SessionStore) -> None:
    actor = crashed(store.directory, ID, "old", "older")
    told = Told()
    async with store, store.tail_all(only_running=True, on_event=told) as tail:
        await given_up(tail, actor)
        actor.resume(cut=True).say("new")
        got = (await heard(tail, 2))[ID]
        assert got == actor.records[3:]
        assert told == [(ID, "resumed")]

        actor.say("last").close()
        assert (await heard(tail, 2))[ID] == actor.records[5:]
        await settled(tail, lambda: len(told) == 2)
        assert told == [(ID, "resumed"), (ID, "closed")]


@pytest.mark.anyio
async def test_a_writer_that_comes_back_and_dies_again_is_told_of_each_time(
    store: SessionStore,
) -> None:
    actor = crashed(store.directory, ID, "old")
    told = Told()
    async with store, store.tail_all(only_running=True, on_event=told) as tail:
        for _ in range(2):
            await given_up(tail, actor)
            before = len(actor.records)
            actor.resume(cut=True).say("new")
            assert (await heard(tail, 2))[ID] == actor.records[before:]
            actor.kill()
        await given_up(tail, actor)

        assert told == [(ID, "resumed"), (ID, "abandoned")] * 2


@pytest.mark.anyio
@pytest.mark.parametrize("torn", [b'{"record_type": "chu', b"x" * 100_000])
async def test_the_torn_line_of_a_crash_is_withheld_and_its_bytes_are_not_mixed_up(
    store: SessionStore, torn: bytes
) -> None:
    actor = Actor(store.directory).open().say("old")
    actor.write(torn)
    actor.kill()
    told = Told()
    async with store, store.tail_all(only_running=True, on_event=told) as tail:
        await given_up(tail, actor)
        assert told == []
        actor.resume(cut=True).say("new")

        assert (await heard(tail, 2))[ID] == actor.records[2:]
        assert told == [(ID, "resumed")]


@pytest.mark.anyio
@pytest.mark.parametrize("start", [b"", header_line()[:-1]], ids=["empty", "torn header"])
async def test_a_crash_without_a_whole_line_is_heard_from_its_header_when_it_is_resumed(
    store: SessionStore, start: bytes
) -> None:
    actor = Actor(store.directory).open(header=False)
    actor.write(start)
    actor.kill()
    told = Told()
    async with store, store.tail_all(only_running=True, on_event=told) as tail:
        await given_up(tail, actor)
        actor.resume(cut=True).say("new")
        got = (await heard(tail, 2))[ID]

        assert got == actor.records
        assert isinstance(got[0], Header)
        assert told == [(ID, "resumed")]


@pytest.mark.anyio
async def test_a_writer_that_comes_back_before_its_file_was_opened_is_heard(
    store: SessionStore,
) -> None:
    actors = [crashed(store.directory, session_id, "old") for session_id in ids(5)]
    told = Told()
    async with store, store.tail_all(only_running=True, on_event=told) as tail:
        at(tail, "after scan", lambda: [actor.resume(cut=True).say("new") for actor in actors])

        assert await heard(tail, 10) == {actor.id: actor.records[2:] for actor in actors}
        assert sorted(told) == [(actor.id, "resumed") for actor in actors]


@pytest.mark.anyio
async def test_with_last_only_what_runs_begins_so_many_records_before_its_end(
    store: SessionStore,
) -> None:
    gone = crashed(store.directory, ids(2)[0], "a", "b", "c")
    running = Actor(store.directory, ids(2)[1]).open().say("a", "b", "c")
    told = Told()
    async with store, store.tail_all(only_running=True, last=2, on_event=told) as tail:
        assert await heard(tail, 2) == {running.id: running.records[-2:]}
        await given_up(tail, gone)
        assert (gone.id, "resumed") not in told
        gone.resume(cut=True).say("d")
        running.say("d")

        assert await heard(tail, 3) == {gone.id: gone.records[4:], running.id: running.records[4:]}


@pytest.mark.anyio
async def test_what_closes_while_stock_is_taken_begins_before_its_end_too(
    tmp_path: Path,
) -> None:
    store = SessionStore(tmp_path)  # looks do not tell it from what was closed before
    actor = Actor(store.directory).open().say(*"abcdef")
    async with store, store.tail_all(last=2) as tail:
        at(tail, "before scan", actor.close)

        assert await heard(tail, 2) == {ID: actor.records[-2:]}
        await settled(tail, lambda: not tail.session_ids)


@pytest.mark.anyio
@pytest.mark.parametrize("longer", ["closed", "running"])
async def test_of_two_files_the_later_begins_before_its_end(
    store: SessionStore, longer: str
) -> None:
    counts = (50, 5) if longer == "closed" else (5, 50)
    Actor(store.directory).open().say(*map(str, range(counts[0]))).close()
    with Actor(store.directory).open().say(*map(str, range(counts[1]))) as actor:
        async with store, store.tail_all(include_closed=True, last=2) as tail:
            assert await heard(tail, 2) == {ID: actor.records[-2:]}
            actor.say("more")
            assert await heard(tail, 1) == {ID: actor.records[-1:]}
            assert await nothing_more(tail)


@pytest.mark.anyio
async def test_of_what_was_told_to_be_gone_nothing_is_told_again_behind_a_cursor(
    store: SessionStore,
) -> None:
    gone, wrote = (crashed(store.directory, i, "old") for i in ids(2))
    async with store, store.tail_all(only_running=True) as tail:
        await given_up(tail, gone, wrote)
        cursor = tail.cursor
    wrote.resume(cut=True).say("new")
    wrote.kill()
    told = Told()
    async with store, store.tail_all(only_running=True, after=cursor, on_event=told) as tail:
        assert await heard(tail, 2) == {wrote.id: wrote.records[2:]}
        await given_up(tail, gone, wrote)

        assert told == [(wrote.id, "abandoned")]


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["young", "held"])
async def test_what_is_not_known_to_be_gone_is_heard(store: SessionStore, how: str) -> None:
    actor = Actor(store.directory).open().say("one")
    if how == "held":
        dated(actor, 86_400)  # its clock is behind
    else:
        actor.kill()
        dated(actor, FAR_S / 2)
    async with store, store.tail_all(only_running=True) as tail:
        assert await heard(tail, 2) == owed(actor)


@pytest.mark.anyio
async def test_what_crashes_while_it_is_followed_is_told_as_ever(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one")
    told = Told()
    async with store, store.tail_all(only_running=True, on_event=told) as tail:
        assert await heard(tail, 2) == owed(actor)
        actor.kill()
        await given_up(tail, actor)

        assert told == [(ID, "started"), (ID, "abandoned")]


@pytest.mark.anyio
async def test_a_crash_that_is_deleted_rewritten_or_closed_is_told_of(store: SessionStore) -> None:
    deleted, rewritten, closed = (crashed(store.directory, i, "old") for i in ids(3))
    told = Told()
    async with store, store.tail_all(only_running=True, on_event=told) as tail:
        await given_up(tail, deleted, rewritten, closed)
        deleted.wal.unlink()
        rewritten.cut(0)
        rewritten.resume(cut=False).say("another story")
        with closed.resume(cut=True):
            closed.close()
        got = await heard(tail, 4)
        await settled(tail, lambda: len(told) == 4)

        assert got == {rewritten.id: rewritten.records, closed.id: closed.records[2:]}
        assert sorted(told) == [
            (deleted.id, "deleted"),
            (rewritten.id, "replaced"),
            (closed.id, "closed"),
            (closed.id, "resumed"),
        ]


@pytest.mark.anyio
@pytest.mark.parametrize("opened", [False, True])
async def test_a_cursor_goes_on_behind_what_was_left_out(
    store: SessionStore, *, opened: bool
) -> None:
    gone = crashed(store.directory, ids(2)[0], "old")
    running = Actor(store.directory, ids(2)[1]).open()
    async with store, store.tail_all(only_running=True) as tail:
        assert await heard(tail, 1) == owed(running)
        if opened:
            await given_up(tail, gone)
        cursor = tail.cursor
    gone.resume(cut=True).say("new")
    async with store, store.tail_all(only_running=True, after=cursor) as tail:
        assert await heard(tail, 2) == {gone.id: gone.records[2:]}
        assert await nothing_more(tail)

"""A lane's turn -> records, an outcome, or what the lane waits for."""

from __future__ import annotations

import errno
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from actors import Actor
from cold import Blocked
from samples import ID, header_line
from sessiontail import Record
from sessiontail.directory.beside import Beside
from sessiontail.directory.holding import OpenFiles
from sessiontail.directory.lane import ForeignFile, Lane
from sessiontail.directory.opening import open_lane
from sessiontail.directory.schedule import LaneState, Schedule, Sleep, Turn, Why
from sessiontail.directory.sessions import Sessions
from sessiontail.directory.turns import RETRY_S, Turns
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.session.ending import ABSENT_LOOKS, GRACE_LOOK_S
from sessiontail.system.files import SessionFile
from sessiontail.system.locks import LockTable
from sessiontail.system.signals import Home, Signal
from sessiontail.system.stats import StoreStats
from sessiontail.system.watching import DirectoryWatch, watch_of

pytestmark = pytest.mark.anyio

NAME = str(ID)


class Bench:
    """Turns of a directory's sessions, given one at a time."""

    def __init__(self, directory: Path, watch: DirectoryWatch) -> None:
        stats = StoreStats()
        self.told: list[str] = []
        self.signal = Signal()
        self.schedule: Schedule[Lane | ForeignFile] = Schedule()
        self.files = OpenFiles(None, stats)
        self.sessions = Sessions(
            directory,
            schedule=self.schedule,
            files=self.files,
            tell=lambda _stem, _id, kind: self.told.append(str(kind)),
        )
        self.beside = Beside(str(directory), Home(), self.signal, self.files)
        self.turns = Turns(
            partial(open_lane, directory=directory, max_line_bytes=MAX_LINE_BYTES, stats=stats),
            sessions=self.sessions,
            schedule=self.schedule,
            watch=watch,
            beside=self.beside,
        )

    def turn(self, why: Why, *, later_s: float = 0.0) -> list[Record]:
        """Give the next turn, which is for this; return what it has to hand over."""
        now_s = time.monotonic() + later_s
        turn = self.schedule.next(now_s)
        if turn == "round":
            self.schedule.asked()
            self.turns.table = LockTable.read()
            self.schedule.answered()
            turn = self.schedule.next(now_s)
        assert isinstance(turn, Turn)
        assert turn.why is why
        self.turns.take(turn, now_s)
        self.sessions.tell_news()
        lane, self.turns.current = self.turns.current, None
        again, self.turns.again = self.turns.again, None
        if again is not None:
            self.schedule.ready(again)
        return [] if lane is None else lane.stream.take_rest()

    async def back(self) -> None:
        """Wait for a thread."""
        with anyio.fail_after(30):
            await self.signal.wait()
        while self.beside.back:
            self.schedule.back(self.beside.back.popleft())

    @property
    def lane(self) -> Lane:
        return self.sessions.lanes[NAME]

    def state(self) -> LaneState:
        return self.lane.state


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    watch = await watch_of(tmp_path)
    found = Bench(tmp_path, watch)
    yield found
    found.files.park_all()
    watch.release()


async def test_a_life_in_turns(bench: Bench, tmp_path: Path) -> None:
    actor = Actor(tmp_path).open().say("one")
    bench.sessions.add(NAME)
    assert bench.turn(Why.NEWS) == actor.records
    assert bench.turn(Why.NEWS) == []  # a verdict is due, which needs the lock table
    assert bench.state() is LaneState.SETTLING
    assert bench.turn(Why.VERDICT) == []  # it is held
    assert bench.state() is LaneState.IDLE
    assert bench.turns.table is None  # thousands of locks are not kept
    actor.say("two").close()
    bench.sessions.mark(NAME, may_have_ended=True, now_s=time.monotonic())
    assert bench.turn(Why.NEWS) == actor.records[2:]
    assert bench.turn(Why.NEWS) == []

    assert bench.told == ["started", "closed"]
    assert (bench.sessions.lanes, len(bench.files)) == ({}, 0)


async def test_a_writer_that_is_gone_is_told_and_one_that_comes_back_too(
    bench: Bench, tmp_path: Path
) -> None:
    actor = Actor(tmp_path).open()
    actor.kill()
    bench.sessions.add(NAME)
    assert bench.turn(Why.NEWS) == actor.records
    bench.turn(Why.NEWS)
    bench.turn(Why.VERDICT)
    assert (bench.told, bench.state()) == (["started", "abandoned"], LaneState.ABANDONED)
    assert not bench.lane.is_open

    with actor.resume(cut=True):
        bench.sessions.mark(NAME, may_have_ended=False, now_s=time.monotonic())
        assert bench.turn(Why.NEWS) == actor.records[1:]
    assert bench.told == ["started", "abandoned", "resumed"]


async def test_who_writes_faster_than_the_lock_table_is_read_is_known_to_be_held(
    bench: Bench, tmp_path: Path
) -> None:
    with Actor(tmp_path).open() as actor:
        bench.sessions.add(NAME)
        assert bench.turn(Why.NEWS) == actor.records
        bench.turn(Why.NEWS)
        assert bench.schedule.next(time.monotonic()) == "round"
        bench.schedule.asked()
        actor.say("one")
        bench.sessions.mark(NAME, may_have_ended=False, now_s=time.monotonic())
        assert bench.turn(Why.NEWS) == actor.records[1:]
        assert bench.lane.judge
        bench.turns.table = LockTable.read()
        bench.schedule.answered()
        bench.schedule._turns += bench.schedule._turns % 2  # not the turn of news
        bench.turn(Why.LATE)

        assert (bench.lane.judge, bench.state()) == (False, LaneState.READY)


async def test_a_name_without_a_file_is_forgotten(bench: Bench) -> None:
    bench.sessions.add(NAME)

    assert bench.turn(Why.NEWS) == []
    if bench.sessions.lanes:  # the kernel has not looked for this name before
        await bench.back()
        assert bench.turn(Why.BACK) == []
    assert (bench.sessions.lanes, bench.told) == ({}, [])


async def test_a_look_that_has_to_wait_goes_on_in_a_thread_and_what_is_told_meanwhile_counts(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(tmp_path).open().say("one")
    blocked = Blocked(monkeypatch, actor)
    bench.sessions.add(NAME)
    assert bench.turn(Why.NEWS) == []
    assert bench.state() is LaneState.AWAY
    bench.sessions.mark(NAME, may_have_ended=False, now_s=time.monotonic())
    assert bench.schedule.next(time.monotonic()) == Sleep(None)
    blocked.released.set()
    await bench.back()

    assert bench.turn(Why.BACK) == actor.records
    assert bench.state() is LaneState.READY


async def test_a_file_that_fails_is_tried_again_and_loses_nothing(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(tmp_path).open().say("one")
    bench.sessions.add(NAME)

    def failing(*_: Any) -> bytes:
        raise OSError(errno.EIO, "no such sector")

    began_s = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(SessionFile, "read_cached", failing)
        assert bench.turn(Why.NEWS) == []
    assert [*bench.sessions.errors] == [NAME]
    assert bench.state() is LaneState.FAILED
    assert bench.lane.due_s - began_s >= RETRY_S
    bench.schedule.ready(bench.lane)

    assert bench.turn(Why.NEWS) == actor.records
    bench.turn(Why.NEWS)
    assert bench.sessions.errors == {}


async def test_a_file_that_is_put_aside_for_a_moment_is_not_deleted(
    bench: Bench, tmp_path: Path
) -> None:
    actor = Actor(tmp_path).open().say("one")
    aside = actor.wal.with_name("aside")
    bench.sessions.add(NAME)
    bench.turn(Why.NEWS)
    bench.files.park_all()
    actor.wal.rename(aside)
    bench.sessions.mark(NAME, may_have_ended=True, now_s=time.monotonic())
    assert bench.turn(Why.NEWS) == []  # a thread looks: a name that is not there is not cached
    await bench.back()
    assert bench.turn(Why.BACK) == []
    aside.rename(actor.wal)
    actor.say("two").kill()

    # It is looked for again, though nothing is told.
    assert bench.turn(Why.DUE, later_s=GRACE_LOOK_S) == actor.records[2:]
    assert bench.told == ["started"]


async def test_blank_lines_before_the_header_are_no_sign_of_life(
    bench: Bench, tmp_path: Path
) -> None:
    actor = Actor(tmp_path).open(header=False)
    actor.write(b"\n\n")
    bench.sessions.add(NAME)
    assert bench.turn(Why.NEWS) == []
    told = [*bench.told]
    actor.write(header_line(ID))
    bench.sessions.mark(NAME, may_have_ended=False, now_s=time.monotonic())

    assert bench.turn(Why.NEWS) == actor.records
    assert (told, bench.told) == ([], ["started"])
    actor.kill()


async def test_a_look_that_fails_for_another_reason_is_taken_again_by_who_tries_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> bytes:
        raise MemoryError

    actor = Actor(tmp_path).open().say("one")
    bench.sessions.add(NAME)
    with monkeypatch.context() as patch:
        patch.setattr(SessionFile, "read_cached", failing)
        with pytest.raises(MemoryError):
            bench.turn(Why.NEWS)

    assert bench.turn(Why.NEWS) == actor.records
    assert bench.sessions.errors == {}
    actor.kill()


async def test_a_file_that_was_none_is_looked_at_as_a_session(bench: Bench, tmp_path: Path) -> None:
    foreign = ForeignFile(NAME)
    bench.schedule.look_at(foreign, 0.0)
    with Actor(tmp_path).open() as actor:
        assert bench.turn(Why.DUE) == []
        assert bench.turn(Why.NEWS) == actor.records


async def test_a_file_that_another_replaced_while_it_was_closed_begins_anew(
    bench: Bench, tmp_path: Path
) -> None:
    old = Actor(tmp_path).open().say("old")
    bench.sessions.add(NAME)
    bench.turn(Why.NEWS)
    bench.files.park_all()
    old.wal.rename(tmp_path / "moved away")
    with old, Actor(tmp_path).open().say("new") as new:
        why = Why.NEWS
        for look in range(ABSENT_LOOKS):
            assert bench.told == ["started"]
            assert bench.turn(why, later_s=look * GRACE_LOOK_S) == []
            if bench.state() is LaneState.AWAY:
                await bench.back()
                assert bench.turn(Why.BACK) == []
            why = Why.DUE
        assert bench.turn(Why.NEWS) == new.records
    assert bench.told == ["started", "replaced"]

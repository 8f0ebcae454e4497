"""What happened to sessions -> which of them are followed, done with, or none at all."""

from __future__ import annotations

import errno
import logging
import math
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from actors import Actor
from samples import ID, header_line
from sessiontail import EventKind, Outcome
from sessiontail.directory.holding import OpenFiles
from sessiontail.directory.lane import ForeignFile, Lane
from sessiontail.directory.schedule import LaneState, Schedule, Sleep, Turn
from sessiontail.directory.sessions import Sessions
from sessiontail.directory.stock import Wanted, take_stock
from sessiontail.format.batch import Batch
from sessiontail.format.cursor import START
from sessiontail.system.stats import StoreStats
from sessiontail.system.survey import look_around
from sessiontail.system.watching import DirectoryWatch, watch_of
from test_directory_opening import followed

pytestmark = pytest.mark.anyio

NAME = str(ID)


class Bench:
    """Sessions of a directory, their turns, and what is told of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._told: list[tuple[str, UUID | None, EventKind]] = []
        self.schedule: Schedule[Lane | ForeignFile] = Schedule()
        self.files = OpenFiles(None, StoreStats())
        self.sessions = Sessions(
            directory,
            schedule=self.schedule,
            files=self.files,
            tell=lambda *event: self._told.append(event),
        )

    def open(self, stem: str = NAME) -> Lane:
        """Follow a file, open."""
        lane = self.sessions.add(stem)
        self.turns()
        followed(lane, self.directory)
        self.files.add(lane)
        return lane

    def turns(self) -> list[Lane | ForeignFile]:
        """Who has a turn now."""
        found = []
        while isinstance(turn := self.schedule.next(time.monotonic()), Turn):
            found.append(turn.slot)
        return found

    @property
    def told(self) -> list[tuple[str, UUID | None, EventKind]]:
        self.sessions.tell_news()
        return self._told

    @property
    def kinds(self) -> list[str]:
        return [str(kind) for _, _, kind in self.told]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
async def watch(tmp_path: Path) -> AsyncIterator[DirectoryWatch]:
    found = await watch_of(tmp_path)
    yield found
    found.release()


def batch_of(lane: Lane) -> Batch:
    assert lane.follower is not None
    batch = lane.follower.step(judge=False, table=None, block=True)
    assert isinstance(batch, Batch)
    return batch


def test_a_mark_of_an_unknown_file_begins_it(bench: Bench) -> None:
    bench.sessions.mark(NAME, may_have_ended=True, now_s=0)
    bench.sessions.mark("é", may_have_ended=False, now_s=0)
    bench.sessions.mark("\udcff", may_have_ended=True, now_s=0)  # no cursor could hold it

    assert {stem: lane.ending for stem, lane in bench.sessions.lanes.items()} == {
        NAME: True,
        "é": False,
    }
    assert bench.turns() == [*bench.sessions.lanes.values()]


@pytest.mark.parametrize("may_have_ended", [False, True])
def test_a_mark_of_a_session_gives_it_a_turn_and_a_verdict_if_it_may_have_ended(
    bench: Bench, *, may_have_ended: bool
) -> None:
    lane = bench.sessions.add(NAME)
    bench.turns()
    lane.judge = False
    bench.sessions.mark(NAME, may_have_ended=may_have_ended, now_s=0)

    assert (lane.judge, bench.turns()) == (may_have_ended, [lane])


def test_what_was_there_stands_in_line_in_its_order(bench: Bench, tmp_path: Path) -> None:
    for number in range(1, 4):
        Actor(tmp_path, UUID(int=number)).open().kill()
    stock = take_stock(tmp_path, look_around(tmp_path) or {}, Wanted(), include_closed=False)
    bench.sessions.take(stock)

    assert {lane.state for lane in stock.order} == {LaneState.UNOPENED}
    assert bench.turns() == stock.order


def test_a_file_without_a_header_or_an_id_is_warned_of_once_and_looked_at_again(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_bytes(b"[]\n")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            lane = bench.open("notes")
            assert bench.sessions.is_foreign(lane, batch_of(lane))
            assert (bench.sessions.lanes, lane.is_open) == ({}, False)
    assert caplog.messages == ["skipped notes: it does not start with a header"]

    bench.sessions.mark("notes", may_have_ended=False, now_s=0)
    assert bench.schedule.next(0) == Sleep(None)  # it grew: no reason to look
    bench.sessions.mark("notes", may_have_ended=True, now_s=0)
    (foreign,) = bench.turns()
    assert isinstance(foreign, ForeignFile)


def test_a_file_that_has_become_a_session_has_no_turn_left_from_when_it_was_none(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_bytes(b"[]\n")
    lane = bench.open("notes")
    bench.sessions.is_foreign(lane, batch_of(lane))
    bench.sessions.mark("notes", may_have_ended=True, now_s=0)
    path.write_bytes(header_line())
    lane = bench.open("notes")
    assert not bench.sessions.is_foreign(lane, batch_of(lane))

    assert bench.schedule.next(1e9) == Sleep(None)


def test_a_file_without_a_header_that_has_an_id_for_a_name_is_a_session(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(b"[]\n")
    lane = bench.open()

    assert not bench.sessions.is_foreign(lane, batch_of(lane))
    bench.sessions.forget(lane)
    assert (bench.sessions.lanes, len(bench.files)) == ({}, 0)


def test_a_file_that_cannot_be_read_is_tried_again_and_told_once(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Actor(tmp_path).open().kill()
    lane = bench.open()
    error = OSError(errno.EIO, "no such sector")
    with caplog.at_level(logging.WARNING):
        bench.sessions.fail(lane, error, 4.0, retry_s=1.0)
        first = (lane.is_open, lane.state, lane.due_s)
        lane.state = LaneState.IDLE  # it was told of
        bench.sessions.fail(lane, error, 4.5, retry_s=1.0)
        told = (lane.is_open, lane.state, lane.due_s)
        lane.due_s = math.inf  # it had its turn
        bench.sessions.fail(lane, error, 5.0, retry_s=1.0)

    assert first == told == (True, LaneState.FAILED, 5.0)  # it may have no name any more
    assert not lane.is_open
    assert [*bench.sessions.errors] == [NAME]
    assert len(caplog.messages) == 1
    assert lane.due_s == 7.0
    bench.sessions.read(lane)
    lane.due_s = math.inf
    bench.sessions.fail(lane, error, 4.0, retry_s=1.0)
    assert lane.due_s == 5.0
    bench.sessions.forget(lane)
    assert bench.sessions.errors == {}


@pytest.mark.parametrize(
    ("outcome", "followed_on", "done_with"),
    [
        (Outcome.CLOSED, False, True),
        (Outcome.DELETED, False, False),
        (Outcome.REPLACED, True, False),
    ],
)
async def test_an_end_is_told_and_decides_what_is_followed_next(
    bench: Bench,
    watch: DirectoryWatch,
    tmp_path: Path,
    outcome: Outcome,
    *,
    followed_on: bool,
    done_with: bool,
) -> None:
    actor = Actor(tmp_path).open()
    lane = bench.open()
    actor.close()

    bench.sessions.end(lane, outcome, watch)

    assert bench.told == [(NAME, ID, EventKind(outcome))]
    assert (NAME in bench.sessions.ended, NAME in bench.sessions.lanes) == (done_with, followed_on)
    assert not lane.is_open
    if followed_on:
        assert not bench.sessions.lanes[NAME].is_new  # it is not told as started


async def test_who_is_abandoned_stays_without_a_descriptor_and_is_told_once(
    bench: Bench, watch: DirectoryWatch, tmp_path: Path
) -> None:
    Actor(tmp_path).open().kill()
    lane = bench.open()
    for _ in range(2):
        bench.sessions.end(lane, Outcome.ABANDONED, watch)

    assert bench.kinds == ["abandoned"]
    assert (lane.state, lane.is_open) == (LaneState.ABANDONED, False)
    assert bench.sessions.lanes == {NAME: lane}


async def test_a_closed_session_that_was_opened_again_is_followed_on(
    bench: Bench, watch: DirectoryWatch, tmp_path: Path
) -> None:
    actor = Actor(tmp_path).open()
    lane = bench.open()
    actor.close()
    with Actor(tmp_path).open():
        bench.sessions.end(lane, Outcome.CLOSED, watch)

    assert NAME in bench.sessions.ended
    assert bench.turns() == [bench.sessions.lanes[NAME]]
    assert bench.sessions.lanes[NAME] is not lane


async def test_what_is_gone_before_anything_of_it_was_told_is_forgotten_silently(
    bench: Bench, watch: DirectoryWatch
) -> None:
    bench.sessions.absent(bench.sessions.add("new"), watch, done=False)
    again = bench.sessions.add("again")
    again.is_new = False
    bench.sessions.absent(again, watch, done=False)

    assert bench.sessions.lanes == {}
    assert [(stem, str(kind)) for stem, _, kind in bench.told] == [("again", "deleted")]


def test_the_position_has_what_was_handed_over_and_what_waits_to_be_opened(
    bench: Bench, tmp_path: Path
) -> None:
    actor = Actor(tmp_path).open().say("one")
    lane = bench.open()
    lane.stream.put(batch_of(lane))
    lane.stream.take()
    Actor(tmp_path, UUID(int=7)).open().kill()
    waits = bench.sessions.add(str(UUID(int=7)))
    seen = look_around(tmp_path)
    assert seen is not None
    waits.last, waits.seen = 3, seen[waits.stem]
    bench.sessions.add("nothing of it yet")
    position = bench.sessions.position

    assert [*position.open] == [NAME]
    assert position.open[NAME].offset == actor.data.index(b"\n") + 1
    assert position.before_end == {waits.stem: (3, seen[waits.stem].size)}
    assert lane.after == START
    bench.files.park_all()
    actor.kill()

"""Lanes -> which of them keep their descriptor: what is hot does, and what is read."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from actors import Actor, held_of
from sessiontail.directory import holding
from sessiontail.directory.holding import COLD_S, LEAST_BRIEF, MOST_OPENED, OpenFiles
from sessiontail.directory.lane import Lane
from sessiontail.directory.schedule import LaneState
from sessiontail.format.cursor import START
from sessiontail.system.descriptors import Budget
from sessiontail.system.files import SessionFile
from sessiontail.system.stats import StoreStats
from test_directory_opening import followed, read


@pytest.fixture(autouse=True)
def budget(monkeypatch: pytest.MonkeyPatch) -> Budget:
    """A budget of the process that only this test runs short of."""
    own = Budget()
    monkeypatch.setattr(holding, "budget", own)
    return own


def allow(budget: Budget, more: int) -> None:
    """Let the process hold so many more session files than it does."""
    gc.collect()
    budget._most, budget._read_at_s = len(SessionFile.open_now) + more, math.inf


Make = Callable[..., Lane]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make lanes, each with an open file; read to its end unless told otherwise."""
    lanes: list[Lane] = []

    def one(*, whole: bool = True, active_s: float | None = None) -> Lane:
        session_id = UUID(int=len(lanes) + 1)
        Actor(tmp_path, session_id).open().kill()
        lane = Lane(str(session_id), START)
        lanes.append(lane)
        follower = followed(lane, tmp_path)
        if whole:
            read(follower)
        lane.active_s = time.monotonic() if active_s is None else active_s
        return lane

    yield one
    for lane in lanes:
        lane.close_file()


def held(files: OpenFiles, *lanes: Lane) -> list[bool]:
    assert len(files) <= sum(lane.is_open for lane in lanes)
    return [lane.is_open for lane in lanes]


def test_the_longest_idle_gives_its_descriptor_to_the_next(make: Make, tmp_path: Path) -> None:
    stats = StoreStats()
    files = OpenFiles(2, stats)
    one, two, three = make(), make(), make()
    files.add(one)
    files.add(two)
    files.rest(one)  # it had a turn

    assert files.may_open(three, beside=False)
    assert held(files, one, two) == [True, True]  # the file of the third may be gone
    files.add(three)

    assert held(files, one, two, three) == [True, False, True]
    assert (len(files), stats.open_files) == (2, 2)
    assert len(held_of(tmp_path)) == 2


@pytest.mark.parametrize("busy", ["has more", "stands in line", "is away"])
def test_none_is_taken_from_a_lane_that_is_not_done_with_it(make: Make, busy: str) -> None:
    files = OpenFiles(1, StoreStats())
    lane, other = make(whole=busy != "has more"), Lane("other", START)
    if busy != "has more":
        lane.state = LaneState.READY if busy == "stands in line" else LaneState.AWAY
    files.add(lane)

    assert files.may_open(other, beside=False)
    assert other.brief  # it may, for as long as its turn takes
    assert lane.is_open


def test_only_a_few_may_open_beyond_what_may_be_kept(make: Make) -> None:
    files = OpenFiles(1, StoreStats())
    files.add(make(whole=False))
    lanes = [Lane(str(number), START) for number in range(LEAST_BRIEF + 1)]
    answers = []
    for lane in lanes:
        answers.append(files.may_open(lane, beside=True))
        if answers[-1]:
            files.lent(lane, opens=True)

    assert answers == [True] * LEAST_BRIEF + [False]
    assert files.opening == LEAST_BRIEF
    files.is_back(lanes[0])
    assert files.opening == LEAST_BRIEF - 1
    assert files.may_open(lanes[-1], beside=True)


def test_a_lane_that_only_waits_to_read_opens_nothing(make: Make) -> None:
    files = OpenFiles(4, StoreStats())
    lane = make()
    files.lent(lane, opens=False)

    assert files.opening == 0


def test_files_that_threads_are_opening_count_as_held(make: Make) -> None:
    files = OpenFiles(2, StoreStats())
    lanes = [Lane(str(number), START) for number in range(3)]
    for lane in lanes[:2]:
        assert files.may_open(lane, beside=True)
        assert not lane.brief
        files.lent(lane, opens=True)

    assert files.may_open(lanes[2], beside=True)
    assert lanes[2].brief


@pytest.mark.parametrize("why", ["brief", "abandoned", "neither"])
def test_a_lane_without_a_descriptor_to_keep_gives_it_back_after_its_turn(
    make: Make, why: str
) -> None:
    files = OpenFiles(4, StoreStats())
    lane = make()
    files.add(lane)
    lane.brief, lane.abandoned = why == "brief", why == "abandoned"

    files.rest(lane)

    assert lane.is_open == (why == "neither")
    files.rest(lane)  # again is no error


def test_who_has_more_to_read_keeps_what_it_has_for_a_moment_only(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = OpenFiles(1, StoreStats())
    lanes = [make(whole=False) for _ in range(LEAST_BRIEF + 1)]
    for lane in lanes:
        assert files.may_open(lane, beside=False)
        files.add(lane)
        files.rest(lane)
    waiting = Lane("waiting", START)

    assert [lane.is_open for lane in lanes] == [True] * len(lanes)
    assert not files.may_open(waiting, beside=False)
    files.lent(lanes[1], opens=False)
    files.is_back(lanes[1])
    assert not files.may_open(waiting, beside=False)

    monkeypatch.setattr(holding, "BRIEF_S", 0.0)
    for lane in lanes:
        files.rest(lane)

    assert [lane.is_open for lane in lanes] == [True] + [False] * LEAST_BRIEF
    assert files.may_open(waiting, beside=False)


def test_of_what_the_process_has_what_is_hot_keeps_its_own(make: Make, budget: Budget) -> None:
    stats = StoreStats()
    files = OpenFiles(None, stats)
    hot = make()
    files.add(hot)
    allow(budget, 0)
    new = Lane("new", START)
    assert files.may_open(new, beside=False)
    assert (new.brief, hot.is_open) == (True, True)

    hot.active_s -= COLD_S
    assert files.may_open(new, beside=False)
    assert (new.brief, hot.is_open) == (False, True)
    opened = make()
    files.add(opened)
    assert (opened.brief, held(files, hot, opened)) == (False, [False, True])


def test_of_those_that_take_anothers_place_a_few_are_opened_in_threads_at_once(make: Make) -> None:
    files = OpenFiles(1, StoreStats())
    idle = make()
    files.add(idle)
    lanes = [Lane(str(number), START) for number in range(LEAST_BRIEF + 1)]
    answers = []
    for lane in lanes:
        answers.append(files.may_open(lane, beside=True))
        if answers[-1]:
            files.lent(lane, opens=True)

    assert answers == [True] * LEAST_BRIEF + [False]
    assert idle.is_open
    assert files.may_open(lanes[-1], beside=False)


def test_room_is_left_for_what_threads_open_meanwhile(budget: Budget) -> None:
    files = OpenFiles(None, StoreStats())
    allow(budget, MOST_OPENED + 1)
    one, two, three = (Lane(name, START) for name in ("one", "two", "three"))
    for lane in (one, two):
        assert files.may_open(lane, beside=True)
        files.lent(lane, opens=True)
    files.may_open(three, beside=True)

    assert [lane.brief for lane in (one, two, three)] == [False, False, True]


def test_what_was_opened_when_there_is_no_room_any_more_is_not_kept(
    make: Make, budget: Budget
) -> None:
    files = OpenFiles(None, StoreStats())
    lane = make()
    allow(budget, -1)
    files.add(lane)

    assert lane.brief
    files.rest(lane)
    assert not lane.is_open


def test_a_stream_that_may_hold_none_holds_one(make: Make) -> None:
    files = OpenFiles(0, StoreStats())
    one = make()
    assert files.may_open(one, beside=False)
    assert not one.brief
    files.add(one)
    two = make()
    assert files.may_open(two, beside=False)
    files.add(two)

    assert (one.is_open, two.brief) == (False, False)


def test_half_of_them_are_given_back_where_somebody_else_took_the_rest(
    make: Make, budget: Budget
) -> None:
    stats = StoreStats()
    files = OpenFiles(None, stats)
    lanes = [make() for _ in range(5)]
    busy = make(whole=False)
    for lane in [busy, *lanes]:
        files.add(lane)
    limit = budget.limit

    files.halve()

    assert [lane.is_open for lane in lanes] == [False, False, True, True, True]
    assert busy.is_open  # it may have no name any more
    assert stats.open_files == 4
    assert budget.limit < limit


def test_all_of_them_are_given_back_once(make: Make, tmp_path: Path) -> None:
    stats = StoreStats()
    files = OpenFiles(8, stats)
    for _ in range(3):
        files.add(make())
    files.park_all()
    files.park_all()

    assert (len(files), stats.open_files, held_of(tmp_path)) == (0, 0, [])

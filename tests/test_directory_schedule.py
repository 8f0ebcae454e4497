"""What is told of sessions, and time -> whose turn is next: without a file, a clock or a loop."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from sessiontail.directory import schedule as schedule_module
from sessiontail.directory.schedule import (
    MOST_DUE,
    TURNS_BETWEEN_WAITING,
    LaneState,
    Rest,
    Schedule,
    Sleep,
    Slot,
    Turn,
    Why,
)

NOW_S = 1_000.0
UNOPENED, READY, AWAY, SETTLING, IDLE, ABANDONED, FAILED = LaneState

Bench: TypeAlias = Schedule[Slot]


def put(state: LaneState) -> tuple[Bench, Slot]:
    """A schedule with one session in a state."""
    schedule, slot = Schedule[Slot](), Slot()
    make: dict[LaneState, Callable[[], None]] = {
        UNOPENED: lambda: schedule.wait(slot),
        READY: lambda: schedule.ready(slot),
        AWAY: lambda: schedule.put(slot, Rest(AWAY)),
        SETTLING: lambda: schedule.put(slot, Rest(SETTLING)),
        IDLE: lambda: schedule.put(slot, Rest(IDLE)),
        ABANDONED: lambda: schedule.put(slot, Rest(ABANDONED)),
        FAILED: lambda: schedule.put(slot, Rest(FAILED)),
    }
    make[state]()
    assert slot.state is state
    return schedule, slot


def told(schedule: Bench, slot: Slot) -> None:
    schedule.ready(slot)


def time_comes(schedule: Bench, slot: Slot) -> None:
    schedule.look_at(slot, NOW_S)


def thread_is_done(schedule: Bench, slot: Slot) -> None:
    schedule.back(slot)


def table_is_there(schedule: Bench, slot: Slot) -> None:
    if schedule.next(NOW_S) == "round":
        schedule.asked()
        schedule.answered()


Happens: TypeAlias = Callable[[Bench, Slot], None]

# What a cell of the module's table says: why it has a turn then; None: it has none.
WHEN_TOLD = {"READY": Why.NEWS, "AWAY, noted": None}
WHEN_DUE = {"READY": Why.NEWS, "AWAY, noted": None, "IDLE, a turn": Why.DUE}
ELSE: dict[str, tuple[Happens | None, Why | None]] = {
    "nobody has news": (None, Why.FIRST),
    "its place in the queue": (None, Why.NEWS),
    "its thread is done": (thread_is_done, Why.BACK),
    "the lock table is there": (table_is_there, Why.VERDICT),
    "-": (None, None),
}


def table() -> Iterator[tuple[LaneState, Happens | None, Why | None]]:
    """The table of the module's docstring: state, what happens, why it has a turn then."""
    assert schedule_module.__doc__
    rows = [re.split(r" {2,}", row.strip()) for row in schedule_module.__doc__.splitlines()]
    found = [row for row in rows if row[0] in LaneState.__members__]
    assert [row[0] for row in found] == [*LaneState.__members__]
    for name, when_told, when_due, otherwise in found:
        state = LaneState[name]
        yield state, told, WHEN_TOLD[when_told]
        if when_due != "-":
            yield state, time_comes, WHEN_DUE[when_due]
        yield state, *ELSE[otherwise]


TABLE = [*table(), (IDLE, thread_is_done, None), (IDLE, table_is_there, None)]


@pytest.mark.parametrize(("state", "happens", "why"), TABLE)
def test_a_session_has_its_turn_as_the_table_says(
    state: LaneState, happens: Happens | None, why: Why | None
) -> None:
    schedule, slot = put(state)
    if happens is not None:
        happens(schedule, slot)

    following = schedule.next(NOW_S)

    if why is None:
        assert following == Sleep(None)
        assert slot.state is state
        return
    assert following == Turn(slot, why)
    assert slot.state is IDLE
    assert isinstance(schedule.next(NOW_S), Sleep)  # one turn, however much happened


def test_who_settles_waits_for_a_table_that_is_asked_for_after_that() -> None:
    schedule = Schedule[Slot]()
    first, second = Slot(), Slot()
    schedule.put(first, Rest(SETTLING))

    assert schedule.next(NOW_S) == "round"
    schedule.asked()
    schedule.put(second, Rest(SETTLING))  # too late for this one
    assert schedule.next(NOW_S) == Sleep(None)
    schedule.answered()
    assert schedule.in_round
    assert schedule.next(NOW_S) == "round"
    schedule.asked()
    assert schedule.next(NOW_S) == Turn(first, Why.VERDICT)
    assert not schedule.in_round


def test_who_was_read_since_the_table_was_asked_for_waits_for_the_next_one() -> None:
    schedule, slot = put(SETTLING)
    assert schedule.next(NOW_S) == "round"
    schedule.asked()
    schedule.ready(slot)
    assert schedule.next(NOW_S) == Turn(slot, Why.NEWS)
    schedule.put(slot, Rest(SETTLING))
    schedule.answered()

    assert schedule.next(NOW_S) == "round"
    schedule.asked()
    assert schedule.next(NOW_S) == Turn(slot, Why.LATE)  # who holds it is told all the same
    assert slot.state is SETTLING
    assert schedule.next(NOW_S) == Sleep(None)
    schedule.answered()
    assert schedule.next(NOW_S) == Turn(slot, Why.VERDICT)


@pytest.mark.parametrize("happens", [told, time_comes])
def test_what_happens_while_a_thread_works_is_noted(
    happens: Callable[[Bench, Slot], None],
) -> None:
    schedule, slot = put(AWAY)
    slot.judge = False
    happens(schedule, slot)
    schedule.next(NOW_S)

    assert (slot.dirty, slot.judge) == (True, happens is time_comes)


def test_what_is_told_in_a_turn_counts_more_than_what_the_turn_finds() -> None:
    schedule, slot = put(READY)
    schedule.next(NOW_S)
    schedule.ready(slot)
    schedule.put(slot, Rest(SETTLING))
    schedule.put(slot, Rest(ABANDONED))

    assert slot.state is READY
    assert schedule.next(NOW_S) == Turn(slot, Why.NEWS)


def test_nobody_has_a_turn_before_its_time_and_a_sooner_time_stays() -> None:
    schedule, slot = put(IDLE)
    slot.judge = False
    schedule.look_at(slot, NOW_S + 2)
    schedule.look_at(slot, NOW_S + 1)
    schedule.look_at(slot, NOW_S + 3)

    assert schedule.next(NOW_S) == Sleep(NOW_S + 1)
    assert schedule.next(NOW_S + 1) == Turn(slot, Why.DUE)
    assert slot.judge
    assert isinstance(schedule.next(NOW_S + 9), Sleep)


def test_who_leaves_has_no_turn_whatever_queue_it_stands_in() -> None:
    schedule = Schedule[Slot]()
    slots = [Slot() for _ in range(5)]
    schedule.wait(slots[0])
    schedule.ready(slots[1])
    schedule.put(slots[2], Rest(SETTLING))
    schedule.put(slots[3], Rest(AWAY))
    schedule.back(slots[3])
    schedule.look_at(slots[4], NOW_S)
    for slot in slots:
        schedule.leave(slot)
    if schedule.next(NOW_S) == "round":
        schedule.asked()
        schedule.answered()

    assert isinstance(schedule.next(NOW_S), Sleep)


def crowd(schedule: Bench, number: int, why: Why) -> list[Slot]:
    slots = [Slot() for _ in range(number)]
    for slot in slots:
        if why is Why.FIRST:
            schedule.wait(slot)
        elif why is Why.NEWS:
            schedule.ready(slot)
        elif why is Why.BACK:
            schedule.put(slot, Rest(AWAY))
            schedule.back(slot)
        elif why is Why.DUE:
            schedule.look_at(slot, NOW_S)
        else:
            schedule.put(slot, Rest(SETTLING))
    if why is Why.VERDICT:
        schedule.asked()
        schedule.answered()
    return slots


@pytest.mark.parametrize("why", [Why.BACK, Why.VERDICT, Why.DUE, Why.FIRST])
def test_news_are_heard_within_two_turns_beside_a_thousand_others(why: Why) -> None:
    schedule = Schedule[Slot]()
    crowd(schedule, 1000, why)
    for _ in range(3):
        assert isinstance(schedule.next(NOW_S), Turn)
    slot = Slot()
    schedule.ready(slot)

    assert slot in [turn.slot for _ in range(2) if isinstance(turn := schedule.next(NOW_S), Turn)]


@pytest.mark.parametrize("why", [Why.BACK, Why.VERDICT])
def test_one_that_always_has_more_puts_off_no_end(why: Why) -> None:
    schedule = Schedule[Slot]()
    (slot,) = crowd(schedule, 1, why)
    busy = Slot()
    schedule.ready(busy)
    for _ in range(2):
        turn = schedule.next(NOW_S)
        assert isinstance(turn, Turn)
        if turn.slot is slot:
            return
        schedule.ready(busy)
    raise AssertionError("its turn never came")


@pytest.mark.parametrize("why", [Why.DUE, Why.FIRST])
def test_what_can_wait_has_one_turn_in_four(why: Why) -> None:
    schedule = Schedule[Slot]()
    crowd(schedule, 1000, why)
    news = crowd(schedule, 1000, Why.NEWS)
    turns = [schedule.next(NOW_S) for _ in range(400)]
    others = [turn for turn in turns if isinstance(turn, Turn) and turn.why is why]

    assert len(others) == 400 // TURNS_BETWEEN_WAITING
    order = [turn.slot for turn in turns if isinstance(turn, Turn) and turn.why is Why.NEWS]
    assert order == news[: len(order)]  # first come, first served


def test_thousands_that_come_due_together_are_taken_a_few_at_a_time() -> None:
    schedule = Schedule[Slot]()
    slots = crowd(schedule, 3 * MOST_DUE, Why.DUE)
    schedule.next(NOW_S)

    assert sum(slot.due_s < NOW_S + 1 for slot in slots) == 2 * MOST_DUE

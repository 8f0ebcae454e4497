"""what is told of sessions, and time -> whose turn is next.

Sessions that may have news are queued and take turns, so that a busy one does not starve a
quiet one. Nothing here looks at a file, a clock or an event loop: time comes as an argument.

    state      when something is told  when its time comes  what gives it its turn else
    UNOPENED   READY                   -                    nobody has news
    READY      READY                   READY                its place in the queue
    AWAY       AWAY, noted             AWAY, noted          its thread is done
    SETTLING   READY                   IDLE, a turn         the lock table is there
    IDLE       READY                   IDLE, a turn         -
    ABANDONED  READY                   IDLE, a turn         -
    FAILED     READY                   IDLE, a turn         -

In its turn it is IDLE, and what it finds makes of it what is to be: READY where there is more,
AWAY where a thread must look, SETTLING where who writes it is to be known. What was told of it in
between counts more: it is then READY. Who had a turn while the lock table was read is told late,
and stays where it is: that somebody holds it is as true as before.

Half of the turns are for news. The others go to what has come back from threads, then to ends, so
that one session that always has more to read puts neither off; and every fourth turn to what can
wait: verdicts that are due though nothing was told, and files that nothing is known of yet.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from enum import Enum, IntEnum
from typing import Generic, Literal, TypeAlias, TypeVar

from msgspec import Struct

__all__ = [
    "BACK",
    "LATE",
    "VERDICT",
    "LaneState",
    "Rest",
    "Schedule",
    "Sleep",
    "Slot",
    "Turn",
    "Why",
]

# Turns of which one is for what can wait.
TURNS_BETWEEN_WAITING = 4
# Verdicts that come due between two turns: each takes 0.5 us.
MOST_DUE = 64


class LaneState(Enum):
    """Where a session stands between two turns."""

    #: There since the start; nothing is known of it.
    UNOPENED = "unopened"
    #: Is queued: it may have news.
    READY = "ready"
    #: A thread works for it.
    AWAY = "away"
    #: Its end was met; who writes it is asked.
    SETTLING = "settling"
    #: Its end was met; it waits for what is told.
    IDLE = "idle"
    #: Its writer is gone; it waits for one that comes back.
    ABANDONED = "abandoned"
    #: It could not be read; it is tried again.
    FAILED = "failed"


class Why(IntEnum):
    """Why a session has its turn; the number of its queue."""

    NEWS = 0
    #: A thread is done with it.
    BACK = 1
    #: The lock table that it asked for is there.
    VERDICT = 2
    #: Its time has come.
    DUE = 3
    #: It was never opened.
    FIRST = 4
    #: Like VERDICT, but it had a turn since: who holds it is known, and not that nobody does.
    LATE = 5


# A member is looked up on its class in 0.1 us (3.11), twenty times a turn.
UNOPENED, READY, AWAY, SETTLING, IDLE, ABANDONED, FAILED = LaneState
NEWS, BACK, VERDICT, DUE, FIRST, LATE = Why


class Slot:
    """What the schedule knows of one session."""

    __slots__ = ("__weakref__", "dirty", "due_s", "judge", "state", "ticket")

    def __init__(self) -> None:
        self.state = IDLE
        #: Whether something was told of it while it was away.
        self.dirty = False
        #: Whether a verdict is due when it meets its end.
        self.judge = True
        #: When it has a turn though nothing is told, on the monotonic clock.
        self.due_s = math.inf
        #: The number of its last place in a queue: places with another are given up.
        self.ticket = 0


_S = TypeVar("_S", bound=Slot)


class Turn(Struct, Generic[_S], frozen=True, gc=False):
    """This one looks."""

    slot: _S
    why: Why


class Sleep(Struct, frozen=True, gc=False):
    """Nobody has a turn before this, unless something is told."""

    #: On the monotonic clock; None: for ever.
    until_s: float | None


class Rest(Struct, frozen=True, gc=False):
    """What a session waits for behind its turn."""

    state: LaneState
    #: When it has a turn and a verdict though nothing is told, on the monotonic clock.
    look_at_s: float | None = None


#: The lock table is to be asked for: some wait for it.
Round: TypeAlias = Literal["round"]


class Schedule(Generic[_S]):
    """Whose turn is next."""

    __slots__ = ("_asked", "_count", "_news", "_queues", "_settling", "_timers", "_turns")

    def __init__(self) -> None:
        self._queues: list[deque[tuple[_S, int]]] = [deque() for _ in Why]
        self._news = self._queues[NEWS]
        # Want the lock table; wait for the one that was asked for.
        self._settling: list[tuple[_S, int]] = []
        self._asked: list[tuple[_S, int]] = []
        self._timers: list[tuple[float, int, _S]] = []
        self._count = 0
        self._turns = 0

    def wait(self, slot: _S) -> None:
        """Let it wait until nobody has news: it is there since the start."""
        slot.state = UNOPENED
        self._stand(slot, FIRST)

    def ready(self, slot: _S) -> None:
        """Queue it for a turn; who is away has another one when it is back."""
        if slot.state is READY:
            return
        if slot.state is AWAY:
            slot.dirty = True
            return
        slot.state = READY
        self._stand(slot, NEWS)

    def put(self, slot: _S, rest: Rest) -> None:
        """Let it wait behind its turn; unless that has settled where it is, or it is queued again.

        AWAY: a thread works for it, until ``back``. SETTLING: it wants a lock table that is read
        after this.
        """
        if rest.look_at_s is not None:
            self.look_at(slot, rest.look_at_s)
        taken = slot.state is not IDLE and rest.state is not AWAY
        if taken or rest.state is IDLE:
            return
        slot.state = rest.state
        slot.ticket += 1
        if rest.state is SETTLING:
            self._settling.append((slot, slot.ticket))

    def return_(self, slot: _S) -> None:
        """Note that there was no thread for it, after all."""
        slot.state = IDLE

    def back(self, slot: _S) -> None:
        """Note that the thread is done with it."""
        if slot.state is AWAY:
            self._stand(slot, BACK)

    def look_at(self, slot: _S, at_s: float) -> None:
        """Give it a turn and a verdict at a time; a sooner one stays."""
        if at_s < slot.due_s:  # else it is judged before that, and asks again
            slot.due_s = at_s
            self._count += 1  # no two are compared further
            heapq.heappush(self._timers, (at_s, self._count, slot))

    def leave(self, slot: _S) -> None:
        """Forget it."""
        slot.state = IDLE
        slot.ticket += 1
        slot.due_s = math.inf

    def asked(self) -> None:
        """Note that the lock table is asked for."""
        self._asked, self._settling = self._settling, []

    def answered(self) -> None:
        """Note that it is there: those that waited for it have their turns."""
        self._queues[VERDICT].extend(self._asked)
        self._asked = []

    @property
    def in_round(self) -> bool:
        """Whether somebody has not had a turn with the last lock table."""
        return bool(self._queues[VERDICT])

    def next(self, now_s: float) -> Turn[_S] | Sleep | Round:
        """Return whose turn it is; its state is IDLE from then on, and what the turn makes of it.

        But for a LATE one: it stays where it is.

        Args:
            now_s: the time, on the monotonic clock.
        """
        self._take_due(now_s)
        if self._settling and not self._asked:
            self._settling = [place for place in self._settling if place[0].ticket == place[1]]
            if self._settling:
                return "round"
        while True:
            why = self._next_queue()
            if why is None:
                return Sleep(self._timers[0][0] if self._timers else None)
            slot, ticket = self._queues[why].popleft()
            if slot.ticket == ticket:
                self._turns += 1
                slot.state = IDLE
                return Turn(slot, why)
            if why is VERDICT and slot.state in (READY, SETTLING):
                return Turn(slot, LATE)

    def _next_queue(self) -> Why | None:
        queues = self._queues
        if self._news and self._turns % 2:
            return NEWS
        waiting = DUE if queues[DUE] else FIRST
        if queues[waiting] and self._turns % TURNS_BETWEEN_WAITING == 0:
            return waiting
        for why in (BACK, VERDICT, NEWS, waiting):
            if queues[why]:
                return why
        return None

    def _stand(self, slot: _S, why: Why) -> None:
        slot.ticket += 1
        self._queues[why].append((slot, slot.ticket))

    def _take_due(self, now_s: float) -> None:
        for _ in range(MOST_DUE):
            if not self._timers or self._timers[0][0] > now_s:
                return
            due_s, _, slot = heapq.heappop(self._timers)
            if slot.due_s != due_s:
                continue  # it was due before, or is gone
            slot.due_s, slot.judge = math.inf, True
            if slot.state is AWAY:
                slot.dirty = True
            elif slot.state is not READY:
                slot.state = IDLE
                self._stand(slot, DUE)

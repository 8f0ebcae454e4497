"""a directory's sessions -> turns, until one of them has records to hand over.

Every session has a lane: its follower, and what of it was handed over. Only one batch is held at
a time: backpressure is not pulling.

Verdicts are formed in rounds: one look at the lock table serves all lanes that met their end.
That is sound because a lane's writer held its lock before the first byte that the lane has read:
a table read later that does not show it proves that all it wrote was there to be read.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Awaitable, Callable, Sized
from functools import partial
from pathlib import Path

from anyio import ClosedResourceError
from anyio.lowlevel import checkpoint

from sessiontail.directory.beside import Beside
from sessiontail.directory.holding import OpenFiles
from sessiontail.directory.lane import ForeignFile, Lane
from sessiontail.directory.opening import Opened, close_what_came
from sessiontail.directory.schedule import Schedule, Sleep, Turn
from sessiontail.directory.sessions import Sessions, Tell
from sessiontail.directory.stock import Stocktaking, Wanted
from sessiontail.directory.turns import Turns
from sessiontail.errors import PersistenceError, SessionNotFound
from sessiontail.session.follower import no_gate
from sessiontail.session.pulling import StreamBusy
from sessiontail.system.locks import LockTable, locks
from sessiontail.system.signals import Home
from sessiontail.system.stats import StoreStats
from sessiontail.system.subscriptions import Subscription
from sessiontail.system.watching import DirectoryWatch

__all__ = ["Following"]

# After so long the loop has its turn; a turn takes some 20 us, with READ_BYTES to decode 1 ms.
MAX_HOLD_S = 0.002


class Following:
    """Follows all sessions of a directory, for one who pulls.

    Args:
        directory: whose sessions.
        make_watch: gives the watch of the directory, held.
        wanted: which of them, and from where.
        open_file: opens the file of a lane, as ``open_lane`` does.
        max_open: descriptors at most; None: what the process has for all streams.
        stats: counts into these.
        tell: is told what happens to them.
        tell_directory: is told whether it is there, at the first look and when that changes.
        blank: whether batches of blank lines, which have no records, are handed over too.
    """

    def __init__(
        self,
        directory: Path,
        *,
        make_watch: Callable[[], Awaitable[DirectoryWatch]],
        wanted: Wanted,
        open_file: Callable[..., Opened],
        max_open: int | None,
        stats: StoreStats,
        tell: Tell,
        tell_directory: Callable[[bool], None] = lambda _: None,
        blank: bool = False,
    ) -> None:
        self.closed = True  # until all is made
        self.begun = False
        self._pulling = False
        self._directory = directory
        self._make_watch = make_watch
        self._wanted = wanted
        self._open_file = open_file
        self._stats = stats
        self._schedule: Schedule[Lane | ForeignFile] = Schedule()
        self.sessions = Sessions(
            directory, schedule=self._schedule, files=OpenFiles(max_open, stats), tell=tell
        )
        self._tell_directory = tell_directory
        self._blank = blank
        self._present = True
        self._stocktaking = Stocktaking(directory, wanted)
        self._gate: Callable[[str], None] = no_gate
        # When a mark was noticed whose records are not handed over; when the loop had its turn.
        self._noticed_s = 0.0
        self._paused_s = 0.0
        # From the first look on.
        self._watch: DirectoryWatch | None = None
        self._subscription: Subscription | None = None
        self._beside: Beside | None = None
        self._turns: Turns | None = None
        self.closed = False

    def __del__(self) -> None:
        if not self.closed:
            self.close()

    @property
    def current(self) -> Lane | None:
        """Whose records wait to be handed over."""
        return None if self._turns is None else self._turns.current

    @property
    def gate(self) -> Callable[[str], None]:
        """Called with the name of each moment that a race could hit; tests act there."""
        return self._gate

    @gate.setter
    def gate(self, gate: Callable[[str], None]) -> None:
        self._gate = gate
        if self._turns is not None:
            self._turns.gate = gate

    async def begin(self) -> None:
        """Watch and take stock, unless that was done: what happens from now on is told.

        Raises:
            StopAsyncIteration: this was closed.
            SessionNotFound: the directory is absent, and that is an error.
            CursorInvalid: the cursor is damaged.
            PersistenceError: the directory cannot be read.
        """
        if not (self.begun or self.closed):
            await self._begin()
        if self.closed:
            raise StopAsyncIteration

    async def _begin(self) -> None:
        if self._subscription is None:
            made = self._watch = await self._make_watch()
            if self.closed:
                made.release()
                return
            self._subscription = made.subscribe(None, self._stats)
            made.release()  # the subscription holds it
            self._beside = Beside(
                str(self._directory), Home(), self._subscription.signal, self.sessions.files
            )
            self._turns = Turns(
                self._open_file,
                sessions=self.sessions,
                schedule=self._schedule,
                watch=made,
                beside=self._beside,
                blank=self._blank,
            )
            self._turns.gate = self._gate
        assert self._watch is not None
        stock = await self._stocktaking.take(self._watch, self._subscription, self._gate)
        if not self.closed:
            self.sessions.take(stock)
            self.begun = True
            self._present = self._watch.present
            self._tell_directory(self._present)

    def close(self) -> None:
        """Release everything; the positions stay."""
        self.closed = True
        if self._turns is not None:
            self._turns.current = None
        self.sessions.files.park_all()
        for lane in self.sessions.lanes.values():
            call, lane.call = lane.call, None
            if call is not None:
                call.leave(partial(close_what_came, lane, call))
        if self._subscription is not None:
            self._subscription.close()
            self._subscription.signal.set()  # wakes a task that waits

    async def next_lane(self, until: Sized = ()) -> Lane | None:
        """Give turns until a lane has records; None: ``until`` is no longer empty.

        Raises:
            StopAsyncIteration: this was closed.
            SessionNotFound: the directory is gone, and that is an error.
            PersistenceError: the directory cannot be read.
            StreamBusy: another task waits for the next one.
        """
        if self._pulling:
            raise StreamBusy
        self._pulling = True
        try:
            await self.begin()
            return await self._next_lane(until)
        except (ClosedResourceError, PersistenceError):
            if not self.closed:
                raise
            raise StopAsyncIteration from None
        finally:
            self._pulling = False
            if self.closed:  # by another task meanwhile
                self.close()

    async def _next_lane(self, until: Sized) -> Lane | None:
        turns = self._turns
        assert turns is not None
        while turns.current is None:
            if until:
                return None
            self._take_what_came(turns)
            now_s = time.monotonic()
            if now_s - self._paused_s >= MAX_HOLD_S:
                await checkpoint()
                self._paused_s = now_s = time.monotonic()
                self._take_what_came(turns)
            if until:  # that the directory came or went is told there, and is no session's turn
                return None
            if turns.starved:  # not only when a thread is back: it may need none
                turns.let_one_open()
            turn = self._schedule.next(now_s)
            if isinstance(turn, Turn):
                turns.take(turn, now_s)
                if self.sessions.news:
                    self.sessions.tell_news()
            elif isinstance(turn, Sleep):
                self._gate("before waiting")
                await self._sleep(turn.until_s)
                self._paused_s = time.monotonic()
            else:
                self._schedule.asked()
                locks().ask(_answer(weakref.ref(self)))
        if self._noticed_s:
            self._stats.lag_s = time.monotonic() - self._noticed_s
            self._noticed_s = 0.0
        return turns.current

    def handed_over(self) -> None:
        """Note that all records of the lane are handed over, or dropped."""
        assert self._turns is not None
        lane, self._turns.current = self._turns.current, None
        if lane is not None:
            if lane.stream.waiting:
                lane.stream.take_rest()
            lane.stream.drop()  # an idle lane holds no records

    async def _sleep(self, until_s: float | None) -> None:
        assert self._subscription is not None
        left_s = None if until_s is None else max(0.0, until_s - time.monotonic())
        await self._subscription.wait(left_s)

    def _take_what_came(self, turns: Turns) -> None:
        """Take what others have brought: the end, results of threads, marks, errors."""
        if self.closed:
            raise StopAsyncIteration
        subscription, again = self._subscription, turns.again
        assert subscription is not None
        assert self._beside is not None
        back = self._beside.back
        while back:
            self._schedule.back(back.popleft())
        turns.again = None
        if again is not None and again.follower is not None and not again.follower.reader.at_end:
            assert self._watch is not None
            self._watch.drain()  # who was told of meanwhile comes before it
        everything = False
        if subscription.dirty or subscription.everything:
            dirty, everything = subscription.take()
            now_s = time.monotonic()
            self._noticed_s = self._noticed_s or now_s
            for stem, may_have_ended in dirty.items():
                self.sessions.mark(stem, may_have_ended=may_have_ended, now_s=now_s)
        if again is not None:
            self._schedule.ready(again)
        if everything:
            self._check_directory()
        if subscription.error is not None:
            error, subscription.error = subscription.error, None
            raise error

    def _check_directory(self) -> None:
        """Look at what is open where the directory is gone; the rest may come back with it."""
        assert self._watch is not None
        present, self._present = self._present, self._watch.present
        if self._present != present:
            self._tell_directory(self._present)
        if self._present:
            return
        if self._wanted.on_missing == "error":
            raise SessionNotFound("the directory is gone", path=self._directory)
        self.sessions.look_at_open()

    def take_table(self, table: LockTable) -> None:
        """Begin a round of verdicts."""
        if self._turns is not None:
            self._turns.table = table
        self._schedule.answered()
        if self._subscription is not None:
            self._subscription.signal.set()


def _answer(following: weakref.ref[Following]) -> Callable[[LockTable], None]:
    """Return what takes a lock table for a stream, unless that was dropped meanwhile."""

    def answer(table: LockTable) -> None:
        found = following()
        if found is not None:
            found.take_table(table)

    return answer

"""a lane's turn -> records, an outcome, or what the lane waits for.

A turn is one look, of at most one batch. A look that would have to wait goes on in a thread beside
the queue, and its lane comes back with the result.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from sessiontail.directory.beside import Beside
from sessiontail.directory.lane import ForeignFile, Lane
from sessiontail.directory.opening import Opened, Reopened, reopen_lane, verdict_on
from sessiontail.directory.schedule import (
    BACK,
    LATE,
    VERDICT,
    LaneState,
    Rest,
    Schedule,
    Turn,
)
from sessiontail.directory.sessions import Sessions
from sessiontail.format.batch import Batch
from sessiontail.format.lifecycle import Outcome
from sessiontail.session.ending import LookAgain
from sessiontail.session.follower import Follower, no_gate
from sessiontail.system.locks import LockTable
from sessiontail.system.watching import DirectoryWatch

__all__ = ["Turns"]

# When a session that could not be read is tried again, for the first time.
RETRY_S = 1.0

# It waits for what is told.
IDLE = Rest(LaneState.IDLE)


class Turns:
    """Lets lanes look, one at a time.

    Args:
        open_file: opens the file of a lane, as ``open_lane`` does.
        sessions: whose lanes they are.
        schedule: whose turn it is.
        watch: of the directory.
        beside: what has to wait.
        blank: whether a batch of blank lines, which has no records, is handed over too.
    """

    __slots__ = (
        "_beside",
        "_blank",
        "_open_file",
        "_schedule",
        "_sessions",
        "_watch",
        "again",
        "current",
        "gate",
        "starved",
        "table",
    )

    def __init__(
        self,
        open_file: Callable[..., Opened],
        *,
        sessions: Sessions,
        schedule: Schedule[Lane | ForeignFile],
        watch: DirectoryWatch,
        beside: Beside,
        blank: bool = False,
    ) -> None:
        #: Called with the name of each moment that a race could hit; tests act there.
        self.gate: Callable[[str], None] = no_gate
        #: Whose records wait to be handed over.
        self.current: Lane | None = None
        #: Who has more to read, or a verdict due: it is queued again behind who was told of.
        self.again: Lane | None = None
        #: The lock table of the round of verdicts that is under way.
        self.table: LockTable | None = None
        self._open_file = open_file
        self._sessions = sessions
        self._schedule = schedule
        self._watch = watch
        self._beside = beside
        self._blank = blank
        #: Those that wait until fewer have a descriptor that there is no room for.
        self.starved: deque[Lane] = deque()

    def let_one_open(self) -> None:
        """Queue one of those that wait for a descriptor, if there is one for it by now."""
        if self._sessions.files.may_open(self.starved[0], beside=False):
            lane = self.starved.popleft()
            self._schedule.return_(lane)
            self._schedule.ready(lane)

    def take(self, turn: Turn[Lane | ForeignFile], now_s: float) -> None:
        """Let one look once.

        Args:
            turn: whose it is, and why.
            now_s: the time, on the monotonic clock.
        """
        lane, why, table = turn.slot, turn.why, None
        if isinstance(lane, ForeignFile):
            if lane.stem not in self._sessions.lanes:
                self._sessions.add(lane.stem)
            return
        if why is VERDICT or why is LATE:
            table = self.table
            if not self._schedule.in_round:
                self.table = None  # thousands of locks are not kept for nothing
            if why is LATE:
                self._sessions.hear(lane, table)
                return
            if not lane.wants_verdict:
                return
        lane.active_s = now_s
        try:
            if why is BACK:
                rest = self._come_back(lane)
            elif lane.is_open:
                rest = self._step(lane, table)
            else:
                rest = self._open(lane, table)
            if rest is not IDLE:
                self._schedule.put(lane, rest)
            if why is BACK and lane.dirty:
                # It may have changed behind the look; also where that found nothing.
                lane.dirty = False
                self._sessions.mark(lane.stem, may_have_ended=lane.judge, now_s=now_s)
        except OSError as error:
            lane.judge = True
            self._fail(lane, error)
            if lane.stream.waiting:  # what it has given before that is handed over
                self.current = lane
        except Exception:  # no memory for a long line: who tries again has it looked at again
            lane.judge = True
            self._schedule.ready(lane)
            raise
        if self._beside.waits:
            for other, no_thread in self._beside.start():
                self._schedule.return_(other)
                self._fail(other, no_thread)

    def _come_back(self, lane: Lane) -> Rest:
        call, function, then = self._beside.take(lane)
        try:
            found = call.result()
        except BlockingIOError:
            if not lane.is_open:
                raise  # somebody's lease is in the way
            return self._lend(lane, function, then)  # more to do than a thread does in one go
        return then(self, lane, found)

    def _open(self, lane: Lane, table: LockTable | None) -> Rest:
        """Open or reopen a lane's file, and look."""
        if not self._sessions.files.may_open(lane, beside=False):
            self.starved.append(lane)
            return Rest(LaneState.AWAY)
        self.gate("before open")
        remote = self._watch.remote
        then: Callable[..., Rest]
        if lane.follower is not None:
            look: Callable[..., Any] = partial(reopen_lane, lane.follower, remote=remote)
            then = partial(Turns._take_reopened, table=table)
        else:
            look = partial(
                self._open_file,
                lane,
                ended=self._sessions.ended.get(lane.stem),
                remote=remote,
            )
            then = Turns._take_opened
        try:
            found = look(block=False)
        except BlockingIOError:
            return self._lend(lane, look, then)
        return then(self, lane, found)

    def _step(self, lane: Lane, table: LockTable | None) -> Rest:
        follower = lane.follower
        assert follower is not None
        # What is told from here on is a verdict that this look does not give.
        judge, lane.judge = lane.judge, False
        try:
            found = follower.step(judge=judge, table=table, block=False)
        except BlockingIOError:
            step = partial(follower.step, judge=judge, table=table)
            return self._lend(lane, step, partial(Turns._take_found, table=table, judge=judge))
        return self._take_found(lane, found, table=table, judge=judge)

    def _lend(self, lane: Lane, look: Callable[..., Any], then: Callable[..., Rest]) -> Rest:
        """Let a look go on in a thread; ``then(self, lane, found)`` takes what it finds."""
        self._beside.lend(lane, look, then)
        return Rest(LaneState.AWAY)

    def _take_opened(self, lane: Lane, opened: Opened) -> Rest:
        if opened.follower is None:
            self._sessions.absent(lane, self._watch, done=opened.done)
            return IDLE
        opened.follower.gate = self.gate
        if lane.ending:
            opened.follower.end.expect_end()
        lane.begin(opened.follower, opened.position)
        self._sessions.files.add(lane)
        return self._step(lane, None)

    def _take_reopened(self, lane: Lane, found: Reopened, *, table: LockTable | None) -> Rest:
        follower = lane.follower
        assert follower is not None
        verdict = verdict_on(follower, found, now_s=time.monotonic())
        if isinstance(verdict, LookAgain):
            state = LaneState.ABANDONED if lane.abandoned else LaneState.IDLE
            return Rest(state, verdict.at_s)
        if verdict is not None:
            self._sessions.end(lane, verdict, self._watch)
            return IDLE
        self._sessions.files.add(lane)
        if found.others and lane.abandoned and follower.end.renamed:
            # Renamed without a trailer, which nobody comes back to; reopened under its id.
            self._sessions.finish(lane, self._watch)
            return IDLE
        return self._step(lane, table)

    def _take_found(
        self, lane: Lane, found: Batch | Outcome | None, *, table: LockTable | None, judge: bool
    ) -> Rest:
        """Take what a look has found."""
        follower = lane.follower
        assert follower is not None
        if self._sessions.errors:
            self._sessions.read(lane)
        if isinstance(found, Batch):
            return self._take_batch(lane, follower, found, table, judge=judge)
        rest = IDLE
        if found is not None:
            self._sessions.end(lane, found, self._watch)
        elif follower.wants_locks:
            lane.judge = lane.judge or judge
            rest = Rest(LaneState.SETTLING)
        else:
            rest = idle_until(follower.look_at_s)
        self._sessions.files.rest(lane)
        return rest

    def _take_batch(
        self,
        lane: Lane,
        follower: Follower,
        batch: Batch,
        table: LockTable | None,
        *,
        judge: bool,
    ) -> Rest:
        look_at_s = follower.look_at_s
        unknown = batch.records and lane.stream.session_id is None
        if unknown and self._sessions.is_foreign(lane, batch):
            return IDLE
        kind = None
        if lane.is_new or lane.abandoned:
            kind = lane.told_by(batch, known=lane.stem in self._sessions.ended)
        lane.stream.put(batch)
        if batch.records or self._blank:
            self.current = lane
        if table is not None and follower.is_held(table):
            # Its writer lived when the table was read: that answers why it was asked.
            judge = False
            look_at_s = sooner(look_at_s, follower.look_at_s)
        lane.judge = lane.judge or judge
        if follower.reader.held_until_s is None and (
            lane.judge or not follower.reader.at_end or follower.trailer_seen
        ):
            self.again = lane
        self._sessions.files.rest(lane)
        if kind is not None:
            self._sessions.tell(lane, kind)
        return idle_until(look_at_s)

    def _fail(self, lane: Lane, error: OSError) -> None:
        self._sessions.fail(lane, error, time.monotonic(), min(RETRY_S, self._watch.interval_s))


def idle_until(look_at_s: float | None) -> Rest:
    """Return that a lane waits for what is told, and for a time if there is one."""
    return IDLE if look_at_s is None else Rest(LaneState.IDLE, look_at_s)


def sooner(one_s: float | None, other_s: float | None) -> float | None:
    """Return the earlier of two times; None is never."""
    if one_s is None or other_s is None:
        return other_s if one_s is None else one_s
    return min(one_s, other_s)

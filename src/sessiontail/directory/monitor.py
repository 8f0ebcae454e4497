"""directory of growing files -> what its sessions do, a moment at a time."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sized
from functools import partial
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Self
from uuid import UUID

from anyio import move_on_after
from anyio.abc import AsyncResource
from anyio.lowlevel import checkpoint

from sessiontail import checks
from sessiontail.directory.activities import LINGER_S, Activities
from sessiontail.directory.activity import SessionActivity
from sessiontail.directory.activity_sums import DirectoryActivity
from sessiontail.directory.ancestry import finder
from sessiontail.directory.backlog import Backlog, NewsOrEnd
from sessiontail.directory.following import Following
from sessiontail.directory.lane import Lane
from sessiontail.directory.opening import open_lane
from sessiontail.directory.stock import Wanted
from sessiontail.format.batch import Batch
from sessiontail.format.brief import counted, place
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.lifecycle import EventKind, SessionState
from sessiontail.session.pulling import AsyncEntered, AsyncPulled, OneTask
from sessiontail.system.paths import sessions_dir
from sessiontail.system.place import Place
from sessiontail.system.stats import StoreStats
from sessiontail.system.watching import POLL_INTERVAL_S, SWEEP_INTERVAL_S, DirectoryWatch

__all__ = ["SessionMonitor", "monitor_sessions"]

# Rates that fall are shown so often, though nothing comes.
_FALL_S = 1.0
# A new file's writer is known when the lock table was read.
_FIRST_ASK_S = 0.05
# Of the time, so much goes into moments: with ten thousand sessions they come more seldom.
_SHARE = 0.05
# Sessions between two turns of the event loop: 2 ms.
_AT_ONCE = 200
# Records that are counted between two of them: 2 ms.
_PART = 200


def monitor_sessions(
    *, directory: str | PathLike[str] | None = None, interval_s: float = 0.25
) -> SessionMonitor:
    """Return what the running sessions of a directory do, as a stream of moments.

    Sessions that were closed before, and those whose writer is gone already, are not read. What a
    running session has written before is counted, and is no rate. Rows that an earlier session has
    are left out.

    Args:
        directory: where the session files lie; by default where openrath puts them. One that is
            absent is waited for.
        interval_s: no two moments come sooner after each other.

    Raises:
        PersistenceError: ``OPENRATH_HOME`` names something that is no directory.
        TypeError, ValueError: the interval is no number, or not positive.
    """
    where = sessions_dir(directory)
    watch = Place(where, SWEEP_INTERVAL_S, POLL_INTERVAL_S, events=True).watch
    return SessionMonitor(where, watch=watch, interval_s=interval_s)


class SessionMonitor(AsyncPulled, AsyncEntered, AsyncIterator[DirectoryActivity], AsyncResource):
    """What the running sessions of a directory do, moment by moment; it never ends by itself.

    Made by ``monitor_sessions``. An async iterator and an async context manager; a step that is
    cancelled can be retried, and nothing is lost. It reads while a moment is waited for, and only
    then. The next moment comes when something has changed since the last one, or rates fall.
    """

    def __init__(
        self,
        directory: Path,
        *,
        watch: Callable[[], Awaitable[DirectoryWatch]],
        interval_s: float = 0.25,
        linger_s: float = LINGER_S,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        """Prepare; nothing is opened before the first moment is asked for.

        Args:
            directory: whose sessions.
            watch: gives the watch of the directory, held.
            interval_s: no two moments come sooner after each other.
            linger_s: so long a session that ended is shown, and at least once.
            max_line_bytes: a longer line is one ``Damage``.
        """
        checks.positive("interval_s", interval_s, (int, float))
        self._directory = directory
        self._interval_s = interval_s
        self._linger_s = linger_s
        stats = StoreStats()
        # What happened and was not looked at: to a session, or to the directory.
        self._news: deque[tuple[str, EventKind] | bool] = deque()
        self._following = Following(
            directory,
            make_watch=watch,
            wanted=Wanted(only_running=True),
            open_file=partial(
                open_lane,
                directory=directory,
                find=finder("skip", directory, max_line_bytes),
                max_line_bytes=max_line_bytes,
                stats=stats,
            ),
            max_open=None,
            stats=stats,
            # Not methods: a stream that is dropped is gone at once.
            tell=partial(_note, self._news),
            tell_directory=self._news.append,
        )
        self._activities = Activities(0.0, linger_s=linger_s)
        self._present = True
        # Records that were handed over and are not counted yet: whose, and how many were left out.
        self._parts: deque[tuple[str, UUID, Batch, int]] = deque()
        # What there was at the start and is not read; None: nothing was looked at.
        self._backlog: Backlog | None = None
        self._changed = True
        self._falling = False
        # When the last moment was, and how much of the event loop's time it took.
        self._shown_s = 0.0
        self._cost_s = 0.0
        # When those are looked at whose writer did not show.
        self._ask_at_s = math.inf
        self._one_task = OneTask("SessionMonitor")

    def __repr__(self) -> str:
        state = "ended" if self._following.closed else counted(len(self._activities), "session")
        return f"<SessionMonitor {place(self._directory)}, {state}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> DirectoryActivity:
        """Return the next moment.

        Raises:
            StopAsyncIteration: this was closed.
            PersistenceError: the directory cannot be read.
            StreamBusy: another task waits for the next one.
        """
        return await self._pull(self._next_moment)

    async def caught_up(self) -> DirectoryActivity:
        """Return the first moment at which all that was there at the start is counted.

        Raises:
            StopAsyncIteration: this was closed.
            PersistenceError: the directory cannot be read.
            StreamBusy: another task waits for the next one.
        """
        return await self._pull(self._first_moment)

    async def aclose(self) -> None:
        """Release everything; iterating ends."""
        self._following.close()

    async def _pull(self, moment: Callable[[], Awaitable[DirectoryActivity]]) -> DirectoryActivity:
        with self._one_task:
            await self._following.begin()
            if self._backlog is None:
                self._begin()
            return await moment()

    def _begin(self) -> None:
        now_s, wall_s = time.monotonic(), time.time()
        self._activities = Activities(now_s, linger_s=self._linger_s)
        lanes = self._following.sessions.lanes
        # Of those that were given up already nothing is read.
        self._backlog = Backlog([one for one in lanes.values() if not one.abandoned], lanes)
        for stem, lane in lanes.items():
            if lane.seen is not None:
                quiet_s = max(0.0, wall_s - lane.seen.mtime_ns / 1e9)
                self._activities.know(stem, lane.seen.size, quiet_s)
        self._hear(now_s)
        self._shown_s = now_s

    async def _next_moment(self) -> DirectoryActivity:
        while True:
            now_s = time.monotonic()
            if self._ask_at_s <= now_s:
                # Whether its writer shows is no news: it is asked for, ever more seldom.
                self._changed = self._activities.ask(self._state_of) or self._changed
                self._ask_at_s = now_s + 2 * (now_s - self._shown_s)
            due_s = self._due_s()
            if due_s <= now_s:
                return await self._moment(now_s)
            wait_s = min(due_s, self._ask_at_s) - now_s
            changed = self._changed
            with move_on_after(None if wait_s == math.inf else wait_s):
                await self._read(self._news)
                while changed and time.monotonic() < due_s:
                    # When the next moment is stays as it is: a scope a record takes 30 us.
                    await self._read(self._news)

    async def _first_moment(self) -> DirectoryActivity:
        assert self._backlog is not None
        while self._parts or self._backlog:
            await self._read(NewsOrEnd(self._news, self._backlog))
        return await self._moment(time.monotonic())

    def _due_s(self) -> float:
        """Return when the next moment is, as far as is known."""
        soonest_s = self._shown_s + max(self._interval_s, self._cost_s / _SHARE)
        if self._changed:
            return soonest_s
        falls_s = self._shown_s + _FALL_S if self._falling else math.inf
        return max(soonest_s, min(falls_s, self._activities.leaves_at_s))

    async def _read(self, until: Sized) -> None:
        """Wait for what comes next, and take it; or take more of what came."""
        if not self._parts:
            lane = self._following.current or await self._following.next_lane(until)
            self._hear(time.monotonic())
            if lane is None:
                return
            self._cut(lane)
        self._activities.take(*self._parts.popleft(), now_s=time.monotonic())
        self._changed = True
        if self._parts:
            await checkpoint()

    def _cut(self, lane: Lane) -> None:
        """Take the records of a session, to be counted part by part."""
        sieve = lane.follower.reader.sieve if lane.follower else None
        left_out = sieve.left_out if sieve else 0
        batch = lane.stream.take_batch()
        session_id = lane.session_id
        assert session_id is not None
        self._following.handed_over()
        stem = lane.stem
        self._parts.extend((stem, session_id, part, left_out) for part in batch.parts(_PART))

    def _hear(self, now_s: float) -> None:
        """Take what happened to sessions, and to the directory."""
        while self._news:
            self._changed = True
            news = self._news.popleft()
            if isinstance(news, bool):
                self._present = news
                continue
            stem, kind = news
            lane = self._following.sessions.lanes.get(stem)
            follower = lane.follower if lane is not None and kind is EventKind.ABANDONED else None
            torn_bytes = follower.reader.torn_bytes if follower is not None else 0
            self._activities.hear(stem, kind, now_s, torn_bytes=torn_bytes)

    def _state_of(self, stem: str) -> SessionState:
        """Return how a session stands that has not ended, by who was seen to write it."""
        lane = self._following.sessions.lanes.get(stem)
        seen = lane is not None and lane.follower is not None and lane.follower.end.writer_seen
        return SessionState.LIVE if seen else SessionState.UNKNOWN

    async def _moment(self, now_s: float) -> DirectoryActivity:
        """Return what all do now; cut short, it is made anew."""
        activities, following = self._activities, self._following
        self._changed = True
        activities.let_leave(now_s)
        activities.ask(self._state_of)
        sums = activities.sums()
        sessions: list[SessionActivity] = []
        each = activities.each(now_s)
        began_s, cost_s = time.monotonic(), 0.0
        while some := [*islice(each, _AT_ONCE)]:
            sums.add(some)
            sessions += some
            cost_s += time.monotonic() - began_s
            await checkpoint()
            began_s = time.monotonic()
        rates = activities.rates(now_s)
        assert self._backlog is not None
        moment = sums.activity(
            present=self._present,
            sessions=tuple(sessions),
            unread=len(self._backlog),
            unreadable={stem: str(error) for stem, error in following.sessions.errors.items()},
            rows_per_s=rates[0],
            bytes_per_s=rates[1],
        )
        activities.shown(now_s)
        self._cost_s, self._shown_s = cost_s, now_s
        unknown = SessionState.UNKNOWN in moment.by_state
        self._ask_at_s = now_s + _FIRST_ASK_S if unknown else math.inf
        self._changed, self._falling = False, rates[1] > 0
        return moment


def _note(
    news: deque[tuple[str, EventKind] | bool],
    stem: str,
    session_id: UUID | None,  # noqa: ARG001 - of who is told of sessions only
    kind: EventKind,
) -> None:
    news.append((stem, kind))

"""growing file -> records until an outcome."""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Literal

from anyio.lowlevel import checkpoint

from sessiontail.format.batch import Batch
from sessiontail.format.cursor import Position
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.lifecycle import Outcome
from sessiontail.session.feed import RecordFeed
from sessiontail.session.follower import Follower, no_gate
from sessiontail.session.generations import Fitting, not_found, open_fitting
from sessiontail.session.sieve import Find
from sessiontail.system.files import explain, in_thread
from sessiontail.system.locks import Asked, locks
from sessiontail.system.pace import pace
from sessiontail.system.paths import SessionPaths
from sessiontail.system.stats import StoreStats
from sessiontail.system.subscriptions import Subscription
from sessiontail.system.watching import DirectoryWatch

__all__ = ["SessionTail"]


class SessionTail(RecordFeed):
    """Tails one session until its outcome.

    Made by ``tail_session`` and ``SessionStore.tail``.
    """

    # Called with the name of each moment that a race could hit; tests act there.
    _gate: Callable[[str], None] = staticmethod(no_gate)

    def __init__(
        self,
        paths: SessionPaths,
        *,
        watch: Callable[[], Awaitable[DirectoryWatch]],
        search: Callable[[], SessionPaths | None] | None = None,
        after: str | None = None,
        last: int | None = None,
        find: Find | None = None,
        wait: bool | float = False,
        on_abandoned: Literal["stop", "wait"] = "stop",
        max_line_bytes: int = MAX_LINE_BYTES,
        stats: StoreStats | None = None,
    ) -> None:
        """Prepare; nothing is opened before the first record is asked for.

        Args:
            paths: both names of the file; the WAL is tried first.
            watch: gives the watch of their directory, held.
            search: finds the session under another name; may block.
            after: a cursor to go on from.
            last: begin so many lines before the end instead.
            find: says what is inherited, and is left out; None: nothing is.
            wait: wait for a session that does not exist yet: for ever, or so many seconds.
            on_abandoned: "stop" ends with the outcome; "wait" waits for a writer to come back.
            max_line_bytes: a longer line is one ``Damage``.
            stats: counts into these.

        Raises:
            CursorInvalid: ``after`` is no cursor.
            ValueError: ``on_abandoned`` is neither.
        """
        self._watch: DirectoryWatch | None = None
        self._subscription: Subscription | None = None
        super().__init__(after, find)
        self._last = last
        self._make_watch = watch
        if on_abandoned not in ("stop", "wait"):
            raise ValueError(f"on_abandoned is 'stop' or 'wait', not {on_abandoned!r}")
        self._paths = paths
        self._search = search
        self._wait = wait
        self._wait_until_s: float | None = None
        self._patient = on_abandoned == "wait"
        self._max_line_bytes = max_line_bytes
        self._stats = stats or StoreStats()
        self._follower: Follower | None = None
        self._judge = True
        # Whether its end was met, and another writer is waited for.
        self._gone = False
        # The lock table that the next look wants.
        self._asked: Asked | None = None
        # When to judge again though nothing is told.
        self._recheck_at_s: float | None = None
        #: How the session ended; None while it has not.
        self.outcome: Outcome | None = None

    @property
    def path(self) -> Path:
        """The file that is read, or would be, under the name it was opened by."""
        return self._reader.file.path if self._reader else self._paths.wal

    @property
    def _state(self) -> str:
        if self.outcome is not None:
            return self.outcome.value
        return "live" if self._reader and not self._ended else super()._state

    async def _fill(self) -> None:
        if self._follower is None:
            self._follower = await self._start_following()
        follower, subscription = self._follower, self._subscription
        assert subscription is not None
        place = str(self._paths.directory)
        while True:
            table = None
            if self._asked is not None:
                table = None if self._asked.stale else await self._asked.wait()
                self._asked = None
            step = partial(follower.step, judge=self._judge, table=table)
            try:
                found = await self._look(place, step)
            except OSError as error:
                raise explain(error, self.path) from error
            if isinstance(found, Batch):
                self._plan(follower)
                if self._gone:
                    self._gone = False
                    follower.end.resumed()
                self._stream.put(found)
                if found.records:
                    return
                if follower.reader.held_until_s is None:
                    await checkpoint()  # blank lines
                    continue
                self._recheck_at_s = follower.reader.held_until_s
                await self._wait_for_mark(follower, subscription)
                continue
            if follower.wants_locks:
                self._asked = Asked(locks())
                await self._asked.wait()
                if pace().crowded:
                    await pace().turn()
                continue
            if found is not None and self._late:
                continue  # a verdict of then; what is now?
            may_come_back = found is Outcome.ABANDONED and not follower.end.renamed
            if found is not None and not (self._patient and may_come_back):
                self.outcome = found
                raise StopAsyncIteration
            self._gone = self._gone or found is not None
            if self._judge:
                self._recheck_at_s = None
                self._plan(follower)
            self._judge = False
            await self._wait_for_mark(follower, subscription)

    def _plan(self, follower: Follower) -> None:
        if follower.look_at_s is not None:
            self._recheck_at_s = min(self._recheck_at_s or math.inf, follower.look_at_s)

    async def _wait_for_mark(self, follower: Follower, subscription: Subscription) -> None:
        self._gate("before waiting")
        # Kept as a time, not as a span: a wait that is cancelled and tried again does not lose it.
        recheck_s = None if self._recheck_at_s is None else self._recheck_at_s - time.monotonic()
        if await subscription.wait(None if recheck_s is None else max(0.0, recheck_s)):
            dirty, everything = subscription.take()
            if everything or any(dirty.values()):
                follower.end.expect_end()
                self._judge = True
        if self._recheck_at_s is not None and self._recheck_at_s <= time.monotonic():
            self._judge = True
        if pace().crowded:
            await pace().turn()

    async def _start_following(self) -> Follower:
        """Watch first, then open: what happens in between is then told."""
        if self._subscription is None:
            watch = await self._make_watch()
            if self._ended:  # closed by another task meanwhile
                watch.release()
            self._refuse_closed()
            self._watch = watch
            self._subscription = watch.subscribe(self._paths.stem, self._stats)
            watch.release()  # the subscription holds it
        assert self._watch is not None
        watch = self._watch
        try:
            while True:
                self._gate("before open")
                place = str(self._paths.directory)
                opened = await self._look(place, partial(self._open, remote=watch.remote))
                if opened is not None:
                    break
                await self._wait_for_file(self._subscription)
        except Exception:
            self._leave_watch()  # who tries again watches again
            raise
        if self._subscription.stem != self._paths.stem:
            watch.move(self._subscription, self._paths.stem)
        follower, position = opened
        follower.gate = self._gate
        self._begin(follower.reader, position)
        watch.narrow(follower.reader.file.fd, self._paths.stem)
        return follower

    def _open(self, *, remote: bool, block: bool) -> tuple[Follower, Position] | None:
        opened = self._open_one(remote=remote, block=block)
        if opened is None and self._search is not None:
            if not block:
                raise BlockingIOError(errno.EAGAIN, "to be searched in a thread")
            found, self._search = self._search(), None
            if found is not None:
                self._paths = found
                opened = self._open_one(remote=remote, block=block)
        # Here, where it may wait: it asks which file this is.
        if opened is None:
            return None
        self._sift(opened.reader, finite=False)
        return Follower(self._paths, *opened), opened.position

    def _open_one(self, *, remote: bool, block: bool) -> Fitting | None:
        return open_fitting(
            self._paths.newest_first,
            self._after,
            last=self._last,
            whole=True,
            max_line_bytes=self._max_line_bytes,
            stats=self._stats,
            remote=remote,
            block=block,
        )

    async def _wait_for_file(self, subscription: Subscription) -> None:
        now_s = time.monotonic()
        if self._wait_until_s is None:
            # True waits for ever, though True == 1.
            forever = self._wait is True
            self._wait_until_s = float("inf") if forever else now_s + float(self._wait)
        left_s = self._wait_until_s - now_s
        if left_s <= 0:
            names, place = self._paths.newest_first, str(self._paths.directory)
            raise await in_thread(not_found, names, place=place)
        self._gate("before waiting")
        await subscription.wait(None if left_s == float("inf") else left_s)
        subscription.take()

    def _release(self) -> None:
        super()._release()
        self._leave_watch()

    def _leave_watch(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()
            subscription.signal.set()  # wakes a task that waits

"""growing file -> records until an outcome.

The file is the queue: a hint only asks for a look, and the truth is a read from the position. The
descriptor is held, because a rename keeps the inode: absence under a name proves nothing.

How an end is known. First the reader meets the end of the file. Then a verdict is formed: from the
names (final name, WAL, neither), the links of the open file, and who holds its lock. Then the file
is read again, and only if that meets the end too, the verdict is the outcome. What was written
before the writer let go is therefore delivered before the end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from anyio.lowlevel import checkpoint

from sessiontail.advancing import START, FileReader, FileReplaced
from sessiontail.cursor import Position
from sessiontail.decoding import Batch
from sessiontail.files import SessionFile, explain, in_thread
from sessiontail.framing import MAX_LINE_BYTES
from sessiontail.holders import QUIET_S, LockTable
from sessiontail.layout import SessionPaths
from sessiontail.reading import RecordFeed, not_found, open_fitting, resume
from sessiontail.records import Trailer
from sessiontail.session import Outcome
from sessiontail.stats import StoreStats
from sessiontail.watching import Subscription, Watcher

__all__ = ["Follower", "SessionTail"]

# A closing writer writes the trailer, lets go of the lock, closes, and renames. A WAL that is
# whole and not held is therefore given this long to get its name.
RENAME_GRACE_S = 2.0
# A dying writer's file is closed, and told of, just before its lock is gone (Linux, __fput).
FIRST_RECHECK_S = 0.005
# How often a quiet file's names and lock are looked at where events do not tell.
JUDGE_INTERVAL_S = 1.0
# Looks that find a linked file under neither name before it counts as moved away.
ABSENT_LOOKS = 3


def _no_gate(moment: str) -> None:
    pass


class Look(NamedTuple):
    """What the file system says of an open file."""

    status: os.stat_result
    #: Which of its names leads to it.
    place: Literal["wal", "final", "nowhere"]
    #: Whether another file has one of its names.
    usurped: bool


class Follower:
    """Follows one generation of one session's file, from open to outcome.

    It never waits: ``step`` looks once, and who calls it when is the tail's matter.
    """

    __slots__ = (
        "_absent_looks",
        "_key",
        "_quiet_since_s",
        "_recheck_after_s",
        "_seen_held",
        "_unheld_since_s",
        "blocking",
        "file_key",
        "gate",
        "paths",
        "reader",
        "recheck_s",
        "renamed",
        "trailer_seen",
    )

    def __init__(
        self,
        paths: SessionPaths,
        reader: FileReader,
        position: Position,
        *,
        blocking: bool = False,
    ) -> None:
        self.paths = paths
        self.reader = reader
        status = reader.file.stat()
        #: (st_dev, st_ino): which file this is, whatever it is called.
        self.file_key = (status.st_dev, status.st_ino)
        #: Whether a trailer was read (not: handed over).
        self.trailer_seen = position.trailer_seen
        #: Whether the file had its final name when last judged: no writer comes back to it.
        self.renamed = False
        #: Whether looking at names may block, so that it goes to a thread.
        self.blocking = blocking
        #: Judge again after this many seconds, though nothing is told; None: no need.
        self.recheck_s: float | None = None
        #: Called with the name of each moment that a race could hit; tests act there.
        self.gate: Callable[[str], None] = _no_gate
        self._seen_held = False
        self._recheck_after_s: float | None = None
        self._quiet_since_s = time.monotonic()
        self._unheld_since_s: float | None = None
        self._absent_looks = 0
        self._key = (-1, -1)

    def expect_end(self) -> None:
        """Note that the file was closed, renamed or unlinked: its lock may go at any moment."""
        self._recheck_after_s = FIRST_RECHECK_S

    def grown(self) -> bool:
        """Say whether the file is longer than what was read of it."""
        return self.reader.file.stat().st_size > self.reader.known_end

    def cut(self) -> bool:
        """Say whether the file is shorter than what was read of it."""
        return self.reader.file.stat().st_size < self.reader.known_end

    def is_held(self, locks: LockTable) -> bool:
        """Say whether a writer holds the file by this table: a verdict as good as the end's."""
        self.recheck_s = None
        if self.blocking or not locks.holds(self.file_key) or self._look().place != "wal":
            return False
        self._note_held()
        return True

    async def step(
        self, *, judge: bool, locks: Callable[[], LockTable] | None = LockTable.read
    ) -> Batch | Outcome | None:
        """Look once.

        Args:
            judge: whether to form a verdict where nothing new is found.
            locks: gives the lock table as it is then; None: there is no word of writers now.

        Returns:
            The next records, or how the session ended, or None: nothing now.

        Raises:
            OSError: the file cannot be read.
        """
        self.recheck_s = verdict = None
        while True:
            try:
                batch = await self.reader.next_batch(thorough=verdict is not None)
            except FileReplaced:
                return Outcome.REPLACED
            if batch is not None:
                if Trailer in map(type, batch.records):
                    self.trailer_seen = True
                return batch
            if verdict is not None:
                return verdict
            self.gate("end met")
            if judge or self.trailer_seen:
                verdict = await self._judge(locks)
            if verdict is None:
                return None
            self.gate("verdict formed")

    async def _judge(self, locks: Callable[[], LockTable] | None) -> Outcome | None:
        look = await in_thread(self._look) if self.blocking else self._look()
        status = look.status
        if status.st_size < self.reader.offset:
            return Outcome.REPLACED
        key = (status.st_size, status.st_mtime_ns)
        if key != self._key:
            self._quiet_since_s = time.monotonic()
            if await self.reader.changed_in_place():
                return Outcome.REPLACED
            self._key = key
        self.renamed = look.place == "final"
        if look.place != "nowhere":
            self._absent_looks = 0
        if look.place == "final":
            return Outcome.CLOSED if self.trailer_seen else Outcome.ABANDONED
        if locks is None:
            return None
        if look.place == "wal":
            return self._judge_wal(status, locks())
        return self._judge_nameless(look, locks)

    def _look(self) -> Look:
        status = self.reader.file.stat()
        # The WAL's name first: a rename in between is then seen under the final name.
        wal_name, final_name = self.paths.spelled
        wal = _identity(wal_name)
        if wal == self.file_key:
            return Look(status, "wal", usurped=False)
        self.gate("wal name looked at")
        final = _identity(final_name)
        if final == self.file_key:
            return Look(status, "final", usurped=wal is not None)
        # The links as they are now: unlinking comes before the looks that found nothing.
        usurped = wal is not None or final is not None
        return Look(self.reader.file.stat(), "nowhere", usurped)

    def _judge_wal(self, status: os.stat_result, locks: LockTable) -> Outcome | None:
        if locks.holder(status) is not None:
            self._note_held()
            return None
        now_s = time.monotonic()
        quiet_s = max(time.time() - status.st_mtime, now_s - self._quiet_since_s)
        if not locks.proves_absence(status, quiet_s=quiet_s, seen=self._seen_held):
            if locks.known:
                self.recheck_s = max(0.05, QUIET_S - quiet_s)
            return None
        if self.trailer_seen or status.st_size == 0:
            # About to be renamed; or just created, and about to be locked.
            if self._unheld_since_s is None:
                self._unheld_since_s = now_s
            if now_s - self._unheld_since_s < RENAME_GRACE_S and quiet_s < QUIET_S:
                self.recheck_s = 0.1
                return None
        return Outcome.ABANDONED

    def _note_held(self) -> None:
        self._seen_held = True
        self._unheld_since_s = None
        if self._recheck_after_s is not None:
            self.recheck_s = self._recheck_after_s
            self._recheck_after_s *= 4
            if self._recheck_after_s > JUDGE_INTERVAL_S:
                self._recheck_after_s = None

    def _judge_nameless(self, look: Look, locks: Callable[[], LockTable]) -> Outcome | None:
        gone = Outcome.REPLACED if look.usurped else Outcome.DELETED
        if look.status.st_nlink == 0:
            return gone
        # Linked under a name that is not ours: moved away, or we looked in the midst of it.
        self._absent_looks += 1
        if self._absent_looks < ABSENT_LOOKS:
            self.recheck_s = 0.1
            return None
        return None if locks().holder(look.status) is not None else gone


class SessionTail(RecordFeed):
    """Tails one session until its outcome.

    Made by ``tail_session`` and ``SessionStore.tail``.
    """

    # Called with the name of each moment that a race could hit; tests act there.
    _gate: Callable[[str], None] = staticmethod(_no_gate)

    def __init__(
        self,
        paths: SessionPaths,
        *,
        watcher: Watcher | Callable[[], Watcher],
        search: Callable[[], SessionPaths | None] | None = None,
        after: str | None = None,
        wait: bool | float = False,
        on_abandoned: Literal["stop", "wait"] = "stop",
        max_line_bytes: int = MAX_LINE_BYTES,
        stats: StoreStats | None = None,
    ) -> None:
        """Prepare; nothing is opened before the first record is asked for.

        Args:
            paths: both names of the file; the WAL is tried first.
            watcher: a store's, or what makes one for this tail alone.
            search: finds the session under another name; may block.
            after: a cursor to go on from.
            wait: wait for a session that does not exist yet: for ever, or so many seconds.
            on_abandoned: "stop" ends with the outcome; "wait" waits for a writer to come back.
            max_line_bytes: a longer line is one ``Damage``.
            stats: counts into these.

        Raises:
            CursorInvalid: ``after`` is no cursor.
            ValueError: ``on_abandoned`` is neither.
        """
        super().__init__()
        self._make_watcher = watcher
        self._watcher: Watcher | None = None
        self._subscription: Subscription | None = None
        if on_abandoned not in ("stop", "wait"):
            raise ValueError(f"on_abandoned is 'stop' or 'wait', not {on_abandoned!r}")
        self._paths = paths
        self._search = search
        self._after = Position.decode(after) if after is not None else START
        self._start = self._after
        self._wait = wait
        self._wait_until_s: float | None = None
        self._patient = on_abandoned == "wait"
        self._max_line_bytes = max_line_bytes
        self._stats = stats or StoreStats()
        self._follower: Follower | None = None
        self._judge = True
        self._judged_s = 0.0
        # When to judge again though nothing is told.
        self._recheck_at_s: float | None = None
        #: How the session ended; None while it has not.
        self.outcome: Outcome | None = None

    @property
    def path(self) -> Path:
        """The file that is read, or would be, under the name it was opened by."""
        return self._reader.file.path if self._reader else self._paths.wal

    async def _fill(self) -> None:
        if self._follower is None:
            self._follower = await self._open()
        follower, watcher, subscription = self._follower, self._watcher, self._subscription
        assert watcher is not None
        assert subscription is not None
        while True:
            before = follower.reader.guard
            if self._judge:
                self._judged_s = time.monotonic()
            try:
                found = await follower.step(judge=self._judge)
            except OSError as error:
                raise explain(error, self.path) from error
            if isinstance(found, Batch):
                if found.records:
                    self._put(found, before)
                    return
                await checkpoint()  # blank lines
                continue
            may_come_back = found is Outcome.ABANDONED and not follower.renamed
            if found is not None and not (self._patient and may_come_back):
                self.outcome = found
                raise StopAsyncIteration
            if self._judge:
                recheck_s = follower.recheck_s
                self._recheck_at_s = None if recheck_s is None else time.monotonic() + recheck_s
            self._judge = False
            await self._wait_for_hint(follower, watcher, subscription)

    async def _wait_for_hint(
        self, follower: Follower, watcher: Watcher, subscription: Subscription
    ) -> None:
        self._gate("before waiting")
        interval_s = watcher.interval_s
        # Kept as a time, not as a span: a wait that is cancelled and tried again does not lose it.
        recheck_s = None if self._recheck_at_s is None else self._recheck_at_s - time.monotonic()
        pause_s = interval_s if recheck_s is None else max(0.0, min(interval_s, recheck_s))
        if await subscription.wait(pause_s):
            if subscription.take_decisive():
                follower.expect_end()
                self._judge = True
            return
        if recheck_s is not None and recheck_s <= interval_s:
            self._judge = True
            return
        self._stats.sweeps += 1
        watcher.check_directory()
        self._judge = time.monotonic() - self._judged_s >= JUDGE_INTERVAL_S
        try:
            grown = follower.grown()
        except OSError as error:
            raise explain(error, self.path) from error
        if grown:
            await watcher.was_missed(subscription)

    async def _open(self) -> Follower:
        """Watch first, then open: what happens in between is then told."""
        if self._watcher is None:
            made = self._make_watcher
            self._watcher = made if isinstance(made, Watcher) else made()
        if self._subscription is None:
            self._subscription = self._watcher.subscribe(self._paths.stem)
        while True:
            self._gate("before open")
            file = await self._open_one()
            if file is not None:
                break
            await self._wait_for_file(self._subscription, self._watcher)
        reader = FileReader(file, max_line_bytes=self._max_line_bytes, stats=self._stats)
        await resume(reader, self._after)
        follower = Follower(self._paths, reader, self._after, blocking=self._watcher.remote)
        follower.gate = self._gate
        if not isinstance(self._make_watcher, Watcher):
            self._watcher.narrow(file.fd, self._paths.stem)
        self._begin(reader, self._after)
        return follower

    async def _open_one(self) -> SessionFile | None:
        # The WAL again at the end: it is made anew when a closed session is reopened.
        paths = self._paths
        file = await open_fitting((paths.wal, paths.final, paths.wal), self._after)
        if file is not None or self._search is None:
            return file
        found, self._search = await in_thread(self._search), None
        if found is None:
            return None
        assert self._watcher is not None
        assert self._subscription is not None
        self._paths = found
        self._subscription.close()
        self._subscription = self._watcher.subscribe(found.stem)
        return await self._open_one()

    async def _wait_for_file(self, subscription: Subscription, watcher: Watcher) -> None:
        now_s = time.monotonic()
        if self._wait_until_s is None:
            # True waits for ever, though True == 1.
            forever = self._wait is True
            self._wait_until_s = float("inf") if forever else now_s + float(self._wait)
        left_s = self._wait_until_s - now_s
        if left_s <= 0:
            raise not_found((self._paths.wal, self._paths.final))
        if not watcher.check_directory():
            self._stats.sweeps += 1
        await subscription.wait(left_s)
        subscription.take()

    def _release(self) -> None:
        super()._release()
        if self._subscription is not None:
            self._subscription.close()
        if self._watcher is not None and not isinstance(self._make_watcher, Watcher):
            self._watcher.close()


def _identity(name: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(name)
    except OSError:
        return None
    return status.st_dev, status.st_ino

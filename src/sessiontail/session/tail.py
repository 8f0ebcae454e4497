"""growing file -> records until an outcome.

The file is the queue: a hint only asks for a look, and the truth is a read from the position. The
descriptor is held, because a rename keeps the inode: absence under a name proves nothing.

How an end is known. First the reader meets the end of the file. Then a verdict is formed: from the
names (final name, WAL, neither), the links of the open file, and who holds its lock. Then the file
is read again, and only if that meets the end too, the verdict is the outcome. What was written
before the writer let go is therefore delivered before the end.
"""

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from anyio.lowlevel import checkpoint

from sessiontail.format.batch import Batch
from sessiontail.format.cursor import Position
from sessiontail.format.folding import Outcome
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.records import Trailer
from sessiontail.session.generations import Place, find_again, not_found, open_fitting, place_of
from sessiontail.session.reader import FileReader, FileReplaced
from sessiontail.session.reading import RecordFeed
from sessiontail.system import locks as holders
from sessiontail.system.files import explain, in_thread
from sessiontail.system.locks import Asked, LockTable, locks
from sessiontail.system.paths import SessionPaths
from sessiontail.system.stats import StoreStats
from sessiontail.system.waking import pace
from sessiontail.system.watching import DirectoryWatch, Subscription

__all__ = ["Follower", "SessionTail"]

# A closing writer writes the trailer, lets go of the lock, closes, and renames. A WAL that is
# whole and not held is therefore given this long to get its name.
RENAME_GRACE_S = 2.0
# Who copies a session, or writes it straight under its final name, is given this long between two
# writes.
TRAILER_GRACE_S = 2.0
# A dying writer's file is closed, and told of, just before its lock is gone (Linux, __fput).
FIRST_RECHECK_S = 0.005
# No recheck of a held file waits longer: the next one is told, or found by a survey.
LAST_RECHECK_S = 1.0
# Looks that find a linked file under neither name before it counts as moved away.
ABSENT_LOOKS = 3
# How often a file that was renamed without a trailer, on another machine, is looked at again: its
# last bytes may be there, and not shown to us yet.
REMOTE_RECHECK_S = 1.0
# A writer that did not show, and writes, is looked for again after so long, and ever more seldom:
# a file is there before its lock, and only who was seen is known to be gone.
FIRST_DOUBT_S = 0.05
# When the lock table is asked for again that could not be read.
FAILED_RECHECK_S = 1.0


def _no_gate(moment: str) -> None:
    pass


class Look(NamedTuple):
    """What the file system says of an open file."""

    status: os.stat_result
    #: Which of its names leads to it.
    place: Place
    #: Whether another file has one of its names.
    usurped: bool


class Follower:
    """Follows one generation of one session's file, from open to outcome.

    It never waits: ``step`` looks once, and who calls it when is the tail's matter.
    """

    __slots__ = (
        "_absent_looks",
        "_doubt_planned",
        "_doubt_s",
        "_doubt_until_s",
        "_grew",
        "_key",
        "_quiet_since_s",
        "_recheck_after_s",
        "_remote",
        "_seen_held",
        "_unheld_since_s",
        "file_id",
        "gate",
        "paths",
        "reader",
        "recheck_s",
        "renamed",
        "trailer_seen",
        "wants_locks",
    )

    def __init__(self, paths: SessionPaths, reader: FileReader, position: Position) -> None:
        self.paths = paths
        self.reader = reader
        #: Which file this is.
        self.file_id = reader.file.id
        #: Whether a trailer was read (not: handed over).
        self.trailer_seen = position.trailer_seen
        #: Whether the file had its final name when last judged: no writer comes back to it.
        self.renamed = False
        #: Judge again after this many seconds, though nothing is told; None: no need.
        self.recheck_s: float | None = None
        #: Whether the last judgement was none for want of a lock table.
        self.wants_locks = False
        #: Called with the name of each moment that a race could hit; tests act there.
        self.gate: Callable[[str], None] = _no_gate
        self._remote = reader.file.remote
        self._seen_held = False
        self._doubt_s: float | None = None
        self._doubt_until_s = 0.0
        self._doubt_planned = False
        self._recheck_after_s: float | None = None
        self._quiet_since_s = time.monotonic()
        self._unheld_since_s: float | None = None
        self._absent_looks = 0
        self._grew = False
        self._key = (-1, -1)

    def expect_end(self) -> None:
        """Note that the file was closed, renamed or unlinked: its lock may go at any moment."""
        self._recheck_after_s = FIRST_RECHECK_S

    def is_held(self, table: LockTable) -> bool:
        """Say whether a writer holds the file by this table: a verdict as good as the end's."""
        self.recheck_s = None
        if self._remote or self.reader.file.fd < 0 or not table.holds(self.file_id):
            return False
        if self._look().place != "wal":
            return False
        self._note_held()
        return True

    def step(self, *, judge: bool, table: LockTable | None, block: bool) -> Batch | Outcome | None:
        """Look once.

        Args:
            judge: whether to form a verdict where nothing new is found.
            table: the lock table as it was at some time after the last step; None: there is no
                word of writers now, and a verdict that needs one is not formed.
            block: whether the look may wait: in a thread.

        Returns:
            The next records, or how the session ended, or None: nothing now.

        Raises:
            BlockingIOError: there is more to wait for, or to do, than ``block`` allows.
            OSError: the file cannot be read.
        """
        try:
            return self._step(judge=judge, table=table, block=block)
        except FileReplaced:
            return Outcome.REPLACED
        except OSError as error:
            # On another machine: what is open was renamed or removed there (NFS, FUSE).
            if not self._remote or error.errno not in (errno.ENOENT, errno.ESTALE):
                raise
            lost = self._reopen()
            return lost or self._step(judge=judge, table=table, block=block)

    def _step(self, *, judge: bool, table: LockTable | None, block: bool) -> Batch | Outcome | None:
        self.recheck_s = verdict = None
        self.wants_locks = False
        while True:
            batch = self.reader.next_batch(block=block, thorough=verdict is not None)
            if batch is not None:
                if Trailer in map(type, batch.records):
                    self.trailer_seen = True
                if self._doubt_s is not None:
                    self._look_for_writer()
                return batch
            if verdict is not None:
                return verdict
            self.gate("end met")
            if judge or self.trailer_seen:
                verdict = self._judge(table, block=block)
            if verdict is None:
                return None
            self.gate("verdict formed")

    def _reopen(self) -> Outcome | None:
        """Open the same file by its name; return what became of it, if it has none."""
        try:
            found = find_again(self.paths, self.file_id, cached=False, remote=True)
        except OSError:
            return None
        if found.file is None:
            return Outcome.REPLACED if found.others else Outcome.DELETED
        self.reader.close()
        self.reader.file = found.file
        return None

    def _judge(self, table: LockTable | None, *, block: bool) -> Outcome | None:
        look = self._look()
        status = look.status
        if status.st_size < self.reader.offset:
            return Outcome.REPLACED
        key = (status.st_size, status.st_mtime_ns)
        if key != self._key:
            if self.reader.changed_in_place(block=block):
                return Outcome.REPLACED
            self._quiet_since_s = time.monotonic()
            self._grew = self._key != (-1, -1)
            self._key = key
        self.renamed = look.place == "final"
        if look.place != "nowhere":
            self._absent_looks = 0
        if look.place == "final":
            return self._judge_renamed(look, table)
        if look.place == "wal":
            if table is not None:
                return self._judge_wal(status, table)
            self.wants_locks = True
            return None
        return self._judge_nameless(look, table)

    def _look(self) -> Look:
        status = self.reader.file.stat()
        place, usurped = place_of(self.paths, self.file_id, lambda: self.gate("wal name looked at"))
        if place == "nowhere":
            # The links as they are now: unlinking comes before the looks that found nothing.
            status = self.reader.file.stat()
        return Look(status, place, usurped)

    def _judge_renamed(self, look: Look, table: LockTable | None) -> Outcome | None:
        if self.trailer_seen:
            return Outcome.CLOSED
        # On another machine what was written last may be hidden behind a cache of sizes (NFS: up
        # to 60 s).
        grace_s = holders.QUIET_S if self._remote else TRAILER_GRACE_S
        quiet_s = time.monotonic() - self._quiet_since_s
        age_s = time.time() - look.status.st_mtime
        # Its own time says nothing once we saw it written: who copies sets it.
        old = look.usurped or (age_s >= holders.FAR_S and not self._grew)
        if quiet_s < grace_s and (self._remote or not old):
            left_s = max(0.05, grace_s - quiet_s)
            self.recheck_s = min(left_s, REMOTE_RECHECK_S) if self._remote else left_s
            return None
        if table is None:
            self.wants_locks = True
            return None
        if table.failed or table.holder(look.status) is not None:
            self.recheck_s = FAILED_RECHECK_S
            return None
        return Outcome.ABANDONED

    def _judge_wal(self, status: os.stat_result, table: LockTable) -> Outcome | None:
        if table.holder(status) is not None:
            self._note_held()
            return None
        now_s = time.monotonic()
        quiet_s = now_s - self._quiet_since_s
        # On another machine a lock that is gone proves nothing yet: what was written under it may
        # be hidden behind a cache of sizes.
        seen = self._seen_held and not self._remote
        if not table.proves_absence(status, quiet_s=quiet_s, now_s=time.time(), seen=seen):
            if table.known:
                if not self._seen_held:
                    doubt_s = FIRST_DOUBT_S if self._doubt_s is None else 2 * self._doubt_s
                    self._doubt_s = min(doubt_s, holders.QUIET_S)
                    self._doubt_until_s = now_s + self._doubt_s
                    self._doubt_planned = False
                self.recheck_s = max(0.05, holders.QUIET_S - quiet_s)
                if self._remote:  # its name, too, may be one of a second ago
                    self.recheck_s = min(self.recheck_s, REMOTE_RECHECK_S)
            elif table.failed:
                self.recheck_s = FAILED_RECHECK_S
            return None
        if self.trailer_seen or status.st_size == 0:
            # About to be renamed; or just created, and about to be locked.
            if self._unheld_since_s is None:
                self._unheld_since_s = now_s
            if now_s - self._unheld_since_s < RENAME_GRACE_S and quiet_s < holders.QUIET_S:
                self.recheck_s = 0.1
                return None
        return Outcome.ABANDONED

    def _look_for_writer(self) -> None:
        """Ask for another judgement: somebody writes who did not show at the last one."""
        if not self._doubt_planned:
            self._doubt_planned = True
            self.recheck_s = max(0.0, self._doubt_until_s - time.monotonic())

    def _note_held(self) -> None:
        self._seen_held = True
        self._doubt_s = None
        self._unheld_since_s = None
        if self._recheck_after_s is not None:
            self.recheck_s = self._recheck_after_s
            self._recheck_after_s *= 4
            if self._recheck_after_s > LAST_RECHECK_S:
                self._recheck_after_s = None

    def _judge_nameless(self, look: Look, table: LockTable | None) -> Outcome | None:
        gone = Outcome.REPLACED if look.usurped else Outcome.DELETED
        if look.status.st_nlink == 0:
            return gone
        # Linked under a name that is not ours: moved away, or we looked in the midst of it.
        if table is None:
            self.wants_locks = True
            return None
        if table.failed:
            self.recheck_s = FAILED_RECHECK_S
            return None
        self._absent_looks += 1
        if self._absent_looks < ABSENT_LOOKS:
            self.recheck_s = 0.1
            return None
        return None if table.holder(look.status) is not None else gone


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
        watch: Callable[[], Awaitable[DirectoryWatch]],
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
            watch: gives the watch of their directory, held.
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
        self._watch: DirectoryWatch | None = None
        self._subscription: Subscription | None = None
        super().__init__(after)
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
                if follower.recheck_s is not None:
                    self._recheck_in(follower.recheck_s)
                self._stream.put(found)
                if found.records:
                    return
                await checkpoint()  # blank lines
                continue
            if follower.wants_locks:
                self._asked = Asked(locks())
                await self._asked.wait()
                if pace().crowded:
                    await pace().turn()
                continue
            if found is not None and self._late:
                continue  # a verdict of then; what is now?
            may_come_back = found is Outcome.ABANDONED and not follower.renamed
            if found is not None and not (self._patient and may_come_back):
                self.outcome = found
                raise StopAsyncIteration
            if self._judge:
                self._recheck_at_s = None
                if follower.recheck_s is not None:
                    self._recheck_in(follower.recheck_s)
            self._judge = False
            await self._wait_for_mark(follower, subscription)

    def _recheck_in(self, seconds: float) -> None:
        self._recheck_at_s = min(self._recheck_at_s or math.inf, time.monotonic() + seconds)

    async def _wait_for_mark(self, follower: Follower, subscription: Subscription) -> None:
        self._gate("before waiting")
        # Kept as a time, not as a span: a wait that is cancelled and tried again does not lose it.
        recheck_s = None if self._recheck_at_s is None else self._recheck_at_s - time.monotonic()
        if await subscription.wait(None if recheck_s is None else max(0.0, recheck_s)):
            marked, everything = subscription.take()
            if everything or any(marked.values()):
                follower.expect_end()
                self._judge = True
        if self._recheck_at_s is not None and self._recheck_at_s <= time.monotonic():
            self._judge = True
        if pace().crowded:
            await pace().turn()

    async def _start_following(self) -> Follower:
        """Watch first, then open: what happens in between is then told."""
        if self._subscription is None:
            watch = self._watch = await self._make_watch()
            self._subscription = watch.subscribe(self._paths.stem, self._stats)
            watch.release()  # the subscription holds it
        assert self._watch is not None
        watch = self._watch
        try:
            while True:
                self._gate("before open")
                place = str(self._paths.directory)
                follower = await self._look(place, partial(self._open, remote=watch.remote))
                if follower is not None:
                    break
                await self._wait_for_file(self._subscription)
        except Exception:
            self._leave_watch()  # who tries again watches again
            raise
        if self._subscription.stem != self._paths.stem:
            self._subscription.move(self._paths.stem)
        follower.gate = self._gate
        watch.narrow(follower.reader.file.fd, self._paths.stem)
        self._reader = follower.reader
        return follower

    def _open(self, *, remote: bool, block: bool) -> Follower | None:
        reader = self._open_one(remote=remote, block=block)
        if reader is None and self._search is not None:
            if not block:
                raise BlockingIOError(errno.EAGAIN, "to be searched in a thread")
            found, self._search = self._search(), None
            if found is not None:
                self._paths = found
                reader = self._open_one(remote=remote, block=block)
        return None if reader is None else Follower(self._paths, reader, self._after)

    def _open_one(self, *, remote: bool, block: bool) -> FileReader | None:
        paths = self._paths
        return open_fitting(
            paths.newest_first,
            self._after,
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

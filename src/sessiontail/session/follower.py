"""open file, its names, the lock table -> records, then an outcome.

The file is the queue: a hint only asks for a look, and the truth is a read from the position. The
descriptor is held, because a rename keeps the inode: absence under a name proves nothing.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

from sessiontail.format.batch import Batch
from sessiontail.format.cursor import Position
from sessiontail.format.lifecycle import Outcome
from sessiontail.format.records import Trailer
from sessiontail.session.blocks import FileReplaced
from sessiontail.session.ending import EndDetector, Evidence, LookAgain, Where, Writer
from sessiontail.session.generations import find_again, place_of
from sessiontail.session.reader import FileReader
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import SessionPaths

__all__ = ["Follower", "no_gate"]


def no_gate(moment: str) -> None:
    """Do nothing at a moment that a race could hit; tests put something else in its place."""


class Follower:
    """Follows one generation of one session's file, from open to outcome.

    It never waits: ``step`` looks once, and who calls it when is the tail's matter.
    """

    __slots__ = (
        "end",
        "file_id",
        "gate",
        "look_at_s",
        "paths",
        "reader",
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
        #: Decides how it ends.
        self.end = EndDetector(remote=reader.file.remote, now_s=time.monotonic())
        #: When to judge again though nothing is told, on the monotonic clock; None: no need.
        self.look_at_s: float | None = None
        #: Whether the last judgement was none for want of a lock table.
        self.wants_locks = False
        #: Called with the name of each moment that a race could hit; tests act there.
        self.gate: Callable[[str], None] = no_gate

    def is_held(self, table: LockTable) -> bool:
        """Say whether a writer holds the file by this table: a verdict as good as the end's."""
        self.look_at_s = None
        file = self.reader.file
        if file.remote or file.fd < 0 or not table.holds(self.file_id):
            return False
        if self._place()[0] != "wal":
            return False
        self._plan(self.end.held(time.monotonic()))
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
            lost = error.errno in (errno.ENOENT, errno.ESTALE)
            if not (lost and self.reader.file.remote):
                raise
            return self._reopen() or self._step(judge=judge, table=table, block=block)

    def _step(self, *, judge: bool, table: LockTable | None, block: bool) -> Batch | Outcome | None:
        self.look_at_s = verdict = None
        self.wants_locks = False
        while True:
            batch = self.reader.next_batch(block=block, thorough=verdict is not None)
            if batch is not None:
                if Trailer in map(type, batch.records):
                    self.trailer_seen = True
                if self.end.in_doubt:
                    self._plan(self.end.wrote(time.monotonic()))
                if self.reader.held_until_s is not None:
                    self.look_at_s = self.reader.held_until_s
                return batch
            if verdict is not None:
                return verdict
            self.gate("end met")
            if judge or self.trailer_seen:
                verdict = self._judge(table, block=block)
            if verdict is None:
                return None
            self.gate("verdict formed")

    def _judge(self, table: LockTable | None, *, block: bool) -> Outcome | None:
        seen = self._gather(table, block=block)
        decision = self.end.decide(seen, now_s=time.monotonic(), wall_s=time.time())
        if isinstance(decision, Outcome):
            return decision
        if decision == "ask":
            self.wants_locks = True
        else:
            self._plan(decision)
        return None

    def _gather(self, table: LockTable | None, *, block: bool) -> Evidence:
        status = self.reader.file.stat()
        place, usurped = self._place()
        if place == "nowhere":
            # The links as they are now: unlinking comes before the looks that found nothing.
            status = self.reader.file.stat()
        read, size = self.reader.offset, status.st_size
        # Who rewrites a file changes its stamp.
        written = (size, status.st_mtime_ns) != self.end.stamp
        rewritten = written and size >= read and self.reader.changed_in_place(block=block)
        if table is None:
            writer = Writer.NOT_ASKED
        elif not table.known:
            writer = Writer.FAILED if table.failed else Writer.UNKNOWN
        else:
            writer = Writer.NONE if table.holder(status) is None else Writer.HOLDS
        return Evidence(
            place,
            usurped,
            status.st_nlink,
            size,
            status.st_mtime_ns,
            read,
            rewritten,
            self.trailer_seen,
            writer,
        )

    def _place(self) -> tuple[Where, bool]:
        return place_of(self.paths, self.file_id, lambda: self.gate("wal name looked at"))

    def _plan(self, again: LookAgain | None) -> None:
        if again is not None:
            self.look_at_s = again.at_s

    def _reopen(self) -> Outcome | None:
        """Open the same file by its name; return what became of it, if it has none."""
        try:
            found = find_again(self.paths, self.file_id, cached=False, remote=True)
        except OSError:
            return None
        if found.file is None:
            return Outcome.REPLACED if found.others else Outcome.DELETED
        self.reader.close()
        self.reader.go_on_in(found.file)
        return None

"""what happened to sessions -> which of them are followed, done with, or none at all."""

from __future__ import annotations

import errno
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

from sessiontail.directory.holding import OpenFiles
from sessiontail.directory.lane import ForeignFile, Lane
from sessiontail.directory.opening import key_of
from sessiontail.directory.retries import Retries
from sessiontail.directory.schedule import LaneState, Rest, Schedule
from sessiontail.directory.stock import Stock
from sessiontail.errors import PersistenceError
from sessiontail.format.batch import Batch
from sessiontail.format.cursor import START, Position
from sessiontail.format.directory_cursor import DirectoryPosition
from sessiontail.format.ended import EndedSessions, ended_key
from sessiontail.format.lifecycle import EventKind, Outcome
from sessiontail.format.records import Damage
from sessiontail.system.files import explain
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import SessionPaths
from sessiontail.system.stamps import id_of_name
from sessiontail.system.survey import is_text
from sessiontail.system.watching import DirectoryWatch

__all__ = ["Sessions", "Tell"]

logger = logging.getLogger("sessiontail")

#: Called with a session's stem, its id where that is known, and what happened to it.
Tell: TypeAlias = Callable[[str, UUID | None, EventKind], None]


class Sessions:
    """The sessions of a directory that one stream follows, and those that it does not.

    Args:
        directory: where they lie.
        schedule: gives them their turns.
        files: their descriptors.
        tell: is told what happens to them.
    """

    __slots__ = (
        "_directory",
        "_foreign",
        "_retries",
        "_schedule",
        "_tell",
        "ended",
        "files",
        "lanes",
        "news",
    )

    def __init__(
        self,
        directory: Path,
        *,
        schedule: Schedule[Lane | ForeignFile],
        files: OpenFiles,
        tell: Tell,
    ) -> None:
        #: Those that are followed, by the stem of their files.
        self.lanes: dict[str, Lane] = {}
        #: Those that are done with.
        self.ended = EndedSessions()
        self.files = files
        self._directory = directory
        self._schedule = schedule
        self._tell = tell
        #: What happened and was not told yet: stem, id where that is known, and what.
        self.news: deque[tuple[str, UUID | None, EventKind]] = deque()
        self._foreign: dict[str, ForeignFile] = {}
        self._retries = Retries()

    @property
    def position(self) -> DirectoryPosition:
        """Where every session stands."""
        open_: dict[str, Position] = {}
        before_end: dict[str, tuple[int, int]] = {}
        for stem, lane in self.lanes.items():
            at = lane.stream.position
            if at.offset:
                open_[stem] = at
            elif lane.follower is None and lane.last is not None and lane.seen is not None:
                before_end[stem] = lane.last, lane.seen.size
        return DirectoryPosition(open_, self.ended, before_end)

    @property
    def errors(self) -> dict[str, PersistenceError]:
        """Those that could not be read at the last try, with the error; they are tried again."""
        return self._retries.errors

    def take(self, stock: Stock) -> None:
        """Begin with what was there at the first look."""
        self.lanes, self.ended = stock.lanes, stock.ended
        for lane in stock.order:
            self._schedule.wait(lane)

    def add(self, stem: str) -> Lane:
        """Follow a session from its begin."""
        lane = self.lanes[stem] = Lane(stem, START)
        self._schedule.ready(lane)
        return lane

    def mark(self, stem: str, *, may_have_ended: bool, now_s: float) -> None:
        """Note that something was told of a file.

        Args:
            stem: which.
            may_have_ended: whether it may have ended.
            now_s: the time, on the monotonic clock.
        """
        lane = self.lanes.get(stem)
        if lane is not None:
            if may_have_ended:
                lane.judge = True
                if lane.follower is not None:
                    lane.follower.end.expect_end()
                else:
                    lane.ending = True
            self._schedule.ready(lane)
        elif stem in self._foreign:
            if may_have_ended:
                foreign = self._foreign[stem]
                self._schedule.look_at(foreign, now_s + foreign.pause_s)
        elif stem.isascii() or is_text(stem):
            self.add(stem).ending = may_have_ended

    def hear(self, lane: Lane, table: LockTable | None) -> None:
        """Take from a lock table that somebody holds a file: that answers why it was asked."""
        follower = lane.follower
        if follower is None or table is None or not lane.judge:
            return
        if self.lanes.get(lane.stem) is lane and follower.is_held(table):
            lane.judge = False
            if follower.look_at_s is not None:
                self._schedule.look_at(lane, follower.look_at_s)

    def look_at_open(self) -> None:
        """Let all that hold a descriptor be judged: their directory is gone."""
        for lane in self.lanes.values():
            if lane.is_open:
                lane.judge = True
                self._schedule.ready(lane)

    def is_foreign(self, lane: Lane, batch: Batch) -> bool:
        """Say whether a file is no session: it has neither a header nor an id for a name."""
        if lane.session_id is not None:
            return False
        first = batch.records[0]
        if not isinstance(first, Damage):
            self._no_longer_foreign(lane.stem)
            lane.stream.note(first)  # its id is needed for the first record
            return False
        known = self._foreign.get(lane.stem)
        if known is not None:
            known.stays()
        else:
            logger.warning("skipped %s: it does not start with a header", lane.stem)
            self._foreign[lane.stem] = ForeignFile(lane.stem)
        self.forget(lane)
        return True

    def _no_longer_foreign(self, stem: str) -> None:
        foreign = self._foreign.pop(stem, None)
        if foreign is not None:
            self._schedule.leave(foreign)

    def absent(self, lane: Lane, watch: DirectoryWatch, *, done: bool) -> None:
        """Note that there is nothing to open for a lane.

        Args:
            lane: which.
            watch: of the directory.
            done: whether a file is there that is done with.
        """
        self._no_longer_foreign(lane.stem)
        known = lane.stem in self.ended
        if known and done:
            self.forget(lane)
        elif known or lane.seen is not None or lane.after.offset or not lane.is_new:
            self.end(lane, Outcome.DELETED, watch)
        else:
            self.forget(lane)  # nothing was told of it, so nothing is now

    def read(self, lane: Lane) -> None:
        """Note that a session could be read."""
        self._retries.read(lane.stem)

    def fail(self, lane: Lane, error: OSError, now_s: float, retry_s: float) -> None:
        """Put a session that cannot be read now aside; it is tried again, ever more seldom.

        Args:
            lane: which.
            error: why.
            now_s: the time, on the monotonic clock.
            retry_s: how soon it is tried for the first time; sooner if something is told of it.
        """
        if error.errno in (errno.EMFILE, errno.ENFILE):
            self.files.halve()
        if lane.stem not in self.errors:
            logger.warning("cannot read %s, will try again: %s", lane.stem, error)
        reason = explain(error, lane.paths(self._directory).wal)
        if self._retries.fail(lane.stem, reason, now_s, retry_s) or lane.brief:
            self.files.park(lane)
        self._schedule.put(lane, Rest(LaneState.FAILED, self._retries.due_s(lane.stem)))

    def end(self, lane: Lane, outcome: Outcome, watch: DirectoryWatch) -> None:
        """Note how a session's file ended."""
        if outcome is Outcome.ABANDONED:
            self._abandon(lane, watch)
            return
        if outcome is Outcome.DELETED and self._went_with_directory(lane, watch):
            self.files.park(lane)
            return
        if outcome is Outcome.CLOSED:
            self.finish(lane, watch)
        else:
            if outcome is Outcome.DELETED:
                self.ended.discard(lane.stem)
            self.forget(lane)
        self.tell(lane, EventKind(outcome))
        if outcome is Outcome.REPLACED:
            self.add(lane.stem).is_new = False

    def finish(self, lane: Lane, watch: DirectoryWatch) -> None:
        """Note that a file is done with; go on with the next one under its id, if there is one."""
        assert lane.follower is not None
        reader = lane.follower.reader
        # On another machine no call is for the loop: a file of that size is done with.
        key = ended_key(reader.known_end, 0) if reader.file.remote else key_of(reader.file)
        goes_on = _may_have_wal(lane.paths(self._directory), watch)
        self.ended.add(lane.stem, key)
        self.forget(lane)
        if goes_on:
            self.add(lane.stem)  # what was told of that is taken

    def forget(self, lane: Lane) -> None:
        """Follow a lane no longer."""
        self.files.park(lane)
        self._schedule.leave(lane)
        if self.lanes.get(lane.stem) is lane:
            del self.lanes[lane.stem]
        self.read(lane)

    def tell(self, lane: Lane, kind: EventKind) -> None:
        """Note what happened, to be told behind the turn."""
        self.news.append((lane.stem, lane.session_id, kind))

    def tell_news(self) -> None:
        """Tell what happened; it calls the user's function, and what that raises is the user's."""
        while self.news:
            self._tell(*self.news.popleft())

    def _abandon(self, lane: Lane, watch: DirectoryWatch) -> None:
        # Its writer may come back: the position stays, the descriptor goes.
        if not lane.abandoned:
            self.tell(lane, EventKind.ABANDONED)
        lane.abandoned = True
        follower = lane.follower
        if (
            follower is not None
            and follower.end.renamed
            and _may_have_wal(lane.paths(self._directory), watch)
        ):
            self.finish(lane, watch)  # nobody comes back to this one, and another is there
            return
        self.files.park(lane)
        self._schedule.put(lane, Rest(LaneState.ABANDONED))

    def _went_with_directory(self, lane: Lane, watch: DirectoryWatch) -> bool:
        """Say whether only the directory is gone, or renamed: the session may come back with it."""
        if watch.present if watch.remote else self._directory.exists():
            return False
        watch.look_soon()  # no event tells, while somebody has a file of it open
        follower = lane.follower if lane.is_open else None
        return follower is None or follower.reader.file.stat().st_nlink > 0


def _may_have_wal(paths: SessionPaths, watch: DirectoryWatch) -> bool:
    """Say whether there is another file for a session; on another machine opening will tell."""
    return watch.remote or id_of_name(paths.spelled[0]) is not None

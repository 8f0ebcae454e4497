"""directory of growing files -> one stream of (session id, record).

Every session has a lane: its follower, and what of it was handed over. Lanes that may have news
stand in a queue and take turns of at most one batch, so that a busy session does not starve a
quiet one. Only one batch is held at a time: backpressure is not pulling. Idle lanes hold no
descriptor beyond a limit; they are opened again by name and verified.

Verdicts are formed in rounds: one look at the lock table serves all lanes that met their end.
That is sound because a lane's writer held its lock before the first byte that the lane has read:
a table read later that does not show it proves that all it wrote was there to be read.
"""

from __future__ import annotations

import errno
import heapq
import logging
import os
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias
from uuid import UUID

from anyio import BusyResourceError, ClosedResourceError
from anyio.lowlevel import checkpoint

from sessiontail.advancing import START, FileReader
from sessiontail.cursor import DirectoryPosition, Position
from sessiontail.decoding import Batch
from sessiontail.errors import CursorInvalid, PersistenceError, SessionNotFound
from sessiontail.files import SessionFile, explain, in_thread
from sessiontail.framing import MAX_LINE_BYTES
from sessiontail.holders import LockTable
from sessiontail.lanes import Lane, descriptor_limit, open_generation, open_generations, stem_uuid
from sessiontail.layout import SessionPaths, stem_paths
from sessiontail.listing import position_before_end
from sessiontail.records import Chunk, ChunkKind, Damage, Record
from sessiontail.session import Outcome
from sessiontail.stats import StoreStats
from sessiontail.surveying import Seen, Survey, ended_key, is_text, look_around, survey
from sessiontail.tailing import Follower
from sessiontail.watching import Subscription, Watcher

__all__ = ["DirectoryTail"]

logger = logging.getLogger("sessiontail")

# How often the lock table is compared where events do not tell that a writer is gone.
_LOCKS_INTERVAL_S = 1.0
# The same where they do.
_TRUSTED_LOCKS_INTERVAL_S = 30.0
# After so long the loop has its turn; a turn takes some 50 us, with READ_BYTES to decode 1 ms.
_MAX_HOLD_S = 0.002

# Turns after which verdicts are formed although there is always news.
_TURNS_BETWEEN_ROUNDS = 64
# Reading the lock table takes at most this part of the time, and a verdict waits at most so long.
_ROUND_SHARE = 0.2
_MAX_ROUND_PAUSE_S = 0.05

_UNKNOWN = LockTable(None, complete=False)

# Turns after which the clock is asked whether a sweep is due although there is always news.
_TURNS_BETWEEN_SWEEP_CHECKS = 64
# A sweep takes at most this part of the time, however many sessions there are.
_SWEEP_SHARE = 0.05
# The same where events are trusted.
_TRUSTED_SWEEP_SHARE = 0.005

# What happens to a session: how it ended for now, or that it begins or goes on.
News: TypeAlias = Outcome | Literal["started", "resumed"]
SessionRecord: TypeAlias = tuple[UUID, Record]


class DirectoryTail(AsyncIterator[SessionRecord]):
    """One stream of the records of all sessions in a directory; it never ends by itself.

    Made by ``SessionStore.tail_all``. An async iterator and an async context manager; a step that
    is cancelled can be retried, and nothing is lost. One task at a time may pull.
    """

    # Called with the name of each moment that a race could hit; tests act there.
    _gate: Callable[[str], None] = staticmethod(lambda _: None)

    def __init__(
        self,
        directory: Path,
        *,
        watcher: Watcher | Callable[[], Watcher],
        after: str | None = None,
        kinds: Collection[ChunkKind | str] | None = None,
        include_closed: bool = False,
        last: int | None = None,
        on_missing: Literal["wait", "error"] = "wait",
        on_event: Callable[[UUID, News], None] | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
        max_open: int | None = None,
        stats: StoreStats | None = None,
    ) -> None:
        """Prepare; nothing is opened before the first record is asked for.

        Args:
            directory: whose sessions are followed.
            watcher: a store's, or what makes one for this stream alone.
            after: a directory cursor to go on from.
            kinds: only chunks of these kinds, and damage; by default every record.
            include_closed: also sessions that are closed before this begins.
            last: of sessions that exist already, only so many of the last records.
            on_missing: "wait" waits for a directory that is absent or goes; "error" raises.
            on_event: called with a session's id and what happened to it.
            max_line_bytes: a longer line is one ``Damage``.
            max_open: descriptors at most; by default the soft limit less a reserve.
            stats: counts into these.

        Raises:
            CursorInvalid: ``after`` is no directory cursor.
            ValueError: ``kinds`` names no kind.
        """
        self._closed = True  # until all is made
        self.directory = directory
        #: What happened to sessions, for who asks for it (``observing``); else None.
        self.news: deque[tuple[str, News]] | None = None
        #: Sessions that could not be read at the last try, with the error; they are tried again.
        self.errors: dict[str, PersistenceError] = {}
        self._kinds = None if kinds is None else frozenset(ChunkKind(kind) for kind in kinds)
        self._include_closed = include_closed
        self._last = last
        self._on_missing = on_missing
        self._on_event = on_event
        self._max_line_bytes = max_line_bytes
        self._max_open = max_open
        self._stats = stats or StoreStats()
        self._make_watcher = watcher
        self._watcher: Watcher | None = None
        self._subscription: Subscription | None = None
        self._resumed = None if after is None else DirectoryPosition.decode(after)
        self._begun = False
        self._pulling = False
        self._lanes: dict[str, Lane] = {}
        # Ended stems -> a fingerprint of their file's size and time.
        self._ended: dict[str, bytes] = {}
        # May have news; met their end and want a verdict; want one by this round's table.
        self._ready: deque[Lane] = deque()
        self._judging: deque[Lane] = deque()
        self._round: deque[Lane] = deque()
        self._locks = _UNKNOWN
        # When a sweep last compared the locks of all.
        self._compared_at_s = 0.0
        self._round_due_s = 0.0
        self._rechecks: list[tuple[float, str]] = []
        # Lanes with a descriptor, the longest idle first.
        self._open: OrderedDict[str, Lane] = OrderedDict()
        self._current: Lane | None = None
        # Stem to a hash of what the last sweep saw of it.
        self._surveyed: dict[str, int] = {}
        self._failed: set[str] = set()
        self._swept_at_s = 0.0
        self._sweep_took_s = 0.0
        self._noticed_s = 0.0
        self._turns = 0
        # When the loop last had its turn.
        self._paused_s = 0.0
        if self._resumed is not None:
            self._ended.update(self._resumed.ended)
        self._closed = False

    def __del__(self) -> None:
        if not self._closed:
            self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionRecord:
        """Return the next record and whose it is; sessions take turns.

        Raises:
            StopAsyncIteration: this was closed.
            SessionNotFound: the directory is absent, with ``on_missing="error"``.
            PersistenceError: the directory cannot be read.
        """
        while True:
            lane = self._current
            if lane is None:
                lane = await self._pull()
                if lane is None:
                    continue
            record = lane.take_one()
            if not lane.waiting:
                self._current = None
            if (
                self._kinds is None
                or isinstance(record, Damage)
                or (type(record) is Chunk and record.kind in self._kinds)
            ):
                session_id = lane.session_id
                assert session_id is not None
                return session_id, record

    @property
    def cursor(self) -> str:
        """Where every session stands, as text for ``after=``; costs some 10 us a session.

        Taken after a record, it stands behind that record.
        """
        open_lanes = {stem: lane.at for stem, lane in self._lanes.items() if lane.at.offset}
        if self._resumed is not None and not self._begun:
            open_lanes.update(self._resumed.open)
        return DirectoryPosition(open_lanes, self._ended).encode()

    @property
    def session_ids(self) -> list[UUID]:
        """Ids of the sessions that are followed now."""
        return [found for lane in self._lanes.values() if (found := lane.session_id)]

    @property
    def open_files(self) -> int:
        """Descriptors held for session files."""
        return len(self._open)

    async def skip(self) -> None:
        """Take records that come next and drop them; return after a batch, or for ``news``."""
        lane = await self._pull()
        if lane is not None:
            lane.take_rest()
        self._current = None

    async def aclose(self) -> None:
        """Release everything; iterating ends."""
        self.close()

    def close(self) -> None:
        """Release everything; iterating ends. The cursor stays."""
        self._closed = True
        self._current = None
        for lane in list(self._open.values()):
            self._park(lane)
        if self._subscription is not None:
            self._subscription.close()
            self._subscription.mark_everything()  # wakes a task that waits
        if self._watcher is not None and not isinstance(self._make_watcher, Watcher):
            self._watcher.close()

    async def _pull(self) -> Lane | None:
        if self._pulling:
            raise BusyResourceError("reading from")
        self._pulling = True
        try:
            return await self._next_lane()
        except (ClosedResourceError, PersistenceError):
            if not self._closed:
                raise
            raise StopAsyncIteration from None
        finally:
            self._pulling = False
            if self._closed:  # by another task meanwhile
                self.close()

    async def _next_lane(self) -> Lane | None:
        """Give turns until a lane has records, or None: there is news of another sort."""
        await self.begin()
        while not self.news:
            if self._closed:
                raise StopAsyncIteration
            if self._turns % _TURNS_BETWEEN_SWEEP_CHECKS == 0 and self._sweep_due_s() <= 0:
                await self._sweep()
            self._take_marks()
            line = self._next_line()
            if line is None:
                await self._wait()
                self._paused_s = time.monotonic()
                continue
            if line is self._judging:
                await self._start_round()
                continue
            self._turns += 1
            if time.monotonic() - self._paused_s >= _MAX_HOLD_S:
                await checkpoint()
                self._paused_s = time.monotonic()
                assert self._watcher is not None
                if not self._watcher.pumped:
                    self._watcher.drain()
            lane = line[0]
            if await self._turn(lane, line):
                self._current = lane
                if self._noticed_s:
                    self._stats.lag_s = time.monotonic() - self._noticed_s
                    self._noticed_s = 0.0
                return lane
        return None

    async def begin(self) -> None:
        """Watch and take stock, unless that was done: what happens from now on is told.

        Raises:
            StopAsyncIteration: this was closed.
            SessionNotFound: the directory is absent, with ``on_missing="error"``.
            PersistenceError: the directory cannot be read.
        """
        if self._closed:
            raise StopAsyncIteration
        if self._begun:
            return
        if self._watcher is None:
            made = self._make_watcher
            self._watcher = made if isinstance(made, Watcher) else made()
        if self._subscription is None:
            while self._watcher.drain():
                pass  # what came before is the scan's
            self._subscription = self._watcher.subscribe()
        self._gate("before scan")
        seen = await in_thread(look_around, self.directory)
        self._gate("after scan")
        while self._watcher.drain():
            pass  # what came meanwhile is told
        if seen is None and self._on_missing == "error":
            raise SessionNotFound("no such directory", path=self.directory)
        resumed = self._resumed
        for stem, found in (seen or {}).items():
            if resumed is not None and stem in resumed.open:
                self._add(stem, resumed.open[stem])
            elif self._ended.get(stem) == ended_key(found.size, found.mtime_ns):
                continue
            elif (
                not found.is_wal
                and resumed is None
                and not self._include_closed
                and stem not in self._subscription.marked  # closed since this began
            ):
                self._ended[stem] = ended_key(found.size, found.mtime_ns)
            else:
                lane = self._add(stem, START)
                lane.swept = (found.size, found.mtime_ns)
                if resumed is None:
                    lane.last = self._last
                    lane.closed_before = found.is_wal and not self._include_closed
        self._surveyed = {stem: hash(found) for stem, found in (seen or {}).items()}
        if resumed is not None:
            # Renamed while the directory was read, or gone: opening will tell.
            for stem in resumed.open.keys() - (seen or {}).keys():
                self._add(stem, resumed.open[stem])
        self._swept_at_s = time.monotonic()
        self._begun = True

    def _add(self, stem: str, after: Position) -> Lane:
        lane = self._lanes[stem] = Lane(stem, after)
        self._enqueue(lane)
        return lane

    def _enqueue(self, lane: Lane) -> None:
        if not lane.queued:
            lane.queued = True
            self._ready.append(lane)

    def _next_line(self) -> deque[Lane] | None:
        """Return the queue whose first lane comes next; ``_judging``: begin a round."""
        while self._rechecks and self._rechecks[0][0] <= time.monotonic():
            lane = self._lanes.get(heapq.heappop(self._rechecks)[1])
            if lane is not None:
                lane.judge = True
                self._enqueue(lane)
        # A session that always has more to read must not put off the ends of the others.
        verdicts = self._round
        if not verdicts and self._judging and self._round_due_s <= time.monotonic():
            verdicts = self._judging
        share = 2 if self._round else _TURNS_BETWEEN_ROUNDS
        if self._ready and (not verdicts or self._turns % share):
            return self._ready
        if verdicts:
            return verdicts
        if not self._judging:
            self._locks = _UNKNOWN  # thousands of locks are not kept for nothing
        return None

    def _take_marks(self) -> None:
        assert self._subscription is not None
        if not (self._subscription.marked or self._subscription.everything):
            return
        marked, everything = self._subscription.take()
        self._noticed_s = self._noticed_s or time.monotonic()
        for stem, decisive in marked.items():
            lane = self._lanes.get(stem)
            if lane is None:
                if not stem.isascii() and not is_text(stem):
                    continue
                lane = self._add(stem, START)
                lane.ending = decisive
            elif decisive:
                lane.judge = True
                if lane.follower is not None:
                    lane.follower.expect_end()
            self._enqueue(lane)
        if everything:
            # Hints were lost: look at everything at once.
            self._swept_at_s = self._sweep_took_s = self._compared_at_s = 0.0

    async def _turn(self, lane: Lane, line: deque[Lane]) -> bool:
        """Let the first in line look once; return whether it has records.

        The lane leaves the queue only when the look is done: a cancelled one is taken again.
        """
        judged = line is self._round
        try:
            if not lane.is_open and not await self._open_lane(lane):
                self._leave(lane, line)
                return False
            follower = lane.follower
            assert follower is not None
            before = follower.reader.guard
            locks = self._locks
            found = await follower.step(judge=judged, locks=(lambda: locks) if judged else None)
        except OSError as error:
            self._fail(lane, line, error)
            return False
        if lane.stem in self._failed:
            self._failed.discard(lane.stem)
            self.errors.pop(lane.stem, None)
        self._leave(lane, line)
        if isinstance(found, Batch):
            news: News | None = None
            if lane.abandoned:
                lane.abandoned, news = False, "resumed"
            elif lane.is_new and not before and found.records:
                news = "resumed" if lane.stem in self._ended else "started"
            if found.records:
                if self._is_foreign(lane, found):
                    return False
                lane.put(found, before)
                self._current = lane
            if judged and follower.is_held(locks):
                # Its writer lived when the table was read: that answers why it was asked.
                lane.judge = False
                self._plan_recheck(lane, follower)
            # More to read, or a verdict due: back to the end of the line.
            if lane.judge or not follower.reader.at_end or follower.trailer_seen:
                self._enqueue(lane)
            if news is not None:  # last: it calls the user's function
                self._tell(lane.stem, lane.session_id, news)
            return bool(lane.waiting)
        if found is not None:
            self._end(lane, found)
        elif not judged and (lane.judge or follower.trailer_seen):
            lane.queued = True
            self._judging.append(lane)
        elif judged:
            lane.judge = False
            self._plan_recheck(lane, follower)
        return False

    def _leave(self, lane: Lane, line: deque[Lane]) -> None:
        line.popleft()
        lane.queued = False
        if lane.is_open:
            self._open.move_to_end(lane.stem)

    def _is_foreign(self, lane: Lane, batch: Batch) -> bool:
        """Skip a file that has neither a header nor an id for a name: it is no session."""
        if lane.session_id is None:
            first = batch.records[0]
            assert lane.follower is not None
            if isinstance(first, Damage):
                if lane.stem not in self._ended:
                    logger.warning("skipped %s: it does not start with a header", lane.stem)
                self._note_ended(lane.stem, lane.follower.reader.file)
                self._forget(lane)
                return True
            lane._note(first)  # noqa: SLF001 - its id is needed for the first record
        return False

    def _plan_recheck(self, lane: Lane, follower: Follower) -> None:
        if follower.recheck_s is not None:
            heapq.heappush(self._rechecks, (time.monotonic() + follower.recheck_s, lane.stem))

    def _fail(self, lane: Lane, line: deque[Lane], error: OSError) -> None:
        """Put a session that cannot be read now aside; the sweep brings it back."""
        self._leave(lane, line)
        if error.errno in (errno.EMFILE, errno.ENFILE) and self._open:
            # Somebody else took the descriptors that were left: do with half of ours.
            self._max_open = max(1, len(self._open) // 2)
            self._make_room(self._max_open)
            self._enqueue(lane)
            return
        if lane.stem not in self._failed:
            path = stem_paths(lane.stem, self.directory).wal
            self.errors[lane.stem] = explain(error, path)
            logger.warning("cannot read %s, will try again: %s", lane.stem, error)
        self._failed.add(lane.stem)
        self._park(lane)

    def _end(self, lane: Lane, outcome: Outcome) -> None:
        if outcome is Outcome.ABANDONED:
            # Its writer may come back: the position stays, the descriptor goes.
            if not lane.abandoned:
                self._tell(lane.stem, lane.session_id, outcome)
            lane.abandoned, lane.judge = True, False
            renamed = lane.follower is not None and lane.follower.renamed
            if renamed and stem_paths(lane.stem, self.directory).wal.exists():
                self._finish(lane)  # nobody comes back to this one, and another is there
            else:
                self._park(lane)
            return
        if outcome is Outcome.DELETED and self._went_with_directory(lane):
            self._park(lane)
            return
        if outcome is Outcome.CLOSED:
            self._finish(lane)
        else:
            if outcome is Outcome.DELETED:
                self._ended.pop(lane.stem, None)
            self._forget(lane)
        self._tell(lane.stem, lane.session_id, outcome)
        if outcome is Outcome.REPLACED:
            self._add(lane.stem, START).is_new = False

    def _finish(self, lane: Lane) -> None:
        """Note that a file is done with; go on with the next one under its id, if there is one."""
        assert lane.follower is not None
        self._note_ended(lane.stem, lane.follower.reader.file)
        self._forget(lane)
        if stem_paths(lane.stem, self.directory).wal.exists():
            self._add(lane.stem, START)  # what was told of that is taken

    def _note_ended(self, stem: str, file: SessionFile) -> None:
        status = file.stat()
        self._ended[stem] = ended_key(status.st_size, status.st_mtime_ns)

    def _went_with_directory(self, lane: Lane) -> bool:
        """Say whether only the directory is gone, or renamed: the session may come back with it."""
        if self.directory.exists():
            return False
        if lane.is_open:
            assert lane.follower is not None
            return lane.follower.reader.file.stat().st_nlink > 0
        return True

    def _tell(self, stem: str, session_id: UUID | None, news: News) -> None:
        if self.news is not None:
            self.news.append((stem, news))
        if self._on_event is not None and session_id is not None:
            self._on_event(session_id, news)

    def _forget(self, lane: Lane) -> None:
        self._park(lane)
        self._lanes.pop(lane.stem, None)
        self._failed.discard(lane.stem)
        self.errors.pop(lane.stem, None)

    def _park(self, lane: Lane) -> None:
        """Give the descriptor back; the position stays."""
        if self._open.pop(lane.stem, None) is not None and lane.follower is not None:
            lane.follower.reader.close()
            self._stats.open_files -= 1

    def _make_room(self, limit: int) -> None:
        while len(self._open) >= max(1, limit):
            self._park(next(iter(self._open.values())))

    async def _open_lane(self, lane: Lane) -> bool:
        """Open or reopen a lane's file; return whether it is to be read."""
        if self._max_open is None:
            self._max_open = descriptor_limit()
        self._make_room(self._max_open)
        self._gate("before open")
        paths = stem_paths(lane.stem, self.directory)
        if lane.follower is None:
            return await self._open_first(lane, paths)
        file, others = await in_thread(open_generation, *paths.spelled, lane.follower.file_key)
        if file is None:
            # Gone, or exchanged for another: what was read of it was all.
            self._end(lane, Outcome.REPLACED if others else Outcome.DELETED)
            return False
        lane.follower.reader.file = file
        if others and lane.abandoned and lane.follower.renamed:
            # Renamed without a trailer, which nobody comes back to; reopened under its id.
            self._note_open(lane)
            self._finish(lane)
            return False
        try:
            changed = await lane.follower.reader.changed_in_place()
        except BaseException:
            file.close()  # not verified: to be opened again
            raise
        if changed:
            file.close()
            self._end(lane, Outcome.REPLACED)
            return False
        self._note_open(lane)
        return True

    async def _open_first(self, lane: Lane, paths: SessionPaths) -> bool:
        """Open the generation that a lane is to begin with; return whether there is one.

        Of two, the closed one comes first, unless it is done with: the other follows it.
        """
        ended = self._ended.get(lane.stem)
        files = await in_thread(open_generations, *paths.spelled, ended)
        if lane.closed_before:
            for file in files[:-1]:
                self._note_ended(lane.stem, file)
                file.close()
            files = files[-1:]
        if not files:
            if ended is None or not await in_thread(paths.final.exists):
                self._end(lane, Outcome.DELETED)
            else:
                self._forget(lane)
            return False
        position = lane.after
        reader = FileReader(files[0], max_line_bytes=self._max_line_bytes, stats=self._stats)
        if lane.last is not None:
            # Before the end that it had when this began.
            position = await in_thread(position_before_end, files[0], lane.last, lane.swept[0])
        if position.offset:
            for file in files:
                reader.file = file
                try:
                    await reader.resume(position)
                except CursorInvalid:
                    continue
                break
            else:
                logger.warning("%s is another file than before: read anew", lane.stem)
                position, reader.file = START, files[0]
        for file in files:
            if file is not reader.file:
                file.close()
        assert self._watcher is not None
        follower = Follower(paths, reader, position, blocking=self._watcher.remote)
        follower.gate = self._gate
        if lane.ending:
            follower.expect_end()
        lane.begin(follower, position)
        self._note_open(lane)
        return True

    def _note_open(self, lane: Lane) -> None:
        self._open[lane.stem] = lane
        self._stats.open_files += 1

    async def _start_round(self) -> None:
        """Read the lock table once for all that wait for a verdict."""
        began_s = time.monotonic()
        self._locks = await in_thread(LockTable.read)
        now_s = time.monotonic()
        pause_s = (now_s - began_s) * (1 / _ROUND_SHARE - 1)
        self._round_due_s = now_s + min(pause_s, _MAX_ROUND_PAUSE_S)
        self._round.extend(self._judging)
        self._judging.clear()

    async def _wait(self) -> None:
        assert self._watcher is not None
        assert self._subscription is not None
        due_s = self._sweep_due_s()
        if due_s <= 0:
            await self._sweep()
            return
        if self._rechecks:
            due_s = min(due_s, self._rechecks[0][0] - time.monotonic())
        if self._judging:
            due_s = min(due_s, self._round_due_s - time.monotonic())
        self._gate("before waiting")
        await self._subscription.wait(max(0.0, due_s))

    def _sweep_due_s(self) -> float:
        assert self._watcher is not None
        share = _TRUSTED_SWEEP_SHARE if self._watcher.trusted else _SWEEP_SHARE
        interval_s = max(self._watcher.interval_s, self._sweep_took_s / share)
        return self._swept_at_s + interval_s - time.monotonic()

    async def _sweep(self) -> None:
        """Look at the whole directory: what no event told is found here."""
        watcher, subscription = self._watcher, self._subscription
        assert watcher is not None
        assert subscription is not None
        self._stats.sweeps += 1
        began_s = time.monotonic()
        there = watcher.check_directory()
        locks_due = began_s - self._compared_at_s >= (
            _LOCKS_INTERVAL_S if watcher.polled_because else _TRUSTED_LOCKS_INTERVAL_S
        )
        try:
            found = await in_thread(survey, self.directory, self._surveyed, locks_due)
        except PersistenceError as error:
            cause = error.__cause__
            if not isinstance(cause, OSError) or cause.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._swept_at_s = time.monotonic()  # somebody has all descriptors: the next one looks
            return
        if found is None and self._on_missing == "error":
            raise SessionNotFound("the directory is gone", path=self.directory)
        found = found or Survey({}, {}, [], None)
        untold = sum(
            self._look_into(stem, seen, subscription) for stem, seen in found.changed.items()
        )
        for stem in self._lanes.keys() - found.marks.keys():
            # Renamed while the directory was read, or gone: the open file will tell. Where the
            # whole directory is gone, there is nothing to open.
            absent = self._lanes[stem]
            if there or absent.is_open:
                absent.judge = True
                self._enqueue(absent)
        for stem in self._failed:
            if stem in self._lanes:
                self._enqueue(self._lanes[stem])
        for stem in self._ended.keys() - found.marks.keys() if there else ():
            if not os.path.exists(stem_paths(stem, self.directory).spelled[1]):  # noqa: PTH110, ASYNC240 - few
                del self._ended[stem]
                self._tell(stem, stem_uuid(stem), Outcome.DELETED)
        if found.locks is not None:
            self._locks, self._compared_at_s = found.locks, time.monotonic()
            for stem in found.unheld:
                lane = self._lanes.get(stem)
                if lane is not None and not lane.abandoned:
                    lane.judge = True
                    self._enqueue(lane)
        self._surveyed = found.marks
        self._swept_at_s = time.monotonic()
        self._sweep_took_s = self._swept_at_s - began_s
        if untold and there:
            await watcher.was_missed(subscription)

    def _look_into(self, stem: str, seen: Seen, subscription: Subscription) -> bool:
        """Enqueue what has changed since the last sweep; return whether no event told."""
        lane, watcher = self._lanes.get(stem), self._watcher
        assert watcher is not None
        if lane is None:
            if self._ended.get(stem) == ended_key(seen.size, seen.mtime_ns):
                return False
            self._add(stem, START)
            return stem not in subscription.marked
        was_queued = lane.queued
        follower = lane.follower
        (size, mtime_ns), lane.swept = lane.swept, (seen.size, seen.mtime_ns)
        if follower is None or follower.file_key != seen.key or not seen.is_wal:
            lane.judge = True
            self._enqueue(lane)
        elif seen.size > follower.reader.known_end:
            self._enqueue(lane)
            told = was_queued or stem in subscription.marked or stem in self._failed
            return not told
        elif seen.size < follower.reader.known_end:
            if not lane.is_open or follower.cut():  # else read on since the sweep looked
                self._enqueue(lane)
        elif seen.mtime_ns != mtime_ns:
            if seen.size == size:
                lane.judge = True  # as long as before: perhaps rewritten in place
                self._enqueue(lane)
            elif not watcher.trusted:
                self._enqueue(lane)
        return False

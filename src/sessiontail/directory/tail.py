"""directory of growing files -> one stream of (session id, record).

Every session has a lane: its follower, and what of it was handed over. Lanes that may have news
stand in a queue and take turns of at most one batch, so that a busy session does not starve a
quiet one. Only one batch is held at a time: backpressure is not pulling. A look that would have to
wait goes on in a thread beside the queue, and its lane comes back with the result: a slow, cold or
huge file delays itself alone.

Verdicts are formed in rounds: one look at the lock table serves all lanes that met their end.
That is sound because a lane's writer held its lock before the first byte that the lane has read:
a table read later that does not show it proves that all it wrote was there to be read.
"""

from __future__ import annotations

import errno
import heapq
import logging
import math
import os
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeAlias, TypeVar
from uuid import UUID

from anyio import BusyResourceError, ClosedResourceError
from anyio.lowlevel import checkpoint

from sessiontail.directory.lane import Lane, Opened, Reopened, key_of, open_lane, reopen_lane
from sessiontail.errors import PersistenceError, SessionNotFound
from sessiontail.format.batch import Batch
from sessiontail.format.cursor import START, Position
from sessiontail.format.directory_cursor import NOT_BEGUN, DirectoryPosition
from sessiontail.format.ended import EndedSessions, ended_key
from sessiontail.format.folding import Outcome
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.records import Chunk, ChunkKind, Damage, Record
from sessiontail.session.follower import Follower
from sessiontail.system.descriptors import budget
from sessiontail.system.files import explain
from sessiontail.system.locks import LockTable, locks
from sessiontail.system.stamps import id_of_name
from sessiontail.system.stats import StoreStats
from sessiontail.system.survey import Seen, is_text
from sessiontail.system.threads import NoThread
from sessiontail.system.waking import Call, Home, Signal
from sessiontail.system.watching import DirectoryWatch, Subscription

__all__ = ["DirectoryTail"]

logger = logging.getLogger("sessiontail")

# After so long the loop has its turn; a turn takes some 20 us, with READ_BYTES to decode 1 ms.
_MAX_HOLD_S = 0.002

# Turns after which one is given to a session that is not known to have news: at the start all are
# to be opened, and those that write go first.
_TURNS_BETWEEN_OLD = 4

# Verdicts that come due between two turns: each takes 0.5 us.
_MOST_DUE = 64

# A lane that had no turn for so long gives its descriptor to one that has.
_COLD_S = 2.0

# Lanes that threads work for at once: as many as a place has threads, and some to go on with.
_MOST_BESIDE = 16

# When a session that could not be read is tried again.
_RETRY_S = 1.0

# When a file that was no session is looked at again, after it was closed, exchanged or cut; twice
# as long each time that it still is none.
_FOREIGN_S = 0.1
_MOST_FOREIGN_S = 60.0

# What happens to a session: how it ended for now, or that it begins or goes on.
News: TypeAlias = Outcome | Literal["started", "resumed"]
SessionRecord: TypeAlias = tuple[UUID, Record]
_T = TypeVar("_T")


class _Stock(NamedTuple):
    """What a directory has when it is first looked at."""

    lanes: dict[str, Lane]
    #: The same, those that were written last first.
    order: list[Lane]
    ended: EndedSessions


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
        watch: Callable[[], Awaitable[DirectoryWatch]],
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
            watch: gives the watch of the directory, held.
            after: a directory cursor to go on from.
            kinds: only chunks of these kinds, and damage; by default every record.
            include_closed: also sessions that are closed before this begins.
            last: of sessions that exist already, only so many of the last records.
            on_missing: "wait" waits for a directory that is absent or goes; "error" raises.
            on_event: called with a session's id and what happened to it.
            max_line_bytes: a longer line is one ``Damage``.
            max_open: descriptors at most; by default what the process has for all of these.
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
        self._place = str(directory)
        self._kinds = None if kinds is None else frozenset(ChunkKind(kind) for kind in kinds)
        self._include_closed = include_closed
        self._last = last
        self._on_missing = on_missing
        self._on_event = on_event
        self._max_line_bytes = max_line_bytes
        self._max_open = max_open
        self._stats = stats or StoreStats()
        self._make_watch = watch
        self._watch: DirectoryWatch | None = None
        self._subscription: Subscription | None = None
        # The cursor, checked and not yet read: that takes a thread.
        self._after = None if after == NOT_BEGUN else after
        if self._after is not None:
            DirectoryPosition.check(self._after)
        # Of the begin, whose steps may be cut short: what a thread does, whether there was a
        # directory, and what lay there.
        self._call: Call[Any] | None = None
        self._was_there: bool | None = None
        self._seen: dict[str, Seen] | None = None
        self._begun = False
        self._pulling = False
        self._lanes: dict[str, Lane] = {}
        # Sessions that are done with.
        self._ended = EndedSessions()
        # Files that are no sessions: after how long they are looked at again, once something is
        # told of them; and those of which it is.
        self._foreign: dict[str, float] = {}
        self._foreign_due: set[str] = set()
        # Have news, or may have; are there since the start and were not yet opened; have come back
        # from a thread; met their end and want a lock table; have asked for one; have got it.
        self._ready: deque[Lane] = deque()
        self._old: deque[Lane] = deque()
        self._over: deque[Lane] = deque()
        # Wait for a thread; and how many have one.
        self._lent: deque[Lane] = deque()
        self._beside_now = 0
        self._home: Home | None = None
        self._judging: deque[Lane] = deque()
        self._asked: deque[Lane] = deque()
        self._round: deque[Lane] = deque()
        self._table: LockTable | None = None
        # (when, whose): verdicts that are due though nothing is told.
        self._rechecks: list[tuple[float, str]] = []
        # Those whose turn is due for that alone.
        self._due: deque[Lane] = deque()
        # Lanes with a descriptor, the longest idle first.
        self._open: OrderedDict[str, Lane] = OrderedDict()
        self._current: Lane | None = None
        self._noticed_s = 0.0
        self._turns = 0
        # When the loop last had its turn.
        self._paused_s = 0.0
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
            stream = lane.stream
            record = stream.take()
            if not stream.waiting:
                stream.drop()  # an idle lane holds no records
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
        """Where every session stands, as text for ``after=``.

        Taken after a record, it stands behind that record. It costs some 10 us a running session,
        and for each 100,000 that are done with 5 ms.
        """
        if not self._begun:
            return self._after or NOT_BEGUN
        open_lanes: dict[str, Position] = {}
        before_end: dict[str, tuple[int, int]] = {}
        for stem, lane in self._lanes.items():
            at = lane.stream.position
            if at.offset:
                open_lanes[stem] = at
            elif lane.follower is None and lane.last is not None and lane.seen is not None:
                before_end[stem] = lane.last, lane.seen.size
        return DirectoryPosition(open_lanes, self._ended, before_end).encode()

    @property
    def session_ids(self) -> list[UUID]:
        """Ids of the sessions that are followed now."""
        return [found for lane in self._lanes.values() if (found := lane.session_id)]

    @property
    def closed(self) -> bool:
        """Whether it was closed: nothing more comes."""
        return self._closed

    @property
    def open_files(self) -> int:
        """Descriptors held for session files."""
        return len(self._open)

    async def skip(self) -> None:
        """Take records that come next and drop them; return after a batch, or for ``news``."""
        lane = await self._pull()
        if lane is not None:
            lane.stream.take_rest()
            lane.stream.drop()
        self._current = None

    async def aclose(self) -> None:
        """Release everything; iterating ends."""
        self.close()

    def close(self) -> None:
        """Release everything; iterating ends. The cursor stays."""
        self._closed = True
        self._current = None
        for lane in self._lanes.values():
            if lane.call is not None:
                lane.call.leave(partial(_close_file, lane))
        for lane in list(self._open.values()):
            self._park(lane)
        if self._subscription is not None:
            self._subscription.close()
            self._subscription.signal.set()  # wakes a task that waits

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
            self._look_up()
            queue = self._next_queue()
            if queue is None:
                await self._wait()
                self._paused_s = time.monotonic()
                continue
            self._turns += 1
            if time.monotonic() - self._paused_s >= _MAX_HOLD_S:
                await checkpoint()
                self._paused_s = time.monotonic()
                self._look_up()
            if self._turn(queue[0], queue):
                lane = self._current
                if lane is None:  # closed by what was told of it
                    continue
                if self._noticed_s:
                    self._stats.lag_s = time.monotonic() - self._noticed_s
                    self._noticed_s = 0.0
                return lane
        return None

    def _look_up(self) -> None:
        """Take what others have brought: marks, errors, the end."""
        if self._closed:
            raise StopAsyncIteration
        subscription = self._subscription
        assert subscription is not None
        if subscription.error is not None:
            error, subscription.error = subscription.error, None
            raise error
        if subscription.marked or subscription.everything:
            self._take_marks(subscription)

    async def begin(self) -> None:
        """Watch and take stock, unless that was done: what happens from now on is told.

        Raises:
            StopAsyncIteration: this was closed.
            SessionNotFound: the directory is absent, with ``on_missing="error"``.
            CursorInvalid: the cursor is damaged.
            PersistenceError: the directory cannot be read.
        """
        if self._closed:
            raise StopAsyncIteration
        if not self._begun:
            await self._begin()
        if self._closed:
            raise StopAsyncIteration

    async def _begin(self) -> None:
        if self._subscription is None:
            self._home = Home()
            made = self._watch = await self._make_watch()
            if self._closed:
                made.release()
                return
            self._subscription = made.subscribe(None, self._stats)
            made.release()  # the subscription holds it
        watch, subscription = self._watch, self._subscription
        assert watch is not None
        if self._was_there is None:
            # What is closed in a directory that is made after this begins, is closed since.
            self._was_there = await self._in_thread(os.path.isdir, self.directory)
        if self._seen is None:
            self._gate("before scan")
            self._seen = await watch.take_stock(subscription)
            if self._seen is None and self._on_missing == "error":
                raise SessionNotFound("no such directory", path=self.directory)
        stock = await self._in_thread(
            _take_stock,
            self._seen or {},
            self._after,
            self._include_closed or not self._was_there,
            self._last,
        )
        self._seen = None
        self._gate("after scan")
        watch.drain()  # what came meanwhile is told
        if self._closed:
            return
        self._lanes, self._ended = stock.lanes, stock.ended
        self._old.extend(stock.order)
        if self._after is None and not self._include_closed:
            for stem in subscription.marked:  # closed since this began
                if stem in self._ended and stem not in self._lanes:
                    self._ended.discard(stem)
        self._begun = True

    async def _in_thread(self, function: Callable[..., _T], *args: Any) -> _T:
        """Call it in a thread; cut short again and again, this still comes to its end."""
        call = self._call = self._call or Call(self._place, function, *args)
        await call.settled()
        self._call = None
        found: _T = call.result()
        return found

    def _add(self, stem: str, after: Position) -> Lane:
        lane = self._lanes[stem] = Lane(stem, after)
        self._enqueue(lane)
        return lane

    def _enqueue(self, lane: Lane) -> None:
        if not lane.queued:
            lane.queued = True
            self._ready.append(lane)

    def _next_queue(self) -> deque[Lane] | None:
        """Return the queue whose first lane has its turn next; None: all have had theirs."""
        self._take_due()
        if self._judging and not self._asked:
            self._asked, self._judging = self._judging, deque()
            locks().ask(_answer(weakref.ref(self)))
        while self._old and (self._old[0].queued or self._old[0].follower is not None):
            self._old.popleft()  # it got a mark meanwhile
        while self._due and (self._due[0].queued or not self._due[0].judge):
            self._due.popleft()
        waiting = self._due or self._old
        # Half of the turns are for news: neither thousands of files that come back from threads,
        # nor thousands of ends, put them off; and a session that always has more to read does not
        # put off those.
        if self._ready and self._turns % 2:
            return self._ready
        if waiting and self._turns % _TURNS_BETWEEN_OLD == 0:
            return waiting
        return self._over or self._round or self._ready or waiting or None

    def _take_due(self) -> None:
        """Note whose verdicts are due: thousands may be at once, and none of them has news."""
        for _ in range(_MOST_DUE):
            if not self._rechecks or self._rechecks[0][0] > time.monotonic():
                return
            due_s, stem = heapq.heappop(self._rechecks)
            lane = self._lanes.get(stem)
            if lane is None:
                if stem in self._foreign_due:
                    self._add(stem, START)
            elif lane.due_s == due_s:
                lane.due_s, lane.judge = math.inf, True
                if not lane.queued:
                    self._due.append(lane)

    def _take_table(self, table: LockTable) -> None:
        """Begin a round of verdicts."""
        self._table = table
        self._round.extend(self._asked)
        self._asked = deque()
        if self._subscription is not None:
            self._subscription.signal.set()

    def _take_marks(self, subscription: Subscription) -> None:
        marked, everything = subscription.take()
        self._noticed_s = self._noticed_s or time.monotonic()
        lanes = self._lanes
        for stem, decisive in marked.items():
            lane = lanes.get(stem)
            if lane is None:
                if stem in self._foreign:
                    if decisive:
                        self._look_at_foreign(stem)
                    continue
                if not (stem.isascii() or is_text(stem)):
                    continue
                lane = self._add(stem, START)
                lane.ending = decisive
            elif decisive:
                lane.judge = True
                if lane.follower is not None:
                    lane.follower.end.expect_end()
            if not lane.queued:
                lane.queued = True
                self._ready.append(lane)
            elif lane.then is not None:
                lane.marked = True
        if everything:
            self._check_directory()

    def _check_directory(self) -> None:
        """Look at what is open where the directory is gone; the rest may come back with it."""
        assert self._watch is not None
        if self._watch.present:
            return
        if self._on_missing == "error":
            raise SessionNotFound("the directory is gone", path=self.directory)
        for lane in self._lanes.values():
            if lane.is_open:
                lane.judge = True
                self._enqueue(lane)

    def _turn(self, lane: Lane, queue: deque[Lane]) -> bool:
        """Let the first in a queue look once; return whether it has records."""
        queue.popleft()
        table = None
        if queue is self._round:
            table = self._table
            if not (self._round or self._asked):
                self._table = None  # thousands of locks are not kept for nothing
            lane.in_round = False
            if lane.queued or not lane.wants_verdict:
                return False  # it has grown since: its turn comes, and then another round
        call = None
        if queue is self._over:
            call, lane.call = lane.call, None
            self._beside_now -= 1
            self._lend()
        elif lane.then is not None:
            lane.marked = True  # a thread has it, and will tell
            return False
        if queue is not self._round:
            lane.queued = False
        if self._lanes.get(lane.stem) is not lane:
            return False
        try:
            if call is not None:
                assert lane.then is not None
                (then, args), lane.then = lane.then, None
                took = then(self, lane, call, *args)
                if lane.marked and lane.then is None:  # it may have changed behind the look
                    lane.marked = False
                    self._enqueue(lane)
                return took
            if not lane.is_open:
                return self._open_lane(lane, table)
            return self._step(lane, table)
        except OSError as error:
            self._fail(lane, error)
            return bool(lane.stream.waiting)  # what it has given before that is handed over

    def _beside(
        self, lane: Lane, function: Callable[..., Any], then: Callable[..., bool], *args: Any
    ) -> bool:
        """Let a look go on in a thread; ``then(self, lane, call, *args)`` takes the result."""
        assert self._subscription is not None
        lane.queued = True
        lane.then = then, args
        lane.function = partial(function, block=True)
        self._lent.append(lane)
        self._lend()
        return False

    def _lend(self) -> None:
        """Give threads what waits for them, a few at a time: each result may hold a file."""
        assert self._subscription is not None
        # Nothing of this holds ``self``: a stream that is dropped is gone at once.
        over, signal, home = self._over, self._subscription.signal, self._home
        while self._lent and self._beside_now < _MOST_BESIDE:
            # Each may open both names and one of them again.
            if self._beside_now and budget.spare < 3 * (self._beside_now + 1):
                break
            lane = self._lent.popleft()
            function, lane.function = lane.function, None
            assert function is not None
            back = partial(_come_back, lane, over, signal)
            try:
                lane.call = Call(self._place, function, done=back, home=home)
            except NoThread as error:
                lane.queued, lane.then = False, None
                self._fail(lane, error)
            else:
                self._beside_now += 1

    def _step(self, lane: Lane, table: LockTable | None) -> bool:
        follower = lane.follower
        assert follower is not None
        try:
            found = follower.step(judge=lane.judge, table=table, block=False)
        except BlockingIOError:
            step = partial(follower.step, judge=lane.judge, table=table)
            return self._beside(lane, step, DirectoryTail._step_over, step, table)
        return self._take_found(lane, follower, found, table)

    def _step_over(
        self,
        lane: Lane,
        call: Call[Batch | Outcome | None],
        step: Callable[..., Batch | Outcome | None],
        table: LockTable | None,
    ) -> bool:
        assert lane.follower is not None
        try:
            found = call.result()
        except BlockingIOError:  # it has more to do than a thread does in one go
            return self._beside(lane, step, DirectoryTail._step_over, step, table)
        return self._take_found(lane, lane.follower, found, table)

    def _take_found(
        self,
        lane: Lane,
        follower: Follower,
        found: Batch | Outcome | None,
        table: LockTable | None,
    ) -> bool:
        """Take what a look has found; return whether there are records to hand over."""
        if lane.stem in self.errors:
            del self.errors[lane.stem]
        lane.active_s = self._paused_s
        if isinstance(found, Batch):
            return self._take_batch(lane, follower, found, table)
        if found is not None:
            self._end(lane, found)
        elif follower.wants_locks:
            if not lane.in_round:
                lane.in_round = True
                self._judging.append(lane)
        elif lane.judge:
            lane.judge = False
            self._plan_recheck(lane, follower)
        self._settle(lane)
        return False

    def _take_batch(
        self, lane: Lane, follower: Follower, batch: Batch, table: LockTable | None
    ) -> bool:
        news: News | None = None
        self._plan_recheck(lane, follower)
        if lane.abandoned:
            lane.abandoned, news = False, "resumed"
        elif lane.is_new and not batch.start.offset and batch.records:
            news = "resumed" if lane.stem in self._ended else "started"
        if batch.records and self._is_foreign(lane, batch):
            return False
        lane.stream.put(batch)
        if batch.records:
            self._current = lane
        if table is not None and follower.is_held(table):
            # Its writer lived when the table was read: that answers why it was asked.
            lane.judge = False
            self._plan_recheck(lane, follower)
        if not follower.reader.at_end:
            # It will be back at once: who was told of meanwhile comes before it.
            assert self._watch is not None
            self._watch.drain()
            self._look_up()
        # More to read, or a verdict due: back to the end of the queue.
        if lane.judge or not follower.reader.at_end or follower.trailer_seen:
            self._enqueue(lane)
        self._settle(lane)
        if news is not None:  # last: it calls the user's function
            self._tell(lane.stem, lane.session_id, news)
        return bool(lane.stream.waiting)

    def _settle(self, lane: Lane) -> None:
        """Keep the descriptor of a lane that had its turn, if there is one for it."""
        if lane.stem in self._open:
            if lane.brief or lane.abandoned:
                self._park(lane)
            else:
                self._open.move_to_end(lane.stem)

    def _is_foreign(self, lane: Lane, batch: Batch) -> bool:
        """Skip a file that has neither a header nor an id for a name: it is no session."""
        if lane.session_id is None:
            first = batch.records[0]
            if isinstance(first, Damage):
                before_s = self._foreign.get(lane.stem)
                if before_s is None:
                    logger.warning("skipped %s: it does not start with a header", lane.stem)
                self._foreign[lane.stem] = (
                    _FOREIGN_S if before_s is None else min(2 * before_s, _MOST_FOREIGN_S)
                )
                self._foreign_due.discard(lane.stem)
                self._forget(lane)
                return True
            self._no_longer_foreign(lane.stem)
            lane.stream.note(first)  # its id is needed for the first record
        return False

    def _no_longer_foreign(self, stem: str) -> None:
        self._foreign.pop(stem, None)
        self._foreign_due.discard(stem)

    def _look_at_foreign(self, stem: str) -> None:
        """Look again at a file that was no session: not at each event, and less and less often."""
        if stem not in self._foreign_due:
            self._foreign_due.add(stem)
            heapq.heappush(self._rechecks, (time.monotonic() + self._foreign[stem], stem))

    def _plan_recheck(self, lane: Lane, follower: Follower) -> None:
        if follower.look_at_s is not None:
            self._recheck_at(lane, follower.look_at_s)

    def _recheck_at(self, lane: Lane, due_s: float) -> None:
        if due_s < lane.due_s:  # else it is judged before that, and asks again
            lane.due_s = due_s
            heapq.heappush(self._rechecks, (due_s, lane.stem))

    def _fail(self, lane: Lane, error: OSError) -> None:
        """Put a session that cannot be read now aside; it is tried again."""
        if error.errno in (errno.EMFILE, errno.ENFILE):
            # Somebody else took the descriptors that were left: do with half of ours, for now.
            budget.run_short()
            for other in [*self._open.values()][: -(-len(self._open) // 2)]:
                # What is held and not read to its end may have no name any more.
                if other.follower is not None and other.follower.reader.at_end:
                    self._park(other)
        if lane.stem not in self.errors:
            path = lane.paths(self.directory).wal
            self.errors[lane.stem] = explain(error, path)
            logger.warning("cannot read %s, will try again: %s", lane.stem, error)
            if lane.brief:
                self._park(lane)
        else:
            self._park(lane)  # not at once: what is held may have no name any more
        assert self._watch is not None
        self._recheck_at(lane, time.monotonic() + min(_RETRY_S, self._watch.interval_s))

    def _end(self, lane: Lane, outcome: Outcome) -> None:
        if outcome is Outcome.ABANDONED:
            # Its writer may come back: the position stays, the descriptor goes.
            if not lane.abandoned:
                self._tell(lane.stem, lane.session_id, outcome)
            lane.abandoned, lane.judge = True, False
            if lane.follower is not None and lane.follower.end.renamed and self._may_have_wal(lane):
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
                self._ended.discard(lane.stem)
            self._forget(lane)
        self._tell(lane.stem, lane.session_id, outcome)
        if outcome is Outcome.REPLACED:
            self._add(lane.stem, START).is_new = False

    def _finish(self, lane: Lane) -> None:
        """Note that a file is done with; go on with the next one under its id, if there is one."""
        assert lane.follower is not None
        reader = lane.follower.reader
        # On another machine no call is for the loop: a file of that size is done with.
        key = ended_key(reader.known_end, 0) if reader.file.remote else key_of(reader.file)
        self._ended.add(lane.stem, key)
        self._forget(lane)
        if self._may_have_wal(lane):
            self._add(lane.stem, START)  # what was told of that is taken

    def _may_have_wal(self, lane: Lane) -> bool:
        """Say whether there is another file for a lane; on another machine opening will tell."""
        assert self._watch is not None
        return self._watch.remote or id_of_name(lane.paths(self.directory).spelled[0]) is not None

    def _went_with_directory(self, lane: Lane) -> bool:
        """Say whether only the directory is gone, or renamed: the session may come back with it."""
        assert self._watch is not None
        there = self._watch.present if self._watch.remote else self.directory.exists()
        if there:
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
        if self._lanes.get(lane.stem) is lane:
            del self._lanes[lane.stem]
        self.errors.pop(lane.stem, None)

    def _park(self, lane: Lane) -> None:
        """Give the descriptor back; the position stays."""
        if self._open.pop(lane.stem, None) is not None and lane.follower is not None:
            self._stats.open_files -= 1
            if lane.call is not None:
                lane.call.leave(partial(_close_file, lane))
            else:
                lane.follower.reader.close()

    def _open_lane(self, lane: Lane, table: LockTable | None) -> bool:
        """Open or reopen a lane's file, and look."""
        self._make_room(lane)
        self._gate("before open")
        assert self._watch is not None
        remote = self._watch.remote
        if lane.follower is not None:
            reopen = partial(reopen_lane, lane.follower, remote=remote)
            try:
                found = reopen(block=False)
            except BlockingIOError:
                return self._beside(lane, reopen, DirectoryTail._reopen_over, table)
            return self._take_reopened(lane, found, table)
        open_ = partial(
            open_lane,
            lane,
            lane.paths(self.directory),
            ended=self._ended.get(lane.stem),
            max_line_bytes=self._max_line_bytes,
            stats=self._stats,
            remote=remote,
        )
        try:
            opened = open_(block=False)
        except BlockingIOError:
            return self._beside(lane, open_, DirectoryTail._open_over)
        return self._take_opened(lane, opened)

    def _open_over(self, lane: Lane, call: Call[Opened]) -> bool:
        return self._take_opened(lane, call.result())

    def _reopen_over(self, lane: Lane, call: Call[Reopened], table: LockTable | None) -> bool:
        return self._take_reopened(lane, call.result(), table)

    def _take_opened(self, lane: Lane, opened: Opened) -> bool:
        follower = opened.follower
        if follower is None:
            self._no_longer_foreign(lane.stem)
            known = lane.stem in self._ended
            if known and opened.done:
                self._forget(lane)
            elif known or lane.seen is not None or lane.after.offset or not lane.is_new:
                self._end(lane, Outcome.DELETED)
            else:
                self._forget(lane)  # nothing was told of it, so nothing is now
            return False
        follower.gate = self._gate
        if lane.ending:
            follower.end.expect_end()
        lane.begin(follower, opened.position)
        self._note_open(lane)
        return self._step(lane, None)

    def _take_reopened(self, lane: Lane, found: Reopened, table: LockTable | None) -> bool:
        follower = lane.follower
        assert follower is not None
        if found.file is None:
            # Gone, or exchanged for another: what was read of it was all.
            self._end(lane, Outcome.REPLACED if found.others else Outcome.DELETED)
            return False
        if found.others and lane.abandoned and follower.end.renamed:
            # Renamed without a trailer, which nobody comes back to; reopened under its id.
            self._note_open(lane)
            self._finish(lane)
            return False
        if found.changed:
            found.file.close()
            self._end(lane, Outcome.REPLACED)
            return False
        self._note_open(lane)
        return self._step(lane, table)

    def _make_room(self, lane: Lane) -> None:
        """Find a descriptor: what is hot keeps its own; without room a file is read and closed."""
        lane.brief = False
        if self._has_room():
            return
        if self._open:
            coldest = next(iter(self._open.values()))
            if coldest.call is None and time.monotonic() - coldest.active_s >= _COLD_S:
                self._park(coldest)
                return
        lane.brief = True

    def _has_room(self) -> bool:
        if self._max_open is not None and len(self._open) >= max(1, self._max_open):
            return False
        return budget.room

    def _note_open(self, lane: Lane) -> None:
        while self._max_open is not None and len(self._open) >= max(1, self._max_open):
            self._park(next(iter(self._open.values())))  # not one more, not even for a moment
        self._open[lane.stem] = lane
        self._stats.open_files += 1
        if budget.exceeded:
            lane.brief = True  # there was room when a thread began to open it

    async def _wait(self) -> None:
        assert self._subscription is not None
        self._gate("before waiting")
        due_s = self._rechecks[0][0] - time.monotonic() if self._rechecks else None
        await self._subscription.wait(None if due_s is None else max(0.0, due_s))


def _take_stock(
    seen: dict[str, Seen],
    after: str | None,
    include_closed: bool,  # noqa: FBT001 - passed through a thread
    last: int | None,
) -> _Stock:
    """Sort what a directory has into what is followed and what is done with, in a thread.

    Raises:
        CursorInvalid: ``after`` is damaged.
    """
    resumed = None if after is None else DirectoryPosition.decode(after)
    ended = EndedSessions() if resumed is None else resumed.ended
    lanes: dict[str, Lane] = {}
    for stem, found in seen.items():
        if resumed is not None and stem in resumed.open:
            continue
        key = ended.get(stem)
        if key is not None and EndedSessions.same_stamp(key, found.size, found.mtime_ns):
            continue
        if resumed is None and not include_closed:
            if not found.is_wal:
                ended.add(stem, ended_key(found.size, found.mtime_ns))
                continue
            if found.closed is not None:
                ended.add(stem, ended_key(*found.closed))
        lane = lanes[stem] = Lane(stem, START)
        lane.seen = found
        if resumed is None:
            lane.last = last
        elif stem in resumed.before_end:
            lane.last, size = resumed.before_end[stem]
            lane.seen = found._replace(size=size)
    order = sorted(lanes.values(), key=_written_last)
    if resumed is not None:
        # Some of them were renamed while the directory was read, or are gone: opening will tell.
        for stem, position in resumed.open.items():
            lane = lanes[stem] = Lane(stem, position)
            lane.seen = seen.get(stem)
            order.append(lane)
        order.sort(key=_written_last)
    ended.ids_as_text()
    return _Stock(lanes, order, ended)


def _come_back(lane: Lane, over: deque[Lane], signal: Signal) -> None:
    over.append(lane)
    signal.set()


def _answer(tail: weakref.ref[DirectoryTail]) -> Callable[[LockTable], None]:
    """Return what takes a lock table for a stream, unless that was dropped meanwhile."""

    def answer(table: LockTable) -> None:
        found = tail()
        if found is not None:
            found._take_table(table)  # noqa: SLF001 - a part of it

    return answer


def _written_last(lane: Lane) -> int:
    return -lane.seen.mtime_ns if lane.seen is not None else 0


def _close_file(lane: Lane) -> None:
    if lane.follower is not None:
        lane.follower.reader.close()

"""a session and a cursor -> frames, read once for all clients that stand at the same place.

A *reading* is one tail of a session, and the last frames that it gave. A cursor is the proof of a place:
the same text is the same file, head and bytes before it alike. So a client stands in a reading from the
moment that its cursor is one of the reading's places; where there is none, it gets a reading of its own,
which begins at its cursor. Readings of a session that meet become one: a client goes over to an older
one when that has its place. Who is so late that its frames are dropped begins anew at its cursor: the
file is the buffer.

There is no task that reads. Of the clients that have got everything, one pulls for all; when it is
cancelled another one does: a pull that is cancelled moves nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Self
from uuid import UUID

from anyio import CancelScope

from sessiontail.format.cursor import START
from sessiontail.service.clients import Clients, Figures
from sessiontail.service.context import Context
from sessiontail.service.frames import Frame, end_frame, frame_of
from sessiontail.session.tail import SessionTail
from sessiontail.system.signals import Signal

__all__ = ["Place", "Sharing"]

# So much is kept by all readings together, and by one at most and at least.
_ALL_BYTES = 64 * 1024 * 1024
_MOST_BYTES = 1024 * 1024
_LEAST_BYTES = 64 * 1024
# What a frame costs besides its bytes.
_FRAME_BYTES = 600
# One pull, and one send, give about so much; a pull no more records than the loop can wait for: 5 ms.
_STEP_BYTES = 64 * 1024
_STEP_RECORDS = 256
# Clients that are woken in one turn of the loop: 3 ms.
_WOKEN_AT_ONCE = 50


class _Reading:
    """One tail of a session, and its last frames.

    Args:
        tail: begins at ``cursor``.
        session_id: whose.
        cursor: where the first frame begins.
        number: of two readings, the one with the smaller one is older.
        figures: the damage that is read is counted there.
    """

    def __init__(
        self, tail: SessionTail, session_id: UUID, cursor: str, number: int, figures: Figures
    ) -> None:
        self.session_id = session_id
        self.number = number
        self._figures = figures
        #: Frames are numbered: this is the first one that is kept, and the one that comes next.
        self.first = self.last = 0
        #: Which frame follows a cursor.
        self.places = {cursor: 0}
        #: Frames may come to so much.
        self.most_bytes = _MOST_BYTES
        #: Whether the last frame says how the session ended.
        self.ended = False
        #: Whether a client pulls.
        self.pulled = False
        self.clients = 0
        # Those who wait for more, and those of them who are woken when their turn comes.
        self._waiting: dict[Signal, None] = {}
        self._called: dict[Signal, None] = {}
        self._tail = tail
        # Each with its place, and the place of the one that comes next.
        self._frames: deque[tuple[str, Frame]] = deque()
        self._end = cursor
        self._bytes = 0

    async def open(self) -> None:
        """Open the file, and take what is at hand.

        Raises:
            PersistenceError: there is no such session, the cursor does not fit, or it cannot be read.
        """
        with CancelScope() as scope:
            # Once it is open, nothing is waited for.
            self._tail.on_open = scope.cancel
            await self.pull()
        self._tail.on_open = lambda: None

    async def pull(self) -> None:
        """Wait for records and put what is at hand into frames."""
        tail = self._tail
        try:
            record = await anext(tail)
        except StopAsyncIteration:
            assert tail.outcome is not None
            self._add(end_frame(tail.outcome, tail.cursor))
            self.ended = True
            return
        # Before, not behind: what is pulled now is kept until its clients have run.
        self._trim()
        end_bytes = self._bytes + _STEP_BYTES
        for _ in range(_STEP_RECORDS):
            self._add(frame_of(record, self.session_id, tail.place[0], tail.cursor))
            if not tail.at_hand or self._bytes > end_bytes:
                break
            record = await anext(tail)  # it does not wait

    def take(self, number: int) -> list[Frame]:
        """Return frames from one on: about ``_STEP_BYTES`` of them, one at least."""
        found: list[Frame] = []
        size = 0
        for index in range(number - self.first, len(self._frames)):
            frame = self._frames[index][1]
            size += len(frame.sse)
            if found and size > _STEP_BYTES:
                break
            found.append(frame)
        return found

    async def wait(self, signal: Signal) -> None:
        """Wait for more frames, or to be the one that pulls."""
        self._waiting[signal] = None
        try:
            await signal.wait()
        finally:
            self._waiting.pop(signal, None)
            self._called.pop(signal, None)
            self._wake_next()

    def wake(self) -> None:
        """Wake all that wait, a few at once: each wakes the next one, so that the loop is not held."""
        self._called.update(self._waiting)
        self._waiting.clear()
        for _ in range(_WOKEN_AT_ONCE):
            self._wake_next()

    def wake_one(self) -> None:
        """Wake one, to pull; where nobody does, and nobody is about to come."""
        if self._waiting and not (self.pulled or self._called):
            next(iter(self._waiting)).set()

    def _wake_next(self) -> None:
        if self._called:
            signal = next(iter(self._called))
            del self._called[signal]
            signal.set()

    def close(self) -> None:
        """Release the file."""
        self._tail.close()

    def _add(self, frame: Frame) -> None:
        self._figures.damage += frame.event == "damage"
        self._frames.append((self._end, frame))
        self._end = frame.event_id
        self._bytes += len(frame.sse) + _FRAME_BYTES
        self.last += 1
        self.places[self._end] = self.last

    def _trim(self) -> None:
        while self._bytes > self.most_bytes and self._frames:
            place, frame = self._frames.popleft()
            del self.places[place]
            self._bytes -= len(frame.sse) + _FRAME_BYTES
            self.first += 1


class Sharing:
    """The readings of an application; its part, made by ``context.part(Sharing)``."""

    def __init__(self, context: Context) -> None:
        self._tail = context.store.tail
        self._figures = context.part(Clients).figures
        self._readings: dict[UUID, list[_Reading]] = {}
        self._count = self._made = 0

    def __len__(self) -> int:
        return self._count

    def find(
        self, session_id: UUID, cursor: str, *, older_than: int | None = None
    ) -> _Reading | None:
        """Return the oldest reading that has a place, if it is older than one."""
        for reading in self._readings.get(session_id, ()):
            if older_than is not None and reading.number >= older_than:
                return None
            if cursor in reading.places:
                return reading
        return None

    async def begin(self, session_id: UUID, cursor: str, wait_s: float) -> _Reading:
        """Return a new reading from a place on, open.

        Raises:
            PersistenceError: see ``_Reading.open``.
        """
        tail = self._tail(session_id, after=cursor, wait=wait_s)
        self._made += 1
        reading = _Reading(tail, session_id, cursor, self._made, self._figures)
        try:
            await reading.open()
        except BaseException:
            reading.close()
            raise
        return reading

    def add(self, reading: _Reading) -> None:
        """Let others find a reading."""
        if not reading.ended:
            among = self._readings.setdefault(reading.session_id, [])
            among.append(reading)
            among.sort(key=lambda one: one.number)
            self._count += 1
            reading.most_bytes = max(_LEAST_BYTES, min(_MOST_BYTES, _ALL_BYTES // self._count))

    def remove(self, reading: _Reading) -> None:
        """Let no others find a reading: it has ended, or has no client."""
        among = self._readings.get(reading.session_id, [])
        if reading in among:
            among.remove(reading)
            self._count -= 1
            if not among:
                del self._readings[reading.session_id]


class Place:
    """Where one client stands in a session; a context manager, which leaves it.

    Args:
        sharing: the application's.
        session_id: which session.
        cursor: the client has got what is before it; None: nothing.

    Raises:
        CursorInvalid: that is no cursor.
    """

    def __init__(self, sharing: Sharing, session_id: UUID, cursor: str | None) -> None:
        self._sharing = sharing
        self.session_id = session_id
        #: The client has got what is before it.
        self.cursor = cursor or START.encode()
        self._reading: _Reading | None = None
        self._next = 0
        self._signal = Signal()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    async def begin(self, wait_s: float = 0.0) -> None:
        """Find where the client stands.

        Args:
            wait_s: a session that is not there yet is waited for so long.

        Raises:
            SessionNotFound: there is no such session.
            CursorInvalid: the cursor does not fit it.
            PersistenceError: it cannot be read.
        """
        found = self._sharing.find(self.session_id, self.cursor)
        if found is None:
            found = await self._sharing.begin(self.session_id, self.cursor, wait_s)
            self._sharing.add(found)
        self._join(found)

    async def frames(self) -> list[Frame]:
        """Wait for what comes next; the last frame is the end's, and nothing comes behind it.

        Raises:
            PersistenceError: the file cannot be read any more.
        """
        while True:
            reading = self._reading
            assert reading is not None
            if self._next < reading.first:  # late
                self._leave()
                await self.begin()
            elif self._next < reading.last:
                found = reading.take(self._next)
                self._next += len(found)
                self.cursor = found[-1].event_id
                return found
            elif reading.ended:
                return []
            elif older := self._sharing.find(
                self.session_id, self.cursor, older_than=reading.number
            ):
                self._leave()
                self._join(older)
            elif reading.pulled:
                await reading.wait(self._signal)
            else:
                await self._pull(reading)

    def _join(self, reading: _Reading) -> None:
        reading.clients += 1
        self._reading, self._next = reading, reading.places[self.cursor]

    def _leave(self) -> None:
        reading, self._reading = self._reading, None
        if reading is None:
            return
        reading.clients -= 1
        if reading.clients:
            reading.wake_one()
        else:
            self._sharing.remove(reading)
            reading.close()

    async def _pull(self, reading: _Reading) -> None:
        """Pull for all."""
        reading.pulled = True
        before = reading.last
        try:
            await reading.pull()
        finally:
            reading.pulled = False
            if reading.ended:
                self._sharing.remove(reading)
            if reading.last > before:
                reading.wake()
            # Else it was cancelled or has failed: who leaves wakes another one.

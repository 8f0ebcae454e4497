"""a session and a cursor -> frames, read once for all clients that stand at the same place.

A *reading* is one tail of a session, and the last frames that it gave. A cursor is the proof of a place:
the same text is the same file, head and bytes before it alike. So a client stands in a reading from the
moment that its cursor is one of the reading's places; where there is none, it gets a reading of its own,
which begins at its cursor. Readings of a session that meet become one: a client goes over to an older
one when that has its place. Who is so late that its frames are dropped begins anew at its cursor: the
file is the buffer.
"""

from __future__ import annotations

from typing import Self
from uuid import UUID

import anyio

from sessiontail.format.cursor import START
from sessiontail.service.context import Context
from sessiontail.service.live.clients import Clients
from sessiontail.service.live.frames import Frame
from sessiontail.service.live.readings import Reading
from sessiontail.system.signals import Signal

__all__ = ["Place", "Sharing"]

# So much is kept by all readings together, and by one at most and at least.
_ALL_BYTES = 64 * 1024 * 1024
_MOST_BYTES = 1024 * 1024
_LEAST_BYTES = 64 * 1024


class Sharing:
    """The readings of an application; its part, made by ``context.part(Sharing)``."""

    def __init__(self, context: Context) -> None:
        self._tail = context.store.tail
        self._figures = context.part(Clients).figures
        self._readings: dict[UUID, list[Reading]] = {}
        # Set when the reading that is being opened at a place is open, or cannot be opened.
        self._opening: dict[tuple[UUID, str], anyio.Event] = {}
        self._count = self._made = 0

    def __len__(self) -> int:
        return self._count

    def find(
        self, session_id: UUID, cursor: str, *, older_than: int | None = None
    ) -> Reading | None:
        """Return the oldest reading that has a place, if it is older than one."""
        for reading in self._readings.get(session_id, ()):
            if older_than is not None and reading.number >= older_than:
                return None
            if cursor in reading.places:
                return reading
        return None

    async def begin(self, session_id: UUID, cursor: str, wait_s: float) -> Reading:
        """Return a new reading from a place on, open.

        Raises:
            PersistenceError: see ``Reading.open``.
        """
        tail = self._tail(session_id, after=cursor, wait=wait_s)
        self._made += 1
        most_bytes = max(_LEAST_BYTES, min(_MOST_BYTES, _ALL_BYTES // (self._count + 1)))
        reading = Reading(
            tail,
            session_id,
            cursor,
            number=self._made,
            most_bytes=most_bytes,
            figures=self._figures,
        )
        try:
            await reading.open()
        except BaseException:
            reading.close()
            raise
        return reading

    async def find_or_begin(self, session_id: UUID, cursor: str, wait_s: float) -> Reading:
        """Return the reading that has a place; of all who come there at once one begins it.

        Raises:
            PersistenceError: see ``begin``.
        """
        key = session_id, cursor
        if key in self._opening:
            await self._opening[key].wait()
        found = self.find(session_id, cursor)
        if found is not None:
            return found
        opening = anyio.Event()
        if not wait_s:  # who waits for a session is not waited for
            self._opening[key] = opening
        try:
            begun = await self.begin(session_id, cursor, wait_s)
            self.add(begun)
        finally:
            opening.set()
            if self._opening.get(key) is opening:
                del self._opening[key]
        return begun

    def add(self, reading: Reading) -> None:
        """Let others find a reading."""
        if not reading.ended:
            among = self._readings.setdefault(reading.session_id, [])
            among.append(reading)
            among.sort(key=lambda one: one.number)
            self._count += 1

    def remove(self, reading: Reading) -> None:
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
        self._reading: Reading | None = None
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
        self._join(await self._sharing.find_or_begin(self.session_id, self.cursor, wait_s))

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

    def _join(self, reading: Reading) -> None:
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

    async def _pull(self, reading: Reading) -> None:
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

"""one tail of a session -> its last frames, kept for all clients that stand in them.

There is no task that reads. Of the clients that have got everything, one pulls for all; when it is
cancelled another one does: a pull that is cancelled moves nothing.
"""

from __future__ import annotations

from collections import deque
from uuid import UUID

from anyio import CancelScope

from sessiontail.service.live.clients import Figures
from sessiontail.service.live.frames import Frame, end_frame, frame_of
from sessiontail.session.tail import SessionTail
from sessiontail.system.signals import Signal

__all__ = ["Reading"]

# What a frame costs besides its bytes.
_FRAME_BYTES = 600
# One pull, and one send, give about so much; a pull no more records than the loop can wait for: 5 ms.
_STEP_BYTES = 64 * 1024
_STEP_RECORDS = 256
# Clients that are woken in one turn of the loop: 3 ms.
_WOKEN_AT_ONCE = 50


class Reading:
    """One tail of a session, and its last frames.

    Args:
        tail: begins at ``cursor``.
        session_id: whose.
        cursor: where the first frame begins.
        number: of two readings, the one with the smaller one is older.
        most_bytes: frames come to so much; what was pulled last is kept, whatever it comes to.
        figures: the damage that is read is counted there.
    """

    def __init__(
        self,
        tail: SessionTail,
        session_id: UUID,
        cursor: str,
        *,
        number: int,
        most_bytes: int,
        figures: Figures,
    ) -> None:
        self.session_id = session_id
        self.number = number
        self._figures = figures
        #: Frames are numbered: this is the first one that is kept, and the one that comes next.
        self.first = self.last = 0
        #: Which frame follows a cursor.
        self.places = {cursor: 0}
        self._most_bytes = most_bytes
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
            try:
                frame = frame_of(record, self.session_id, tail.place[0], tail.cursor)
            except BaseException:
                self._forget()
                raise
            self._add(frame)
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
        """Wake one, to pull, where nobody does; those that are called may take what there is and stay away."""
        if self._waiting and not self.pulled:
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

    def _forget(self) -> None:
        """Have all that stand here begin anew where they are: what the tail gave last is in no frame."""
        self._frames.clear()
        self.places.clear()
        self._bytes = 0
        self.last += 1
        self.first = self.last

    def _trim(self) -> None:
        while self._bytes > self._most_bytes and self._frames:
            place, frame = self._frames.popleft()
            del self.places[place]
            self._bytes -= len(frame.sse) + _FRAME_BYTES
            self.first += 1

"""batches -> records one by one, for one task that pulls: the pull side of every reader.

A position moves when a record is handed over. A step that is cancelled or fails moves nothing, so
it can be tried again; what it waits for goes on in a thread meanwhile.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

from anyio import ClosedResourceError
from anyio.abc import AsyncResource

from sessiontail.errors import PersistenceError
from sessiontail.format.brief import place, short
from sessiontail.format.cursor import START, Position
from sessiontail.format.records import Header, Record
from sessiontail.session.pulling import AsyncEntered, AsyncPulled, StreamBusy
from sessiontail.session.reader import FileReader
from sessiontail.session.sieve import Find, Inherited, Sieve
from sessiontail.session.stream import RecordStream
from sessiontail.system.calls import Call
from sessiontail.system.pace import pace
from sessiontail.system.paths import id_in_name, path_paths

__all__ = ["RecordFeed"]

_T = TypeVar("_T")


class RecordFeed(AsyncPulled, AsyncEntered, AsyncIterator[Record], AsyncResource):
    """Hands records out one by one, or by the batch: the pull side of every reader.

    An async iterator and an async context manager; leaving the context, exhausting the iterator
    or dropping the object releases everything. One task at a time may pull.
    """

    def __init__(self, after: str | None, find: Find | None = None) -> None:
        self._reader: FileReader | None = None
        self._pulling = False
        self._ended = False
        #: Called when the file is open, and nothing of it is handed over.
        self.on_open: Callable[[], object] = lambda: None
        # What goes on in a thread; and whether who waited for it was cancelled meanwhile.
        self._call: Call[Any] | None = None
        self._late = False
        # Says what is inherited, where that is left out.
        self._find = find
        self._after = START if after is None else Position.decode(after)
        self._stream = RecordStream(self._after)

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        session_id = self.session_id
        name = place(self.path) if session_id is None else short(session_id)
        where = f"byte {self.offset}" if self.line is None else f"line {self.line}"
        return f"<{type(self).__name__} {name} {where}, {self._state}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Record:
        """Return the next record.

        Raises:
            StopAsyncIteration: there is none, and there will be none.
            PersistenceError: the file is not there or cannot be read; trying again is allowed.
            StreamBusy: another task waits for the next one.
        """
        if self._ended or not self._stream.waiting:
            await self._pull()
        return self._stream.take()

    @property
    @abstractmethod
    def path(self) -> Path:
        """The file that is read, or would be."""

    @property
    def session_id(self) -> UUID | None:
        """The header's id, once that was read; before, the cursor's, or the one in the file's name.

        None where there is no such id.
        """
        return self._stream.session_id or id_in_name(self.path.name)

    @property
    def _state(self) -> str:
        return "ended" if self._ended else "reading" if self._reader else "not begun"

    @property
    def header(self) -> Header | None:
        """The session's header, once it was handed over."""
        return self._stream.header

    @property
    def cursor(self) -> str:
        """Where the next record begins, as text for ``after=``.

        Taken after a record, it stands behind that record: store it when the record is dealt
        with, and a reader that resumes gets the one after it.
        """
        return self._stream.position.encode()

    @property
    def offset(self) -> int:
        """Bytes of the file before the next record."""
        return self._stream.position.offset

    @property
    def line(self) -> int | None:
        """Lines of the file before the next record: the number of the last one handed over.

        None where reading began so far from the start that they were not counted.
        """
        return self._stream.position.lines

    @property
    def place(self) -> tuple[int | None, int | None]:
        """The line of the record that was handed over last, and where it begins in the file.

        The line is None where reading began too far from the file's start; both are before the
        first record.
        """
        return self._stream.place

    @property
    def at_hand(self) -> int:
        """How many records are read already: so many come without waiting."""
        return 0 if self._ended else self._stream.waiting

    @property
    def torn_bytes(self) -> int:
        """Bytes after the last newline, when the end of the file was last met."""
        return self._reader.torn_bytes if self._reader else 0

    @property
    def inherited(self) -> Inherited | None:
        """What is left out as inherited, as far as that is known; None where nothing is left out."""
        sieve = self._reader.sieve if self._reader else None
        return None if sieve is None else sieve.inherited

    @property
    def left_out(self) -> int:
        """How many inherited rows were left out so far."""
        sieve = self._reader.sieve if self._reader else None
        return 0 if sieve is None else sieve.left_out

    @property
    def fd(self) -> int | None:
        """The open file's descriptor, for its bytes; None while there is none open.

        It is closed at the end: who wants it for longer duplicates it.
        """
        return self._reader.file.fd if self._reader and self._reader.file.fd >= 0 else None

    def batches(self) -> AsyncIterator[list[Record]]:
        """Return an iterator over lists of records, each from at most 256 KiB of file.

        It pulls from the same position as the object itself.
        """
        return _Batches(self)

    async def aclose(self) -> None:
        """Release everything; iterating ends."""
        self.close()

    def close(self) -> None:
        """Release everything; iterating ends. The cursor stays."""
        self._ended = True
        self._release()

    @abstractmethod
    async def _fill(self) -> None:
        """Put the next batch into the stream, or raise StopAsyncIteration."""

    def _begin(self, reader: FileReader, position: Position) -> None:
        """Hand out the records of an open file, from a position."""
        self._reader = reader
        self._stream = RecordStream(position)
        self.on_open()

    def _sift(self, reader: FileReader, *, finite: bool) -> None:
        """Leave the inherited rows of an open file out, where that is asked for."""
        if self._find is not None:
            # Under either name: it may be closed just now.
            names = path_paths(reader.file.path).oldest_first
            reader.sieve = Sieve(self._find, names, reader.file.id, finite=finite)

    def _release(self) -> None:
        call, self._call = self._call, None
        if call is not None:  # a thread has the file
            call.leave(self._close_file)
        else:
            self._close_file()

    def _close_file(self) -> None:
        if self._reader is not None:
            self._reader.close()

    async def _look(self, place: str, function: Callable[..., _T]) -> _T:
        """Return ``function(block=False)``; where that would block, what it gives in a thread.

        What goes on in a thread goes on when this is cancelled: the next look takes its result.
        """
        while True:
            self._refuse_closed()
            if self._call is None:
                self._late = False
                try:
                    return function(block=False)
                except BlockingIOError:
                    self._call = Call(place, partial(function, block=True))
            call = self._call
            try:
                await call.settled()
            except BaseException:
                self._late = True
                raise
            if self._call is not call:  # closed by another task meanwhile
                raise ClosedResourceError
            self._call = None
            try:
                found: _T = call.result()
            except BlockingIOError:
                continue  # it has more to do than a thread does in one go
            return found

    def _refuse_closed(self) -> None:
        """Open and wait for nothing more where another task has closed this meanwhile."""
        if self._ended:
            raise ClosedResourceError

    async def _pull(self) -> None:
        if self._pulling:
            raise StreamBusy(type(self).__name__)
        if self._ended:
            raise StopAsyncIteration
        self._pulling = True
        try:
            await pace().turn()
            self._refuse_closed()
            await self._fill()
        except StopAsyncIteration:
            self.close()
            raise
        except (ClosedResourceError, PersistenceError):
            if not self._ended:
                raise
        finally:
            self._pulling = False
        if self._ended:  # closed by another task meanwhile
            raise StopAsyncIteration


class _Batches(AsyncPulled, AsyncIterator[list[Record]]):
    def __init__(self, feed: RecordFeed) -> None:
        self._feed = feed

    async def __anext__(self) -> list[Record]:
        feed = self._feed
        if feed._ended or not feed._stream.waiting:  # noqa: SLF001 - the other half of one object
            await feed._pull()  # noqa: SLF001 - see above
        return feed._stream.take_rest()  # noqa: SLF001 - see above

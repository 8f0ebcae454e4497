"""batches -> records handed over, and the position behind the last of them.

What was read and what was handed over are two things: the position follows the second, so that a
consumer that stops anywhere goes on exactly there, also while a thread reads on. Nothing here
opens or waits.
"""

from __future__ import annotations

from uuid import UUID

from sessiontail.advancing import START, FileReader
from sessiontail.cursor import WINDOW_BYTES, Position, fingerprint
from sessiontail.decoding import Batch
from sessiontail.records import Chunk, Header, Record, Trailer

__all__ = ["Delivery"]


class Delivery:
    """Hands over the records of one file and knows the position behind them."""

    __slots__ = (
        "_batch",
        "_before",
        "_done",
        "_guard",
        "_header",
        "_header_version",
        "_next",
        "_reader",
        "_session_id",
        "_start",
        "_trailer_seen",
        "_waiting",
    )

    def __init__(self) -> None:
        self._batch: Batch | None = None
        # How many records of the batch wait to be handed over.
        self._waiting = 0
        self._next = 0
        self._reader: FileReader | None = None
        self._start = START
        # Offset and lines behind the batch, and the bytes before that; the bytes before the batch.
        self._done = (0, 0)
        self._guard = self._before = b""
        # Of what was handed over, not of what was read.
        self._header: Header | None = None
        self._header_version: int | None = None
        self._trailer_seen = False
        self._session_id: UUID | None = None

    @property
    def header(self) -> Header | None:
        """The session's header, once it was handed over."""
        return self._header

    @property
    def cursor(self) -> str:
        """Where the next record begins, as text for ``after=``.

        Taken after a record, it stands behind that record: store it when the record is dealt
        with, and a reader that resumes gets the one after it.
        """
        return self.position.encode()

    @property
    def offset(self) -> int:
        """Bytes of the file before the next record."""
        return self.position.offset

    @property
    def line(self) -> int | None:
        """Lines of the file before the next record: the number of the last one handed over.

        None where reading began so far from the start that they were not counted.
        """
        return self.position.lines

    @property
    def torn_bytes(self) -> int:
        """Bytes after the last newline, when the end of the file was last met."""
        return self._reader.torn_bytes if self._reader else 0

    @property
    def position(self) -> Position:
        """Where the next record begins."""
        if self._reader is None:
            return self._start
        if self._batch is None or not self._waiting:
            (offset, lines), tail = self._done, self._guard
        else:
            offset, lines = self._batch.position(self._next)
            tail = self._batch.bytes_before(offset, WINDOW_BYTES, self._before)
        return Position(
            offset,
            lines if self._reader.lines_known else None,
            self._header_version,
            self._trailer_seen,
            fingerprint(self._reader.head[:offset]),
            fingerprint(tail),
            self._session_id,
        )

    def _begin(self, reader: FileReader, start: Position) -> None:
        self._reader = reader
        self._start = start
        self._done = (start.offset, start.lines or 0)
        self._guard = reader.guard
        self._header_version = start.header_version
        self._trailer_seen = start.trailer_seen
        self._session_id = start.session_id

    def _put(self, batch: Batch) -> None:
        """Take the batch that the reader gave last."""
        reader = self._reader
        assert reader is not None
        self._batch, self._next, self._waiting = batch, 0, len(batch.records)
        self._before, self._guard = self._guard, reader.guard
        self._done = reader.done

    def _drop(self) -> None:
        """Hold no records; all of the batch must be handed over."""
        self._batch = None
        self._before = b""

    def _take_one(self) -> Record:
        """Hand one record over; one must be waiting."""
        assert self._batch is not None
        record = self._batch.records[self._next]
        self._next += 1
        self._waiting -= 1
        if type(record) is not Chunk:
            self._note(record)
        return record

    def _take_rest(self) -> list[Record]:
        """Hand over all that wait."""
        assert self._batch is not None
        records = self._batch.records[self._next :]
        self._next += len(records)
        self._waiting = 0
        for record in records:
            if type(record) is not Chunk:
                self._note(record)
        return records

    def _note(self, record: Record) -> None:
        if isinstance(record, Header):
            self._header = record
            self._session_id = record.id
            self._header_version = self._reader.header_version if self._reader else None
        elif isinstance(record, Trailer):
            self._trailer_seen = True

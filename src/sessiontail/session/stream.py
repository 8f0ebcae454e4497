"""batches -> records handed over, and the position behind the last of them.

What was read and what was handed over are two things: the position follows the second, so that a
consumer that stops anywhere goes on exactly there, also while a thread reads on. Nothing here
opens or waits.
"""

from __future__ import annotations

from sessiontail.format.batch import Batch
from sessiontail.format.cursor import Position
from sessiontail.format.marks import Mark
from sessiontail.format.records import Chunk, Header, Record, Trailer

__all__ = ["RecordStream"]


class RecordStream:
    """Hands over the records of one file and knows the position behind them.

    Args:
        after: where the file is to be read from.
    """

    __slots__ = (
        "_after",
        "_batch",
        "_mark",
        "_next",
        "_trailer_seen",
        "header",
        "session_id",
        "waiting",
    )

    def __init__(self, after: Position) -> None:
        #: The session's header, once it was handed over.
        self.header: Header | None = None
        #: The header's id, or the one of the position that reading began at.
        self.session_id = after.session_id
        #: How many records wait to be handed over.
        self.waiting = 0
        self._after = after
        # The place behind what was handed over before the batch; None: nothing was read yet.
        self._mark: Mark | None = None
        self._batch: Batch | None = None
        self._next = 0
        self._trailer_seen = after.trailer_seen

    def put(self, batch: Batch) -> None:
        """Take the batch that the reader gave last, once all of the one before is handed over."""
        self._batch, self._next, self.waiting = batch, 0, len(batch.records)
        self._mark = batch.start

    def take(self) -> Record:
        """Hand one record over; one must be waiting."""
        batch = self._batch
        assert batch is not None
        record = batch.records[self._next]
        self._next += 1
        self.waiting -= 1
        if type(record) is not Chunk:
            self.note(record)
        return record

    def last_taken(self) -> tuple[Batch, int]:
        """Return the batch of the record that was handed over last, and which of it that was."""
        assert self._batch is not None
        return self._batch, self._next - 1

    @property
    def place(self) -> tuple[int | None, int | None]:
        """The line of the record that was handed over last, and where it begins; None: of none."""
        if self._batch is None or not self._next:
            return None, None
        line, offset = self._batch.line_of(self._next - 1)
        return line if self._batch.start.lines is not None else None, offset

    def take_rest(self) -> list[Record]:
        """Hand over all that wait."""
        assert self._batch is not None
        records = self._batch.records[self._next :]
        self._next += len(records)
        self.waiting = 0
        for record in records:
            if type(record) is not Chunk:
                self.note(record)
        return records

    def take_batch(self) -> Batch:
        """Hand over all that wait, with their places; nothing else was taken of the batch."""
        assert self._batch is not None
        assert self._next == 0
        self.take_rest()
        return self._batch

    def drop(self) -> None:
        """Hold no records and no header; all must be handed over."""
        if self._batch is not None:
            self._mark, self._batch = self._batch.end, None
        self.header = None

    def note(self, record: Record) -> None:
        """Take from a header or a trailer what is to be known of the session."""
        if isinstance(record, Header):
            self.header = record
            self.session_id = record.id
        elif isinstance(record, Trailer):
            self._trailer_seen = True

    @property
    def position(self) -> Position:
        """Where the next record begins."""
        if self._mark is None:
            return self._after
        mark = self._mark
        if self._batch is not None:
            mark = self._batch.at(self._next) if self.waiting else self._batch.end
        return Position.at(mark, trailer_seen=self._trailer_seen, session_id=self.session_id)

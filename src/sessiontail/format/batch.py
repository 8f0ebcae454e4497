"""decoded lines -> records in file order, and the place behind each of them.

A batch knows where it begins and ends: who takes some of its records and stops, can go on exactly
there. Nothing here opens, waits or logs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from msgspec import Struct

from sessiontail.format.framing import Block, LongLine
from sessiontail.format.marks import WINDOW_BYTES, Mark
from sessiontail.format.records import Chunk, Header, Record

__all__ = ["Batch"]


class Batch(Struct, frozen=True, gc=False):
    """Records in file order, where they begin, and where each of them ends."""

    #: What they were decoded from.
    block: Block | LongLine
    records: list[Record]
    #: (offset, lines) after each record; None where every line is a record.
    ends: list[tuple[int, int]] | None
    #: The place before its first line, and the one behind its last.
    start: Mark
    end: Mark

    def at(self, count: int) -> Mark:
        """Return the place behind the first ``count`` records.

        Blank lines belong to the record before them only at the end of the batch.
        """
        if count == len(self.records):
            return self.end
        if count == 0:
            return self.start
        start, block = self.start, self.block
        assert isinstance(block, Block)  # a long line is one record
        if self.ends is not None:
            offset, line = self.ends[count - 1]
            length, lines = offset - block.offset, line - block.line + 1
        else:
            length, lines = block.ends[count - 1], count
        version = start.header_version
        if version is None and Header in map(type, self.records[:count]):
            version = self.end.header_version
        first = block.data[: min(WINDOW_BYTES, length)]
        last = block.data[max(0, length - WINDOW_BYTES) : length]
        return start.behind(first, last, length=length, lines=lines, header_version=version)

    def first(self, count: int) -> Batch:
        """Return the first ``count`` records as a batch that ends behind them."""
        places = self.places[:count]
        return Batch(self.block, self.records[:count], places, self.start, self.at(count))

    def parts(self, most: int) -> Iterator[Batch]:
        """Yield the same records as batches of so many at most, for who takes long over each."""
        count = len(self.records)
        if count <= most:
            yield self
            return
        places, start = self.places, self.start
        for first in range(0, count, most):
            until = min(count, first + most)
            end = self.at(until)
            records = self.records[first:until]
            yield Batch(self.block, records, places[first:until], start, end)
            start = end

    def before_chunk(self, offset: int) -> int:
        """Return how many records there are before the first chunk that ends behind a place."""
        for i, (record, (end, _)) in enumerate(zip(self.records, self.places, strict=True)):
            if end > offset and type(record) is Chunk:
                return i
        return len(self.records)

    def without_chunks(self, offset: int) -> Batch:
        """Return the same batch without the chunks that end at or before a place in the file."""
        kept = [
            (record, place)
            for record, place in zip(self.records, self.places, strict=True)
            if place[0] > offset or type(record) is not Chunk
        ]
        records = [record for record, _ in kept]
        return Batch(self.block, records, [place for _, place in kept], self.start, self.end)

    def line_of(self, index: int) -> tuple[int, int]:
        """Return the number of a record's line, and where it begins in the file."""
        block = self.block
        if not isinstance(block, Block):
            return self.places[index][1], block.offset
        if self.ends is None:
            before, number = index, block.line + index
        else:
            end, number = self.ends[index]
            before = bisect_left(block.ends, end - block.offset)
        return number, block.offset + (block.ends[before - 1] if before else 0)

    @property
    def places(self) -> list[tuple[int, int]]:
        """(offset, line) of each record's end."""
        if self.ends is not None:
            return self.ends
        block = self.block
        if not isinstance(block, Block):
            return [(self.end.offset, block.line)]
        return [(block.offset + end, block.line + i) for i, end in enumerate(block.ends)]

"""whole lines -> records.

One fast path (``usual``) decodes a whole block in C, once the block is proven to hold one object a
line; one exact path (``parsing``) decides about the odd line. Both give the same records
(``tests/test_format_decoding.py`` compares them). A line above ``BIG_LINE_BYTES`` is decoded in
steps (``bigline``), so that a thread can do it beside the event loop.
Whatever the bytes, the outcome is a record or a ``Damage``; nothing is raised.
Nothing here opens, waits or logs.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sessiontail.format.batch import Batch
from sessiontail.format.bigline import BIG_LINE_BYTES, put_back, shorten
from sessiontail.format.framing import Block, LongLine
from sessiontail.format.marks import BEGIN, WINDOW_BYTES, Mark
from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.parsing import Refused, take_record
from sessiontail.format.records import Chunk, Damage, DamageReason, Header, Record, Trailer
from sessiontail.format.usual import TRAILER_START, usual_chunk, usual_chunks, usual_header

__all__ = ["RecordDecoder"]


_OPEN, _CLOSE = b"{}"


class RecordDecoder:
    """Decodes the blocks of one file, in order; knows whether the header was seen.

    Args:
        header_version: the schema version that the header had on disk, where one was seen
            before (a reader that resumes); None at the begin of a file.
        start: the same, and all else that is known of the place where it resumes.
    """

    __slots__ = ("header_version", "mark")

    def __init__(self, *, header_version: int | None = None, start: Mark = BEGIN) -> None:
        if header_version is None:
            header_version = start.header_version
        self.header_version = header_version
        #: The place behind what was decoded.
        self.mark = start

    def decode(self, block: Block | LongLine) -> Batch:
        """Return the block's records in order, damaged lines as ``Damage``, blank ones left out."""
        start = self._start(block)
        ends = None
        if isinstance(block, LongLine):
            records: list[Record] | None = [_long_line_damage(block)]
            first, last, length, lines = block.first, block.last, block.length, 1
        else:
            records = self._decode_whole(block)
            if records is None:
                records, ends = self._decode_lines(block)
            first = last = block.data
            length, lines = len(last), block.lines
            if length > WINDOW_BYTES:
                first, last = first[:WINDOW_BYTES], last[-WINDOW_BYTES:]
        assert records is not None
        if start.lines is None:
            _forget_lines(records)
        self.mark = start.behind(
            first, last, length=length, lines=lines, header_version=self.header_version
        )
        return Batch(block, records, ends, start, self.mark)

    def pass_over(self, block: Block) -> Batch:
        """Return a batch without records: these lines are not wanted."""
        start, data = self._start(block), block.data
        self.mark = start.behind(
            data[:WINDOW_BYTES],
            data[-WINDOW_BYTES:],
            length=len(data),
            lines=block.lines,
            header_version=self.header_version,
        )
        return Batch(block, [], [], start, self.mark)

    def _start(self, block: Block | LongLine) -> Mark:
        """Return the place before a block."""
        start = self.mark
        if start.offset == block.offset and start.header_version == self.header_version:
            return start
        lines = None if start.lines is None else block.line - 1
        return Mark(block.offset, lines, self.header_version, start.head, start.before)

    def decode_usual_line(self, raw: bytes) -> Batch | None:
        """Decode the next whole line where it is a chunk of today's version; else None."""
        if self.header_version != CURRENT_SCHEMA_VERSION:
            return None
        start, chunk = self.mark, usual_chunk(raw)
        if chunk is None:
            return None
        length = len(raw)
        self.mark = start.behind(
            raw, raw, length=length, lines=1, header_version=self.header_version
        )
        block = Block(raw, start.offset, (start.lines or 0) + 1, [length])
        return Batch(block, [chunk], None, start, self.mark)

    def decode_line(self, raw: bytes, *, line: int = 1, offset: int = 0) -> Record | None:
        """Decide about one line by the exact path; None where it is blank.

        Args:
            raw: the line, with or without its newline.
            line: its number, from 1.
            offset: where it begins in the file.
        """
        if self.header_version is None:
            header = usual_header(raw)
            if header is not None:
                self.header_version = CURRENT_SCHEMA_VERSION
                return header
        try:
            record, self.header_version = take_record(raw, self.header_version)
        except Refused as refused:
            return Damage(
                line=line,
                offset=offset,
                length=len(raw),
                reason=refused.reason,
                message=refused.message,
                raw=raw.removesuffix(b"\n"),
            )
        return record

    def _decode_whole(self, block: Block) -> list[Record] | None:
        if len(block.data) > BIG_LINE_BYTES and _longest(block.ends) > BIG_LINE_BYTES:
            return None
        version = self.header_version
        records = self._decode_block(block)
        if records is None:
            self.header_version = version
        return records

    def _decode_block(self, block: Block) -> list[Record] | None:
        """Decode chunks between perhaps a header and a trailer; None where that is not proven."""
        data, start, end, lines = block.data, 0, len(block.data), len(block.ends)
        header: list[Record] = []
        trailer: list[Record] = []
        if self.header_version is None:
            start = block.ends[0]
            first = self.decode_line(data[:start], line=block.line, offset=block.offset)
            if not isinstance(first, Header):
                return None
            header.append(first)
            lines -= 1
        last = block.ends[-2] if len(block.ends) > 1 else 0
        if data.startswith(TRAILER_START, last):
            record = self.decode_line(data[last:])
            if not isinstance(record, Trailer):
                return None
            trailer.append(record)
            end, lines = last, lines - 1
        if not lines:
            return header + trailer
        if self.header_version != CURRENT_SCHEMA_VERSION or (
            lines > 1 and not _one_a_line(data, block.ends[len(header) : len(header) + lines - 1])
        ):
            return None
        records = usual_chunks(data, start, end, lines)
        if records is None:
            return None
        records[:0] = header
        records += trailer
        return records

    def _decode_lines(self, block: Block) -> tuple[list[Record], list[tuple[int, int]]]:
        records: list[Record] = []
        ends: list[tuple[int, int]] = []
        if block.data.isspace():
            return records, ends
        for number, start, raw in _lines(block):
            if raw.isspace():  # a file of nothing else is made in no time
                continue
            record: Record | None = None
            if self.header_version == CURRENT_SCHEMA_VERSION:
                big = len(raw) > BIG_LINE_BYTES
                record = (self._decode_big(raw) if big else None) or usual_chunk(raw)
            if record is None:
                record = self.decode_line(raw, line=number, offset=start)
            if record is not None:
                records.append(record)
                ends.append((start + len(raw), number))
        return records, ends

    def _decode_big(self, raw: bytes) -> Chunk | None:
        """Decode a very large chunk in small steps; None where that does not go."""
        short = shorten(raw)
        if short is None:
            return None
        rest, texts = short
        record: Record | None = usual_chunk(rest)
        if record is None:
            try:
                record, _ = take_record(rest, self.header_version)
            except Refused:
                return None
        if isinstance(record, Chunk) and put_back(record.payload, texts):
            return record
        return None


def _lines(block: Block) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, offset and bytes (newline included) of each line."""
    start = 0
    for number, end in enumerate(block.ends, block.line):
        yield number, block.offset + start, block.data[start:end]
        start = end


def _longest(ends: list[int]) -> int:
    return max(end - start for start, end in zip([0, *ends], ends, strict=False))


def _one_a_line(data: bytes, ends: list[int]) -> bool:
    """Say whether a line ends with ``}`` and the next begins with ``{`` at each of these."""
    for end in ends:  # noqa: SIM110 - all() of a generator takes twice as long
        if data[end] != _OPEN or data[end - 2] != _CLOSE:
            return False
    return True


def _forget_lines(records: list[Record]) -> None:
    """Say of no damage which line it is: they were not counted from the file's begin."""
    for i, record in enumerate(records):
        if isinstance(record, Damage):
            records[i] = msgspec.structs.replace(record, line=None)


def _long_line_damage(long: LongLine) -> Damage:
    return Damage(
        line=long.line,
        offset=long.offset,
        length=long.length,
        reason=DamageReason.LINE_TOO_LONG,
        message=f"line of {long.length} bytes, longer than max_line_bytes",
        raw=long.head,
    )

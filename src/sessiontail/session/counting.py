"""open file without a trailer -> how many chunks it has. Blocks: for threads.

A crashed session is counted once, not in every listing; of one that grew, only what was added.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.framing import MAX_LINE_BYTES, Block, LineFramer, LongLine
from sessiontail.format.marks import WINDOW_BYTES
from sessiontail.format.records import Chunk, Damage, Record, Trailer
from sessiontail.format.usual import CHUNK_START, usual_chunk
from sessiontail.session.lines import items_of, lines_back, newlines
from sessiontail.system.files import SessionFile
from sessiontail.system.kept import Kept
from sessiontail.system.stamps import OLD_NS, SETTLED_S, FileId, FileStamp

__all__ = [
    "COUNTED_BYTES",
    "Brief",
    "count",
    "counted_before",
    "decode_all",
    "last_index",
    "lines_so_far",
]


# 4 MiB: 1 ms to count the lines of. Of more they stay unknown.
COUNTED_BYTES = 4 * 1024 * 1024


# 1 MiB: of a longer line only the head is kept while lines are counted.
_LONG_BYTES = 1024 * 1024


class Brief:
    """What is gathered of a file behind its header."""

    __slots__ = ("chunks", "damaged", "since_s", "solid", "torn_bytes", "trailer")

    def __init__(self) -> None:
        self.since_s = 0.0
        self.solid = False
        self.chunks = 0
        self.damaged = 0
        self.torn_bytes = 0
        self.trailer: Trailer | None = None

    def add(self, record: Record | None) -> None:
        """Count a record."""
        if isinstance(record, Chunk):
            self.chunks += 1
        elif isinstance(record, Trailer):
            self.trailer = record
        elif isinstance(record, Damage):
            self.damaged += 1


def last_index(file: SessionFile, body: int, size: int) -> Brief | None:
    """Take the last line's word for how many chunks there are; None where lines are to count."""
    if size <= COUNTED_BYTES:
        return None
    start = max(body, lines_back(file, size, 1))
    line = file.read_now(start, min(size - start, MAX_LINE_BYTES + 1))
    end = line.find(b"\n") + 1
    chunk = usual_chunk(line[:end])
    if chunk is None or chunk.index is None or chunk.index < 0:
        return None
    brief = Brief()
    brief.chunks, brief.torn_bytes = chunk.index + 1, size - start - end
    return brief


def count(
    file: SessionFile, body: int, size: int, decoder: RecordDecoder, status: os.stat_result
) -> Brief:
    """Count chunks and find the last trailer, decoding only lines of an unusual form.

    Of a file that grew since it was last counted, only what was added.
    """
    key = _count_key(status, size)
    before = _counted.get(key)
    brief = Brief()
    so_far = lines_so_far(file, status, size)
    if so_far is not None and so_far.offset >= body:
        body, lines = so_far.offset, so_far.lines
        brief.chunks, brief.trailer = so_far.chunks, so_far.trailer
    else:
        lines = newlines(file, 0, body)
    framer = LineFramer(offset=body, line=lines + 1, max_line_bytes=_LONG_BYTES)
    for item in items_of(file, framer, size):
        if isinstance(item, LongLine):
            if item.length - 1 > MAX_LINE_BYTES:
                brief.damaged += 1
            elif item.head.startswith(CHUNK_START):
                brief.chunks += 1
            else:
                brief.add(decoder.decode_line(file.read_now(item.offset, item.length)))
            continue
        data, start = item.data, 0
        for end in item.ends:
            if data.startswith(CHUNK_START, start):
                brief.chunks += 1
            else:
                brief.add(decoder.decode_line(data[start:end]))
            start = end
    brief.torn_bytes = framer.pending
    _remember(file, status, framer.offset, framer.line - 1, brief)
    now_s = time.monotonic()
    brief.since_s = before.since_s if before else now_s
    brief.solid = (
        now_s - brief.since_s >= SETTLED_S or time.time_ns() - status.st_ctime_ns >= OLD_NS
    )
    _counted.put(key, brief)
    return brief


class SoFar(NamedTuple):
    """What was counted of a file that grows."""

    #: Just behind a newline.
    offset: int
    #: Lines before it.
    lines: int
    #: Chunks before it.
    chunks: int
    #: The last trailer before it.
    trailer: Trailer | None
    #: The file's first bytes, and those before the offset: as a cursor, whoever finds both finds
    #: the file that was counted.
    head: bytes
    tail: bytes


#: By device and inode; some 1 KB each.
_so_far: Kept[FileId, SoFar] = Kept(1_000)


def lines_so_far(file: SessionFile, status: os.stat_result, size: int) -> SoFar | None:
    """Return what was counted of a file that has grown since; None where it was not."""
    known = _so_far.get(FileId.of(status))
    if (
        known is None
        or known.offset > size
        or file.read_now(0, len(known.head)) != known.head
        or file.read_now(known.offset - len(known.tail), len(known.tail)) != known.tail
    ):
        return None
    return known


def _remember(
    file: SessionFile, status: os.stat_result, offset: int, lines: int, brief: Brief
) -> None:
    if offset < _LONG_BYTES:
        return  # a smaller file is counted in a millisecond
    head, tail = file.read_now(0, WINDOW_BYTES), file.read_now(offset - WINDOW_BYTES, WINDOW_BYTES)
    _so_far.put(
        FileId.of(status),
        SoFar(offset, lines, brief.chunks, brief.trailer, head, tail),
    )


# What was counted, by file and stamp: a crashed session is counted once, not in
# every listing, also where it is listed by other names. Some 300 bytes each.
_counted: Kept[tuple[FileId, FileStamp], Brief] = Kept(10_000)


def _count_key(status: os.stat_result, size: int) -> tuple[FileId, FileStamp]:
    return FileId.of(status), FileStamp(size, status.st_mtime_ns, status.st_ctime_ns)


def counted_before(status: os.stat_result, size: int) -> Brief | None:
    """Return what was counted of a file that has not changed since; None where it was not."""
    brief = _counted.get(_count_key(status, size))
    return brief if brief is not None and brief.solid else None


def decode_all(file: SessionFile, size: int, brief: Brief) -> None:
    """Count all records by decoding them, damage too."""
    decoder = RecordDecoder()
    framer = LineFramer(max_line_bytes=_LONG_BYTES)
    for item in items_of(file, framer, size):
        if isinstance(item, LongLine) and item.length - 1 <= MAX_LINE_BYTES:
            item = Block.cut(file.read_now(item.offset, item.length))  # noqa: PLW2901 - the same
        for record in decoder.decode(item).records:
            brief.add(record)
    brief.torn_bytes = framer.pending

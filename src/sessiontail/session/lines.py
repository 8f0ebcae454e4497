"""open file -> where its lines lie, without decoding them. Blocks: for threads."""

from __future__ import annotations

from collections.abc import Iterator

from sessiontail.format.framing import Block, LineFramer, LongLine
from sessiontail.system.files import SessionFile

__all__ = ["items_of", "lines_back", "newlines"]


# 64 KiB: small enough that the allocator keeps the buffer and does not clear a new one.
_COUNT_BYTES = 64 * 1024


_LINES_BACK_BYTES = 64 * 1024


def items_of(file: SessionFile, framer: LineFramer, size: int) -> Iterator[Block | LongLine]:
    """Yield whole lines; long ones by their heads, so that none takes memory."""
    while framer.position < size:
        data = file.read_now(framer.position, min(_COUNT_BYTES, size - framer.position))
        if not data:
            break
        yield from framer.feed(data)


def newlines(file: SessionFile, start: int, end: int) -> int:
    """Return how many lines end in a part of the file."""
    count = 0
    for at in range(start, end, _COUNT_BYTES):
        data = file.read_now(at, min(_COUNT_BYTES, end - at))
        # By memchr: bytes.count() of one letter takes three times as long.
        count += len(data) - len(data.replace(b"\n", b""))
    return count


def lines_back(file: SessionFile, size: int, last: int) -> int:
    """Return the offset ``last`` lines before the last newline, 0 if there are fewer.

    Empty lines, which are no records, do not count.
    """
    found = 0
    line_end: int | None = None
    end = size
    while end > 0:
        start = max(0, end - _LINES_BACK_BYTES)
        data = file.read_now(start, end - start)
        at = len(data)
        while (at := data.rfind(b"\n", 0, at)) >= 0:
            newline = start + at
            found += line_end is not None and line_end - newline > 1
            if found >= last and (line_end is None or line_end - newline > 1):
                return newline + 1
            line_end = newline
        end = start
    return 0

"""lines -> one number that stands for all of them, and their order; the same for a file.

A place in a file is found again by a few bytes before it, and another file may have the same ones
there. What was published or mirrored is therefore summed up, too: CRC-32, which goes on from where
it was, in whatever pieces lines come. Of a line above ``max_line_bytes`` its ends and length count.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from sessiontail.format.framing import MAX_LINE_BYTES, Block, LineFramer, LongLine
from sessiontail.format.marks import WINDOW_BYTES
from sessiontail.relay.entries import Hole

__all__ = ["sum_block", "sum_file", "sum_lines"]

_READ_BYTES = 1024 * 1024


def sum_block(block: Block | LongLine, before: int) -> int:
    """Return the sum behind what was read, from that before it; 0 at the begin of a file."""
    if isinstance(block, Block):
        return zlib.crc32(block.data, before)
    return _sum_ends(block.length, block.first, block.last, before)


def sum_lines(lines: Iterable[bytes | Hole], before: int) -> int:
    """Return the sum behind lines, with their newlines, from that before them."""
    for line in lines:
        if isinstance(line, bytes):
            before = zlib.crc32(line, before)
        else:
            before = _sum_ends(line.length, line.head, line.tail, before)
    return before


def sum_file(path: Path, size: int) -> int | None:
    """Return the sum of a file's first bytes; None: it has fewer, or no line ends there. Blocks.

    Raises:
        OSError: it cannot be read.
    """
    found = at = line = 0  # where the last line begins
    with path.open("rb") as file:
        while at < size and (data := file.read(min(size - at, _READ_BYTES))):
            end = data.find(b"\n")
            if at + (len(data) if end < 0 else end) - line > MAX_LINE_BYTES:
                return _sum_framed(file, size)
            found = zlib.crc32(data, found)
            if end >= 0:
                line = at + data.rfind(b"\n") + 1
            at += len(data)
    return found if line == size else None


def _sum_framed(file: BinaryIO, size: int) -> int | None:
    """Sum a file up that has a line which is too long, in ten times the time."""
    file.seek(0)
    framer, found, left = LineFramer(), 0, size
    while left and (data := file.read(min(left, _READ_BYTES))):
        left -= len(data)
        for block in framer.feed(data):
            found = sum_block(block, found)
    return found if framer.offset == size else None


def _sum_ends(length: int, head: bytes, tail: bytes, before: int) -> int:
    return zlib.crc32(b"%d " % length + head[:WINDOW_BYTES] + tail, before)

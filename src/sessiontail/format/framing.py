r"""bytes -> whole lines, in blocks.

A line ends at b"\n" and nowhere else: U+2028 is data. Feed any chunking, get the same lines.
Lines come out as blocks of whole lines, because decoding a block is faster than decoding lines.
What was scanned for a newline is not scanned again, so a slow drip stays linear. A line above
``max_line_bytes`` is passed over with bounded memory and reported once it ends.
Nothing here opens, waits or logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from msgspec import Struct

from sessiontail.format.marks import WINDOW_BYTES

__all__ = ["MAX_LINE_BYTES", "Block", "LineFramer", "LongLine"]

# 64 MiB: the largest tool result seen is below 20 MB; a line above this is a runaway writer.
MAX_LINE_BYTES = 64 * 1024 * 1024

# The most lines of a block: damaged ones take 20 us each to decode, and the event loop waits.
MAX_BLOCK_LINES = 512

_NEWLINE = 0x0A
# Where lines are shorter than 32 bytes, a list of them is faster than a search for each.
_SAMPLE_BYTES, _DENSE_LINES = 2048, 64

# What is kept of a line that is too long: enough to see what it was.
_LONG_LINE_HEAD_BYTES = 4096


class Block(Struct, frozen=True, gc=False):
    """One or more whole lines, as they lie in the file."""

    #: The lines, each ended by its newline.
    data: bytes
    #: Where ``data`` begins in the file, bytes from 0.
    offset: int
    #: The number of its first line, from 1.
    line: int
    #: Where in ``data`` each line ends, just behind its newline.
    ends: list[int]

    @classmethod
    def cut(cls, data: bytes, *, offset: int = 0, line: int = 1) -> Block:
        """Return whole lines as a block."""
        # Not data.count(): find() goes by memchr, twice as fast where lines are long (3.11), and
        # finds on its way what decoding and cursors ask for.
        if len(data) > _SAMPLE_BYTES and data.count(b"\n", 0, _SAMPLE_BYTES) > _DENSE_LINES:
            lengths = map(len, data.split(b"\n")[:-1])
            return cls(
                data, offset, line, [end + i for i, end in enumerate(accumulate(lengths), 1)]
            )
        ends: list[int] = []
        find = data.find
        end = find(_NEWLINE) + 1
        while end:
            ends.append(end)
            end = find(_NEWLINE, end) + 1
        return cls(data, offset, line, ends)

    @property
    def lines(self) -> int:
        """How many lines it holds."""
        return len(self.ends)

    def split(self) -> Iterator[Block]:
        """Yield the same lines in blocks of ``MAX_BLOCK_LINES`` at most."""
        for i in range(0, self.lines, MAX_BLOCK_LINES):
            start = self.ends[i - 1] if i else 0
            ends = [end - start for end in self.ends[i : i + MAX_BLOCK_LINES]]
            data = self.data[start : start + ends[-1]]
            yield Block(data, self.offset + start, self.line + i, ends)


class LongLine(NamedTuple):
    """A line that exceeded ``max_line_bytes`` and was passed over."""

    #: Its first bytes: ``max_line_bytes`` of them, 4 KiB at most.
    head: bytes
    offset: int
    line: int
    #: Bytes of the whole line, its newline included.
    length: int
    #: Its first bytes and its last, ``WINDOW_BYTES`` of each, for who reads on behind it.
    first: bytes = b""
    last: bytes = b""


class LineFramer:
    """Collects bytes into whole lines; knows where the first unfinished line begins.

    Args:
        offset: where in the file the next byte comes from; the begin of a line.
        line: the number of that line, from 1.
        max_line_bytes: the longest line that is returned, its newline not counted.
    """

    __slots__ = (
        "_first",
        "_head",
        "_last",
        "_parts",
        "line",
        "max_line_bytes",
        "offset",
        "pending",
    )

    def __init__(
        self, *, offset: int = 0, line: int = 1, max_line_bytes: int = MAX_LINE_BYTES
    ) -> None:
        if max_line_bytes < 1:
            raise ValueError(f"max_line_bytes must be at least 1, not {max_line_bytes}")
        #: Where the first line that was not returned begins.
        self.offset = offset
        #: The number of that line.
        self.line = line
        self.max_line_bytes = max_line_bytes
        #: Bytes of that line so far.
        self.pending = 0
        self._parts: list[bytes] = []
        # The first bytes of a line that is being passed over; None outside of one.
        self._head: bytes | None = None
        # The ends of that line so far.
        self._first = self._last = b""

    @property
    def position(self) -> int:
        """Where in the file the next byte to feed comes from."""
        return self.offset + self.pending

    @property
    def skipping(self) -> bool:
        """Whether the unfinished line is already too long and is being passed over."""
        return self._head is not None

    @property
    def _head_bytes(self) -> int:
        # No more than is there when a line turns out too long, so that any chunking keeps the same.
        return min(_LONG_LINE_HEAD_BYTES, self.max_line_bytes)

    def feed(self, chunk: bytes) -> list[Block | LongLine]:
        """Take the next bytes of the file and return the lines that they complete.

        Args:
            chunk: any number of bytes, cut anywhere, even inside a UTF-8 character.

        Returns:
            Whole lines in file order, usually as one block; often nothing. Many short lines come
            as several blocks.
        """
        if not self.pending and chunk.endswith(b"\n") and len(chunk) <= self.max_line_bytes:
            return self._blocks(chunk)
        found: list[Block | LongLine] = []
        if self._head is not None:
            end = chunk.find(b"\n") + 1
            if not end:
                self._pass_over(chunk)
                self.pending += len(chunk)
                return found
            self._pass_over(chunk[:end])
            found.append(self._finish_long(end))
            chunk = chunk[end:]
        end = chunk.rfind(b"\n") + 1
        if end:
            whole = chunk if end == len(chunk) else chunk[:end]
            if self._parts:
                self._parts.append(whole)
                whole = b"".join(self._parts)
                self._parts.clear()
            self.pending = 0
            found += self._cut(whole)
        if end < len(chunk):
            rest = chunk[end:] if end else chunk
            self._parts.append(rest)
            self.pending += len(rest)
            if self.pending > self.max_line_bytes:
                self._begin_long(b"".join(self._parts))
                self._parts.clear()
        return found

    def pass_over(self, length: int, lines: int) -> None:
        """Take whole lines as returned that somebody else framed; there is no unfinished line."""
        self.offset += length
        self.line += lines

    def rewind(self) -> None:
        """Forget the unfinished line: the file must be read again from ``offset``.

        An unterminated tail is no truth: a writer that resumes may cut it off.
        """
        self._parts.clear()
        self._head = None
        self._first = self._last = b""
        self.pending = 0

    def _begin_long(self, part: bytes) -> None:
        self._head = part[: self._head_bytes]
        self._first, self._last = part[:WINDOW_BYTES], part[-WINDOW_BYTES:]

    def _pass_over(self, part: bytes) -> None:
        if len(self._first) < WINDOW_BYTES:
            self._first = (self._first + part)[:WINDOW_BYTES]
        self._last = (self._last + part)[-WINDOW_BYTES:]

    def _finish_long(self, end: int) -> LongLine:
        length = self.pending + end
        long = LongLine(self._head or b"", self.offset, self.line, length, self._first, self._last)
        self.rewind()
        self.offset += length
        self.line += 1
        return long

    def _blocks(self, data: bytes) -> list[Block | LongLine]:
        block = Block.cut(data, offset=self.offset, line=self.line)
        self.offset += len(data)
        self.line += len(block.ends)
        return [block] if len(block.ends) <= MAX_BLOCK_LINES else [*block.split()]

    def _cut(self, whole: bytes) -> list[Block | LongLine]:
        # No line can be too long where all of them together are not.
        if len(whole) <= self.max_line_bytes:
            return self._blocks(whole)
        found: list[Block | LongLine] = []
        good = start = 0
        while start < len(whole):
            end = whole.find(b"\n", start) + 1
            if end - start > self.max_line_bytes + 1:
                if good < start:
                    found += self._blocks(whole[good:start])
                self._begin_long(whole[start:end])
                found.append(self._finish_long(end - start))
                good = end
            start = end
        if good < len(whole):
            found += self._blocks(whole[good:])
        return found

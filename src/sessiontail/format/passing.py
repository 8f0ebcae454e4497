"""a block, and needles -> the same lines: those that can match, and what is passed over.

What is passed over is no match, and says nothing of how the session ended: no trailer is among it. It
is not decoded, but what is known of a place behind it is the same. Only for lines behind a header of
today's version: the texts of others are made anew (``migrations``).
Nothing here opens, waits or logs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import groupby

from msgspec import Struct

from sessiontail.format.framing import Block
from sessiontail.format.needles import Needles, needles_of_literal

__all__ = ["Passed", "Passing"]

# Where so large a part of the lines can match, all are decoded in one go, which is faster.
_MANY = 0.3
# Without this no line is a trailer, however it is spelled.
_TRAILER = needles_of_literal("trailer", ignore_case=False)


class Passed(Struct, frozen=True, gc=False):
    """Lines that are passed over."""

    block: Block


class Passing:
    """Tells lines that can match from others.

    Args:
        needles: one of these is in each line that matches: in a chunk spelled in whatever way, in a
            damaged line as it stands.
    """

    __slots__ = ("_looked_for",)

    def __init__(self, needles: Needles) -> None:
        assert _TRAILER is not None
        self._looked_for = (needles, _TRAILER)

    def parts(self, block: Block) -> Iterator[Block | Passed]:
        """Yield the block's lines in order."""
        wanted = self._wanted(block)
        if len(wanted) > len(block.ends) * _MANY:
            yield block
            return
        for is_wanted, run in groupby(range(len(block.ends)), wanted.__contains__):
            lines = [*run]
            part = _cut(block, lines[0], lines[-1] + 1)
            yield part if is_wanted else Passed(part)

    def _wanted(self, block: Block) -> set[int]:
        """Return which lines can match."""
        is_ascii = block.data.isascii()
        if not is_ascii and not _is_text(block.data):
            # In the text of a damaged line, what is no UTF-8 is spelled out: that can match as well.
            return {*range(len(block.ends))}
        wanted: set[int] = set()
        escapes = {one.escape: one.escape in block.data for one in self._looked_for}
        for needles in self._looked_for:
            data = block.data.lower() if needles.fold else block.data
            for plain in needles.plain:
                # To look for what cannot be there takes as long as for the others.
                at = -1 if is_ascii and not plain.isascii() else data.find(plain)
                while at >= 0:
                    at = data.find(plain, _note(wanted, block, at))
            if escapes[needles.escape]:
                found = needles.disguise.search(block.data)
                while found is not None:
                    found = needles.disguise.search(block.data, _note(wanted, block, found.start()))
        return wanted


def _note(wanted: set[int], block: Block, at: int) -> int:
    """Note the line that has a place in it; return where the next one begins."""
    line = bisect_right(block.ends, at)
    wanted.add(line)
    return block.ends[line]


def _cut(block: Block, first: int, until: int) -> Block:
    """Return some of a block's lines."""
    start = block.ends[first - 1] if first else 0
    ends = [end - start for end in block.ends[first:until]]
    data = block.data[start : start + ends[-1]]
    return Block(data, block.offset + start, block.line + first, ends)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True

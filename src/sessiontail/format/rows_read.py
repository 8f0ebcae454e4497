"""lines of chunks -> what stands for each row of a session, for who compares it with others.

What is collected while a file is folded anyway need not be read again. Nothing here opens or waits.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import datetime

import msgspec

from sessiontail.format.inheritance import digest_of
from sessiontail.format.marks import Mark
from sessiontail.format.records import ChunkKind

__all__ = ["RowsKept", "RowsRead"]

_ANSWER = str(ChunkKind.ASSISTANT)


class RowsKept(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What was read of the rows of a file, as far as it was read."""

    id_text: str
    parent_text: str | None
    created_at: datetime
    may_inherit: bool
    finished: bool
    #: Whether the end of the file was met.
    ended: bool
    mark: Mark
    digests: bytes
    ends: list[int]
    answers: list[int]
    sums_up: bool = False


class RowsRead:
    """The rows of one file: the chunks behind its header, up to its first line that is none."""

    __slots__ = ("answers", "digests", "ends", "finished")

    def __init__(self) -> None:
        #: Sixteen bytes each.
        self.digests = bytearray()
        #: Where each ends in the file; and which of them are an assistant's, from 0.
        self.ends = array("Q")
        self.answers = array("Q")
        #: Whether there will be no more.
        self.finished = False

    def add(self, line: bytes, end: int, kind: str) -> None:
        """Take the next row.

        Args:
            line: its bytes.
            end: where in the file it ends.
            kind: who speaks.
        """
        if self.finished:
            return
        if kind == _ANSWER:
            self.answers.append(len(self.ends))
        self.digests += digest_of(line.lstrip())
        self.ends.append(end)

    def add_lines(
        self, data: bytes, offset: int, start: int, ends: Sequence[int], kinds: Sequence[str]
    ) -> None:
        """Take the next rows, one a line.

        Args:
            data: holds the lines.
            offset: where it begins in the file.
            start: where in it the first of them begins.
            ends: where in it each of them ends.
            kinds: who speaks in each.
        """
        for end, kind in zip(ends, kinds, strict=True):
            self.add(data[start:end], offset + end, kind)
            start = end

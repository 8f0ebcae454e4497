"""an open file and needles -> its lines that can match, and no others. Blocks: for threads.

The file goes through one buffer; what is no candidate is not looked at line by line.
"""

from __future__ import annotations

from collections.abc import Iterator

from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.needles import Needles
from sessiontail.format.usual import HEADER_START
from sessiontail.system.files import SessionFile
from sessiontail.system.haystack import Haystack

__all__ = ["Candidates"]

# So many escapes are looked at one by one; where there are more, a pattern is faster.
_FEW = 64
# How the real writer begins a file of today's version.
_START = HEADER_START + b', "schema_version": %d, ' % CURRENT_SCHEMA_VERSION


class Candidates:
    """The candidates of one file.

    Args:
        file: the open file.
        size: so many bytes of it.
        needles: what is in lines that can match.
        haystack: the buffer.
        max_line_bytes: a longer line is none.
    """

    def __init__(
        self,
        file: SessionFile,
        size: int,
        needles: Needles,
        haystack: Haystack,
        *,
        max_line_bytes: int,
    ) -> None:
        self._file = file
        self._size = size
        self._needles = needles
        self._haystack = haystack
        self._max_line_bytes = max_line_bytes
        #: How many lines were longer that could match otherwise.
        self.too_long = 0
        self._length = haystack.fill(file, 0, size, fold=needles.fold)
        #: The first line, if it is in the buffer.
        self.first_line = haystack.cut(0, haystack.line_end(0))

    @property
    def reliable(self) -> bool:
        """Whether the first line, if it is a header, is one of today's version.

        The texts of others go through migrations, which may put into them whatever they like.
        """
        line = self.first_line
        return (
            line.startswith(_START) and line.count(b'"schema_version"') == 1 and b"\\" not in line
        )

    def behind_the_first(self) -> Iterator[tuple[int, int, bytes] | int]:
        """Yield where each begins and ends, with its bytes; and now and then how far it is searched."""
        haystack, needles, size = self._haystack, self._needles, self._size
        length = self._length
        base, at = 0, len(self.first_line)
        while True:
            end = haystack.line_start(length)
            if end > at:
                hits = _Hits(haystack, needles, end)
                while (hit := hits.next(at)) >= 0:
                    first, at = haystack.line_start(hit), haystack.line_end(hit)
                    if at - first - 1 <= self._max_line_bytes:
                        yield base + first, base + at, haystack.cut(first, at)
                    else:
                        self.too_long += 1
                yield end
                base, at = base + end, 0
            elif base + length >= size:
                return  # the end, or a torn line
            elif at:
                base, at = base + at, 0
            else:
                # It is longer than the buffer: a candidate, whatever is in it.
                stop = self._end_of_line(base + length)
                if stop is None:
                    return
                if stop - base - 1 <= self._max_line_bytes:
                    yield base, stop, self._file.read_now(base, stop - base)
                else:
                    self.too_long += 1
                yield stop - base
                base = stop
            if base >= size:
                return
            length = haystack.fill(self._file, base, size - base, fold=needles.fold)
            if not length:
                return  # cut meanwhile

    def _end_of_line(self, at: int) -> int | None:
        """Return where a line ends that is unfinished at a place; None where it is torn."""
        while at < self._size:
            length = self._haystack.fill(self._file, at, self._size - at, fold=False)
            end = self._haystack.line_end(0)
            if end or not length:
                return at + end if end else None
            at += length
        return None


class _Hits:
    """Where in a buffer needles are, in order."""

    def __init__(self, haystack: Haystack, needles: Needles, end: int) -> None:
        self._haystack = haystack
        self._needles = needles
        self._end = end
        # Where each is next; the last one is that of disguises.
        self._next = [-1] * (len(needles.plain) + 1)

    def next(self, start: int) -> int:
        """Return the first place from ``start`` on; -1: there is none."""
        found = self._next
        for i, at in enumerate(found):
            if at < start:
                at = self._find(i, start)  # noqa: PLW2901 - the same place, up to date
                found[i] = self._end if at < 0 else at
        first = min(found)
        return first if first < self._end else -1

    def _find(self, i: int, start: int) -> int:
        needles, haystack = self._needles, self._haystack
        if i < len(needles.plain):
            return haystack.find(needles.plain[i], start, self._end)
        # The text that all begin with is found much faster, and is mostly not there.
        at = start
        for _ in range(_FEW):
            at = haystack.find(needles.escape, at, self._end)
            if at < 0 or haystack.has(needles.disguise, at):
                return at
            at += 1
        return haystack.match(needles.disguise, at, self._end)

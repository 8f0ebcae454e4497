"""open file -> blocks of whole lines, forward from an offset.

It keeps nothing of an unterminated tail: a writer that resumes may cut it off, also between two
reads of one line. A line comes from one read, whole. Every read starts with the last bytes that
were taken before and compares them, so that a file that is rewritten under the reader is noticed
and not mixed up.
"""

from __future__ import annotations

import errno

from sessiontail.format.framing import Block, LineFramer, LongLine
from sessiontail.format.marks import WINDOW_BYTES, Mark
from sessiontail.session.long_line import LongLineSearch, NoEnd
from sessiontail.system.files import SessionFile
from sessiontail.system.stamps import FileStamp
from sessiontail.system.stats import StoreStats

__all__ = ["READ_BYTES", "BlockReader", "FileReplaced"]

# 256 KiB: about 0.3 ms of decoding, so the loop never waits longer for us (bench_stall.py).
READ_BYTES = 256 * 1024

# 16 KiB: a live session's next record is about 2 KB; a buffer of READ_BYTES takes longer to
# clear than such a record to read.
_LIVE_READ_BYTES = 16 * 1024

# 4 KiB, or a multiple of it: what the page cache has, ends at a multiple of this.
_PAGE_BYTES = 4096

# A torn tail above this is not read again for every few bytes that a slow writer adds.
_BIG_TAIL_BYTES = 64 * 1024

# What a long line keeps to tell what it was.
_LONG_LINE_HEAD_BYTES = 4096


class FileReplaced(Exception):
    """The bytes before the position are no longer what was read there."""


class BlockReader:
    """Reads one open file forward. One thread at a time.

    What it is given as ``guard`` are the last bytes before what it reads, as they were taken.
    """

    __slots__ = (
        "_framer",
        "_limit",
        "_torn",
        "_want",
        "end_met",
        "file",
        "stats",
        "torn_bytes",
    )

    def __init__(
        self, file: SessionFile, *, max_line_bytes: int, limit: int | None, stats: StoreStats
    ) -> None:
        self.file = file
        self.stats = stats
        #: Bytes after the last newline, when the end was last met.
        self.torn_bytes = 0
        #: Whether the last read met the end of the file.
        self.end_met = False
        self._framer = LineFramer(max_line_bytes=max_line_bytes)
        self._limit = limit
        self._want = READ_BYTES
        # A line longer than a read that has no end yet.
        self._torn: LongLineSearch | None = None

    def go_to(self, mark: Mark) -> None:
        """Read on from a place instead."""
        self._framer = LineFramer(
            offset=mark.offset,
            line=(mark.lines or 0) + 1,
            max_line_bytes=self._framer.max_line_bytes,
        )

    def live_line(self, guard: bytes) -> bytes | None:
        """Return the usual case in a third of the time: a line that a live writer has just added.

        It counts as read when ``took`` is called. Empty: the end was met, right behind what was
        read before. None, with nothing changed, for every other case.
        """
        if self._want != _LIVE_READ_BYTES or self._torn is not None or self._limit is not None:
            return None
        framer, start = self._framer, len(guard)
        data = self.file.read_cached(framer.offset - start, start + _LIVE_READ_BYTES)
        if data is None:
            return None
        end = len(data)
        length = end - start
        if not (framer.offset + length) % _PAGE_BYTES:
            return None  # the cache's end, perhaps
        if data == guard:
            self.end_met, self.torn_bytes = True, 0
            self.stats.reads += 1
            return b""
        if (
            not 0 < length < _LIVE_READ_BYTES
            or data.find(b"\n", start) != end - 1
            or not data.startswith(guard)
            or length > framer.max_line_bytes
        ):
            return None
        return data[start:]

    def took(self, length: int) -> None:
        """Count a live line of so many bytes as read."""
        self._framer.offset += length
        self._framer.line += 1
        self.end_met, self.torn_bytes = True, 0
        self.stats.reads += 1
        self.stats.bytes += length

    def read(self, guard: bytes, *, block: bool, thorough: bool) -> list[Block | LongLine]:
        """Read until whole lines are there; none at the end of the file.

        Raises:
            BlockingIOError: as ``FileReader.next_batch``.
            FileReplaced: what was read before has changed.
            OSError: the file cannot be read.
        """
        framer = self._framer
        self.end_met = False
        if self._torn is not None:
            if not self._torn.is_stale(FileStamp.of(self.file.stat()), thorough=thorough):
                return self._read_long_line(self._torn, guard, block=block)
            self._torn = None
        while True:
            size = self._want
            if self._limit is not None:
                size = min(size, self._limit - framer.offset)
            data = self._read_on(guard, size, block=block) if size > 0 else b""
            cut = data.rfind(b"\n") + 1
            if cut:
                return self._frame(data, cut)
            end = framer.offset + len(data)
            if len(data) < size or size <= 0 or end == self._limit:
                if self._limit is not None and end < self._limit:
                    raise FileReplaced
                self._meet_end(LongLineSearch(end, data[-WINDOW_BYTES:]))
                return []
            if len(data) >= READ_BYTES:
                self._torn = LongLineSearch(end, data[-WINDOW_BYTES:])
                return self._read_long_line(self._torn, guard, block=block)
            self._want = READ_BYTES

    def _read_on(self, guard: bytes, size: int, *, block: bool) -> bytes:
        """Read behind what the framer has; compare the bytes before it."""
        file, offset = self.file, self._framer.offset
        start = offset - len(guard)
        data: bytes | None
        if block:
            data = file.read_now(start, len(guard) + size)
            # A short read is not always the end: FUSE, and what lies before a bad sector.
            while len(data) < len(guard) + size and data.find(b"\n", len(guard)) < 0:
                more = file.read_now(start + len(data), len(guard) + size - len(data))
                if not more:
                    break
                data += more
        else:
            data = file.read_cached(start, len(guard) + size)
            # A short read can be the end of the page cache only; the size tells.
            if data is None or (
                len(data) <= len(guard) and file.stat().st_size > start + len(data)
            ):
                raise BlockingIOError(errno.EAGAIN, "not in the page cache")
        if not data.startswith(guard):
            raise FileReplaced
        got = len(data) - len(guard)
        self.stats.reads += 1
        self.stats.bytes += got
        if got < size:
            # What a live writer has just added is in the page cache, which ends with a page.
            end = offset + got
            live = self._want == _LIVE_READ_BYTES and end % _PAGE_BYTES
            self.end_met = bool(live) or file.stat().st_size <= end
            if not self.end_met and b"\n" not in data[len(guard) :]:
                raise BlockingIOError(errno.EAGAIN, "the rest is not in the page cache")
        self._want = _LIVE_READ_BYTES if got < _LIVE_READ_BYTES else READ_BYTES
        return data[len(guard) :] if guard else data

    def _frame(self, data: bytes, cut: int) -> list[Block | LongLine]:
        """Return the whole lines of what was read: the first ``cut`` bytes."""
        self.torn_bytes = len(data) - cut
        return self._framer.feed(data if cut == len(data) else data[:cut])

    def _meet_end(self, torn: LongLineSearch) -> None:
        self.end_met = True
        self.torn_bytes = torn.searched - self._framer.offset
        self._torn = None
        if self.torn_bytes >= _BIG_TAIL_BYTES:
            torn.rest(self.torn_bytes, FileStamp.of(self.file.stat()))
            self._torn = torn

    def _read_long_line(
        self, torn: LongLineSearch, guard: bytes, *, block: bool
    ) -> list[Block | LongLine]:
        """Search a line that exceeds one read for its newline, then read it whole."""
        framer = self._framer
        end = torn.find_end(
            self.file,
            read_bytes=READ_BYTES,
            limit=self._limit,
            block=block,
            stats=self.stats,
        )
        if end is NoEnd.AT_END:
            self._meet_end(torn)
            return []
        if end is NoEnd.CHANGED:
            self._torn = None
            return self.read(guard, block=block, thorough=False)
        assert isinstance(end, int)
        if not block:
            raise BlockingIOError(errno.EAGAIN, "a long line")
        self._torn = None
        if end - framer.offset - 1 > framer.max_line_bytes:
            line = self._over_the_maximum(guard, end)
            return [line] if line is not None else self.read(guard, block=block, thorough=False)
        # Without the guard before it, so that 60 MB are not copied; that is compared behind it.
        data = self.file.read_now(framer.offset, end - framer.offset)
        if self.file.read_now(framer.offset - len(guard), len(guard)) != guard:
            raise FileReplaced
        # Usually the one line; what is there by now, if it was cut and begun anew meanwhile.
        cut = data.rfind(b"\n") + 1
        return self._frame(data, cut) if cut else self.read(guard, block=block, thorough=False)

    def _over_the_maximum(self, guard: bytes, end: int) -> LongLine | None:
        """Take a line of which only the ends are kept; None: by now there is another."""
        framer, start = self._framer, self._framer.offset
        size = min(_LONG_LINE_HEAD_BYTES, framer.max_line_bytes)
        head = self.file.read_now(start - len(guard), len(guard) + size)
        if not head.startswith(guard):
            raise FileReplaced
        head = head[len(guard) :]
        if b"\n" in head:
            return None
        window = min(WINDOW_BYTES, end - start)
        first = self.file.read_now(start, window)
        last = self.file.read_now(end - window, window)
        line = LongLine(head, start, framer.line, end - start, first, last)
        framer.offset, framer.line = end, framer.line + 1
        self.torn_bytes = 0
        return line

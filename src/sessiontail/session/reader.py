"""open file -> batches of records, forward from a position.

One look at a time: ``next_batch`` reads on and says None where no whole line follows. On the event
loop it takes only what the page cache has, and at most ``READ_BYTES`` at once; where that is not
enough it raises ``BlockingIOError``, and the same step goes on in a thread. A step that fails moves
nothing, so it can be tried again.

It keeps nothing of an unterminated tail: a writer that resumes may cut it off, also between two
reads of one line. A line comes from one read, whole.
"""

from __future__ import annotations

import errno

from sessiontail.format.batch import Batch
from sessiontail.format.cursor import Position
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.framing import MAX_LINE_BYTES, Block, LineFramer, LongLine
from sessiontail.format.marks import WINDOW_BYTES, Mark
from sessiontail.session.fitting import mark_at
from sessiontail.session.torn_tail import NoEnd, TornTail
from sessiontail.system.files import SessionFile
from sessiontail.system.stamps import FileStamp
from sessiontail.system.stats import StoreStats

__all__ = ["READ_BYTES", "FileReader", "FileReplaced"]

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


class FileReader:
    """Takes one open file forward, batch by batch.

    Every read starts with the last bytes that were read before and compares them, so that a file
    that is rewritten under the reader is noticed and not mixed up. One thread at a time.
    """

    __slots__ = (
        "_decoder",
        "_end_met",
        "_framer",
        "_items",
        "_limit",
        "_torn",
        "_want",
        "file",
        "stats",
        "torn_bytes",
    )

    def __init__(
        self,
        file: SessionFile,
        *,
        max_line_bytes: int = MAX_LINE_BYTES,
        limit: int | None = None,
        stats: StoreStats | None = None,
    ) -> None:
        self.file = file
        self.stats = stats or StoreStats()
        #: Bytes after the last newline, when the end was last met.
        self.torn_bytes = 0
        self._framer = LineFramer(max_line_bytes=max_line_bytes)
        self._decoder = RecordDecoder()
        # Read, not yet decoded.
        self._items: list[Block | LongLine] = []
        self._limit = limit
        self._want = READ_BYTES
        # Whether the last read met the end of the file.
        self._end_met = False
        # A line longer than a read that has no end yet.
        self._torn: TornTail | None = None

    @property
    def mark(self) -> Mark:
        """The place behind what was returned."""
        return self._decoder.mark

    @property
    def offset(self) -> int:
        """Where the first line begins that was not returned."""
        return self._decoder.mark.offset

    @property
    def at_end(self) -> bool:
        """Whether the last batch, or None, came from a read that met the end of the file.

        Not where a read gave several blocks: no event will come for those that still wait, because
        nothing is written for them; and what was written behind that read, the last of them does
        not show, though an event may have asked for the look that returned it.
        """
        return self._end_met and not self._items

    @property
    def known_end(self) -> int:
        """Up to where the file is known: the offset and the torn tail behind it."""
        return self.offset + self.torn_bytes

    def resume(self, position: Position, *, block: bool) -> None:
        """Go on from a position, after checking that it fits this file; the start needs no check.

        Raises:
            BlockingIOError: that would have to wait, and ``block`` is False.
            CursorInvalid: it does not fit.
            OSError: the file cannot be read.
        """
        if not position.offset:
            return
        mark = mark_at(self.file, position, block=block)
        self._framer = LineFramer(
            offset=mark.offset,
            line=(mark.lines or 0) + 1,
            max_line_bytes=self._framer.max_line_bytes,
        )
        self._decoder = RecordDecoder(start=mark)

    def next_batch(self, *, block: bool, thorough: bool = False) -> Batch | None:
        """Return the next records; None where no whole line follows now.

        Args:
            block: whether it may wait and take its time: in a thread.
            thorough: search a big torn tail again from its begin, even if little was added.

        Raises:
            BlockingIOError: there is more to wait for, or to do, than ``block`` allows; with
                ``block`` too, where a line is so long that the caller is to be asked again.
            FileReplaced: what was read before has changed.
            OSError: the file cannot be read.
        """
        if self._items:
            self._end_met = False  # what was written since the read is not known
        else:
            if not block:
                if self.file.remote:
                    raise BlockingIOError(errno.EAGAIN, "on another machine")
                batch = self._next_live_line()
                if batch is not None:
                    return batch
            if not self._read_lines(block=block, thorough=thorough):
                return None
        item = self._items[0]
        if isinstance(item, Block) and len(item.data) > READ_BYTES and not block:
            raise BlockingIOError(errno.EAGAIN, "a line that takes long to decode")
        batch = self._decoder.decode(item)
        del self._items[0]
        self.stats.records += len(batch.records)
        return batch

    def changed_in_place(self, *, block: bool) -> bool:
        """Say whether its ends differ from what was read: for a file that did not grow."""
        offset, _, _, head, before = self.mark
        return (
            self.file.look(0, len(head), block=block) != head
            or self.file.look(offset - len(before), len(before), block=block) != before
        )

    def close(self) -> None:
        """Close the file; the position stays."""
        self.file.close()

    def _next_live_line(self) -> Batch | None:
        """Take the usual case in a third of the time: a chunk that a live writer has just added.

        Returns None, with nothing changed, for every other case.
        """
        framer, decoder = self._framer, self._decoder
        guard = decoder.mark.before
        if self._want != _LIVE_READ_BYTES or self._torn is not None or self._limit is not None:
            return None
        start = len(guard)
        data = self.file.read_cached(framer.offset - start, start + _LIVE_READ_BYTES)
        if data is None:
            return None
        end = len(data)
        length = end - start
        if (
            not 0 < length < _LIVE_READ_BYTES
            or data.find(b"\n", start) != end - 1
            or not data.startswith(guard)
            or length > framer.max_line_bytes
            or not (framer.offset + length) % _PAGE_BYTES  # the cache's end, perhaps
        ):
            return None
        batch = decoder.decode_usual_line(data[start:])
        if batch is None:
            return None
        framer.offset += length
        framer.line += 1
        self._end_met, self.torn_bytes = True, 0
        stats = self.stats
        stats.reads += 1
        stats.bytes += length
        stats.records += 1
        return batch

    def _read_lines(self, *, block: bool, thorough: bool) -> bool:
        """Read until whole lines are there; return False at the end of the file."""
        framer = self._framer
        self._end_met = False
        if self._torn is not None:
            if not self._torn.is_stale(FileStamp.of(self.file.stat()), thorough=thorough):
                return self._read_long_line(self._torn, block=block)
            self._torn = None
        while True:
            size = self._want
            if self._limit is not None:
                size = min(size, self._limit - framer.offset)
            data = self._read_on(size, block=block) if size > 0 else b""
            cut = data.rfind(b"\n") + 1
            if cut:
                self.torn_bytes = len(data) - cut
                self._items += framer.feed(data if cut == len(data) else data[:cut])
                return True
            end = framer.offset + len(data)
            if len(data) < size or size <= 0 or end == self._limit:
                if self._limit is not None and end < self._limit:
                    raise FileReplaced
                self._meet_end(TornTail(end, data[-WINDOW_BYTES:]))
                return False
            if len(data) >= READ_BYTES:
                self._torn = TornTail(end, data[-WINDOW_BYTES:])
                return self._read_long_line(self._torn, block=block)
            self._want = READ_BYTES

    def _read_on(self, size: int, *, block: bool) -> bytes:
        """Read behind what the framer has; compare the bytes before it."""
        file, guard, offset = self.file, self.mark.before, self._framer.offset
        start = offset - len(guard)
        data: bytes | None
        if block:
            data = file.read_now(start, len(guard) + size)
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
            self._end_met = bool(live) or file.stat().st_size <= end
            if not self._end_met and b"\n" not in data[len(guard) :]:
                raise BlockingIOError(errno.EAGAIN, "the rest is not in the page cache")
        self._want = _LIVE_READ_BYTES if got < _LIVE_READ_BYTES else READ_BYTES
        return data[len(guard) :] if guard else data

    def _meet_end(self, torn: TornTail) -> None:
        self._end_met = True
        self.torn_bytes = torn.searched - self._framer.offset
        self._torn = None
        if self.torn_bytes >= _BIG_TAIL_BYTES:
            torn.rest(self.torn_bytes, FileStamp.of(self.file.stat()))
            self._torn = torn

    def _read_long_line(self, torn: TornTail, *, block: bool) -> bool:
        """Search a line that exceeds one read for its newline, then read it whole."""
        framer, guard = self._framer, self.mark.before
        end = torn.find_end(
            self.file,
            read_bytes=READ_BYTES,
            limit=self._limit,
            block=block,
            stats=self.stats,
        )
        if end is NoEnd.AT_END:
            self._meet_end(torn)
            return False
        if end is NoEnd.CHANGED:
            self._torn = None
            return self._read_lines(block=block, thorough=False)
        assert isinstance(end, int)
        if not block:
            raise BlockingIOError(errno.EAGAIN, "a long line")
        length = end - framer.offset
        self._torn = None
        if length - 1 > framer.max_line_bytes:
            size = min(_LONG_LINE_HEAD_BYTES, framer.max_line_bytes)
            head = self.file.read_now(framer.offset - len(guard), len(guard) + size)
            if not head.startswith(guard):
                raise FileReplaced
            if b"\n" in head[len(guard) :]:
                return self._read_lines(block=block, thorough=False)
            first, last = self._ends_of(framer.offset, end)
            head = head[len(guard) :]
            self._items.append(LongLine(head, framer.offset, framer.line, length, first, last))
            framer.offset, framer.line = end, framer.line + 1
            self.torn_bytes = 0
            return True
        # Without the guard before it, so that 60 MB are not copied; that is compared behind it.
        data = self.file.read_now(framer.offset, length)
        if self.file.read_now(framer.offset - len(guard), len(guard)) != guard:
            raise FileReplaced
        # Usually the one line; what is there by now, if it was cut and begun anew meanwhile.
        cut = data.rfind(b"\n") + 1
        if not cut:
            return self._read_lines(block=block, thorough=False)
        self.torn_bytes = len(data) - cut
        self._items += framer.feed(data if cut == len(data) else data[:cut])
        return True

    def _ends_of(self, start: int, end: int) -> tuple[bytes, bytes]:
        """Return the first and the last bytes of a line that is not kept."""
        window = min(WINDOW_BYTES, end - start)
        return self.file.read_now(start, window), self.file.read_now(end - window, window)

"""open file -> batches of records, forward from a position.

One look at a time: ``next_batch`` reads on, at most ``READ_BYTES`` between two checkpoints, and
says None where no whole line follows. It keeps nothing of an unterminated tail: a writer that
resumes may cut it off. A step that is cancelled or fails moves nothing, so it can be tried again.
"""

from __future__ import annotations

from collections import deque
from uuid import UUID

from anyio.lowlevel import checkpoint

from sessiontail.cursor import WINDOW_BYTES, Position, fingerprint
from sessiontail.decoding import Batch, RecordDecoder
from sessiontail.errors import CursorInvalid
from sessiontail.files import SessionFile, in_thread
from sessiontail.framing import MAX_LINE_BYTES, Block, LineFramer, LongLine
from sessiontail.stats import StoreStats

__all__ = ["READ_BYTES", "START", "FileReader", "FileReplaced"]

# 256 KiB: about 0.3 ms of decoding, so the loop never waits longer for us (bench_stall.py).
READ_BYTES = 256 * 1024

# 16 KiB: a live session's next record is about 2 KB; a buffer of READ_BYTES takes longer to
# clear than such a record to read.
_LIVE_READ_BYTES = 16 * 1024

# A torn tail above this is not read again for every few bytes that a slow writer adds.
_BIG_TAIL_BYTES = 64 * 1024

# An empty start position.
START = Position(0, 0, None, False, fingerprint(b""), fingerprint(b""))


class FileReplaced(Exception):
    """The bytes before the position are no longer what was read there."""


class FileReader:
    """Takes one open file forward, batch by batch.

    Every read starts with the last bytes that were read before and compares them, so that a file
    that is rewritten under the reader is noticed and not mixed up.
    """

    __slots__ = (
        "_decoder",
        "_done",
        "_framer",
        "_guard",
        "_items",
        "_limit",
        "_rescan_at",
        "_scanned",
        "_want",
        "at_end",
        "file",
        "head",
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
        #: Whether the last read met the end of the file.
        self.at_end = False
        #: The first bytes of the file, ``WINDOW_BYTES`` at most.
        self.head = b""
        self._framer = LineFramer(max_line_bytes=max_line_bytes)
        self._decoder = RecordDecoder()
        # Read, not yet decoded; and offset and lines behind what was decoded.
        self._items: deque[Block | LongLine] = deque()
        self._done = (0, 0)
        # The bytes before the framer's offset, WINDOW_BYTES at most.
        self._guard = b""
        self._limit = limit
        self._want = READ_BYTES
        # How far a big torn tail was searched for its newline, and when to read it all again.
        self._scanned = 0
        self._rescan_at = 0

    @property
    def offset(self) -> int:
        """Where the first line begins that was not returned."""
        return self._done[0]

    @property
    def known_end(self) -> int:
        """Up to where the file is known: the offset and the torn tail behind it."""
        return max(self._framer.offset + self.torn_bytes, self._framer.position)

    def position(self, *, trailer_seen: bool, session_id: UUID | None) -> Position:
        """Return the position behind everything that was returned."""
        return self._position(
            *self._done,
            self._guard,
            self._decoder.header_version,
            trailer_seen=trailer_seen,
            session_id=session_id,
        )

    def position_in(
        self,
        batch: Batch,
        count: int,
        before: bytes,
        header_version: int | None,
        *,
        trailer_seen: bool,
        session_id: UUID | None,
    ) -> Position:
        """Return the position after the first ``count`` records of the last batch.

        Args:
            batch: what ``next_batch`` gave last.
            count: fewer than it holds.
            before: the bytes before it (``guard``, taken before it was read).
            header_version: the version of the header among what was handed over, if any.
            trailer_seen: whether a trailer was handed over.
            session_id: the id of the header that was handed over.
        """
        offset, lines = batch.position(count)
        tail = batch.bytes_before(offset, WINDOW_BYTES, before)
        return self._position(
            offset,
            lines,
            tail,
            header_version,
            trailer_seen=trailer_seen,
            session_id=session_id,
        )

    @property
    def guard(self) -> bytes:
        """The bytes before the offset, ``WINDOW_BYTES`` at most."""
        return self._guard

    @property
    def header_version(self) -> int | None:
        """The schema version that the header had on disk; None before one was read."""
        return self._decoder.header_version

    async def resume(self, position: Position) -> None:
        """Go on from a position, after checking that it fits this file.

        Raises:
            CursorInvalid: it does not.
            OSError: the file cannot be read.
        """
        window = min(WINDOW_BYTES, position.offset)
        head = await self.file.read(0, window)
        tail = await self.file.read(position.offset - window, window)
        try:
            position.verify(head, tail)
        except CursorInvalid as error:
            raise CursorInvalid(error.message, path=self.file.path) from None
        self.head, self._guard = head, tail
        self._framer = LineFramer(
            offset=position.offset,
            line=position.lines + 1,
            max_line_bytes=self._framer.max_line_bytes,
        )
        self._decoder = RecordDecoder(header_version=position.header_version)
        self._done = (position.offset, position.lines)

    async def next_batch(self, *, thorough: bool = False) -> Batch | None:
        """Return the next records; None where no whole line follows now.

        Args:
            thorough: read a big torn tail again from its begin, even if little was added.

        Raises:
            FileReplaced: what was read before has changed.
            OSError: the file cannot be read.
        """
        if self._items:
            return await self._decode_next()
        framer = self._framer
        if not framer.skipping:
            framer.rewind()  # of a step that was cancelled
        self.at_end = False
        if self._scanned > framer.offset and not thorough and not await self._tail_is_worth_it():
            return None
        while True:
            size = self._want
            if self._limit is not None:
                size = min(size, self._limit - framer.position)
            data = await self._read_on(size) if size > 0 else b""
            found = framer.feed(data)
            if found:
                self._scanned = 0
                self.torn_bytes = framer.pending
                if not framer.skipping:
                    framer.rewind()
                self._items.extend(found)
                return await self._decode_next()
            if not data:
                self._meet_end()
                return None
            self._want = READ_BYTES
            await checkpoint()

    async def changed_in_place(self) -> bool:
        """Say whether head or guard differ from what was read: for a file that did not grow."""
        head = await self.file.read(0, len(self.head))
        tail = await self.file.read(self.offset - len(self._guard), len(self._guard))
        return head != self.head or tail != self._guard

    def close(self) -> None:
        """Close the file; the position stays."""
        self.file.close()

    async def _read_on(self, size: int) -> bytes:
        """Read behind what the framer has; at a line's begin, compare the bytes before it."""
        framer, guard = self._framer, b"" if self._framer.pending else self._guard
        start = framer.position - len(guard)
        data = await self.file.read(start, len(guard) + size)
        # A short read can be the end of the page cache only; the size tells.
        if len(data) <= len(guard) and self.file.stat().st_size > start + len(data):
            data = await in_thread(self.file.read_now, start, len(guard) + size)
        if not data.startswith(guard):
            raise FileReplaced
        got = len(data) - len(guard)
        self.stats.reads += 1
        self.stats.bytes += got
        if got < size:
            self.at_end = self.file.stat().st_size <= framer.position + got
        self._want = _LIVE_READ_BYTES if got < _LIVE_READ_BYTES else READ_BYTES
        if len(self.head) < WINDOW_BYTES and start == 0:
            self.head = data[:WINDOW_BYTES]
        return data[len(guard) :] if guard else data

    def _meet_end(self) -> None:
        framer = self._framer
        self.at_end = True
        self.torn_bytes = framer.pending
        if framer.pending >= _BIG_TAIL_BYTES and not framer.skipping:
            self._scanned = framer.position
            self._rescan_at = framer.offset + 2 * framer.pending
        if not framer.skipping:
            framer.rewind()

    async def _tail_is_worth_it(self) -> bool:
        """Search only what was added to a big torn tail; say whether to read it all again."""
        while True:
            added = await self.file.read(self._scanned, READ_BYTES)
            if b"\n" in added or self._scanned + len(added) >= self._rescan_at:
                return True
            self._scanned += len(added)
            self.torn_bytes = self._scanned - self._framer.offset
            if not added:
                self.at_end = True
                # Cut and begun anew: what was searched is no longer there.
                return self.file.stat().st_size < self._scanned
            await checkpoint()

    async def _decode_next(self) -> Batch:
        """Decode the first item that was read; a step that is cancelled leaves it there."""
        item, guard = self._items[0], self._guard
        if isinstance(item, LongLine):
            end = item.offset + item.length
            start = max(0, end - WINDOW_BYTES)
            guard = await self.file.read(start, end - start)
            if not self.head:
                self.head = await self.file.read(0, min(end, WINDOW_BYTES))
            self._done = (end, item.line)
        else:
            guard = (guard + item.data[-WINDOW_BYTES:])[-WINDOW_BYTES:]
            self._done = (item.offset + len(item.data), item.line - 1 + item.lines)
        self._guard = guard
        batch = self._decoder.decode(item)
        self._items.popleft()
        self.stats.records += len(batch.records)
        return batch

    def _position(
        self,
        offset: int,
        lines: int,
        tail: bytes,
        header_version: int | None,
        *,
        trailer_seen: bool,
        session_id: UUID | None,
    ) -> Position:
        return Position(
            offset,
            lines,
            header_version,
            trailer_seen,
            fingerprint(self.head[:offset]),
            fingerprint(tail),
            session_id,
        )

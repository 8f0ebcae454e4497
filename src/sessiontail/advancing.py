"""open file -> batches of records, forward from a position.

One look at a time: ``next_batch`` reads on, at most ``READ_BYTES`` between two checkpoints, and
says None where no whole line follows. It keeps nothing of an unterminated tail: a writer that
resumes may cut it off, also between two reads of one line. A step that is cancelled or fails moves
nothing, so it can be tried again.
"""

from __future__ import annotations

from uuid import UUID

from anyio.lowlevel import checkpoint

from sessiontail.cursor import WINDOW_BYTES, Position, fingerprint
from sessiontail.decoding import Batch, RecordDecoder
from sessiontail.errors import CursorInvalid
from sessiontail.files import SessionFile, in_thread
from sessiontail.framing import MAX_LINE_BYTES, Block, LineFramer, LongLine
from sessiontail.records import Header
from sessiontail.stats import StoreStats

__all__ = ["READ_BYTES", "START", "FileReader", "FileReplaced"]

# 256 KiB: about 0.3 ms of decoding, so the loop never waits longer for us (bench_stall.py).
READ_BYTES = 256 * 1024

# 16 KiB: a live session's next record is about 2 KB; a buffer of READ_BYTES takes longer to
# clear than such a record to read.
_LIVE_READ_BYTES = 16 * 1024

# 64 KiB: a header is some 400 bytes.
_HEADER_BYTES = 64 * 1024

# 4 KiB, or a multiple of it: what the page cache has, ends at a multiple of this.
_PAGE_BYTES = 4096

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
        "_end_met",
        "_framer",
        "_guard",
        "_items",
        "_limit",
        "_rescan_at",
        "_scan_key",
        "_scanned",
        "_tail",
        "_want",
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
        # Whether the last read met the end of the file.
        self._end_met = False
        #: The first bytes of the file, ``WINDOW_BYTES`` at most.
        self.head = b""
        self._framer = LineFramer(max_line_bytes=max_line_bytes)
        self._decoder = RecordDecoder()
        # Read, not yet decoded; and offset and lines behind what was decoded.
        self._items: list[Block | LongLine] = []
        self._done = (0, 0)
        # The bytes before the framer's offset, WINDOW_BYTES at most.
        self._guard = b""
        self._limit = limit
        self._want = READ_BYTES
        # How far a big torn tail was searched for its newline (0: there is none), its last bytes
        # there, the file's size and time then, and the size at which to read it all again.
        self._scanned = 0
        self._tail = b""
        self._scan_key = (0, 0)
        self._rescan_at = 0

    @property
    def offset(self) -> int:
        """Where the first line begins that was not returned."""
        return self._done[0]

    @property
    def at_end(self) -> bool:
        """Whether all that the file had when it was last read was returned.

        Not yet where a read gave several blocks and some of them still wait: no event will come
        for those, because nothing is written for them.
        """
        return self._end_met and not self._items

    @property
    def known_end(self) -> int:
        """Up to where the file is known: the offset and the torn tail behind it."""
        return self.offset + self.torn_bytes

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
        if position.session_id is not None:
            await self._verify_id(position.session_id)
        self.head, self._guard = head, tail
        self._framer = LineFramer(
            offset=position.offset,
            line=position.lines + 1,
            max_line_bytes=self._framer.max_line_bytes,
        )
        self._decoder = RecordDecoder(header_version=position.header_version)
        self._done = (position.offset, position.lines)

    async def _verify_id(self, session_id: UUID) -> None:
        """Compare a cursor's session with the first line's, which may be longer than a window."""
        first, _, more = (await self.file.read(0, _HEADER_BYTES)).partition(b"\n")
        header = RecordDecoder().decode_line(first) if more else None
        if isinstance(header, Header) and header.id != session_id:
            raise CursorInvalid(
                f"the cursor is of session {session_id}, the file of {header.id}",
                path=self.file.path,
            )

    async def next_batch(self, *, thorough: bool = False) -> Batch | None:
        """Return the next records; None where no whole line follows now.

        Args:
            thorough: read a big torn tail again from its begin, even if little was added.

        Raises:
            FileReplaced: what was read before has changed.
            OSError: the file cannot be read.
        """
        if not (
            self._items or self._read_what_was_added() or await self._read_lines(thorough=thorough)
        ):
            return None
        # The item leaves the queue only when it is decoded: a step may be cancelled until then.
        item = self._items[0]
        if isinstance(item, LongLine):
            guard = await self._end_of(item)
            self._done = (item.offset + item.length, item.line)
        else:
            data = item.data
            if len(self.head) < WINDOW_BYTES and len(self.head) == item.offset:
                self.head = (self.head + data[:WINDOW_BYTES])[:WINDOW_BYTES]
            guard = data[-WINDOW_BYTES:]
            if len(guard) < WINDOW_BYTES:
                guard = (self._guard + guard)[-WINDOW_BYTES:]
            self._done = (item.offset + len(data), item.line - 1 + item.lines)
        self._guard = guard
        batch = self._decoder.decode(item)
        del self._items[0]
        self.stats.records += len(batch.records)
        return batch

    async def changed_in_place(self) -> bool:
        """Say whether head or guard differ from what was read: for a file that did not grow."""
        head = await self.file.read(0, len(self.head))
        tail = await self.file.read(self.offset - len(self._guard), len(self._guard))
        return head != self.head or tail != self._guard

    def close(self) -> None:
        """Close the file; the position stays."""
        self.file.close()

    def _read_what_was_added(self) -> bool:
        """Take the usual case in one go: whole lines that a live writer has just added.

        Returns False, with nothing changed, for every other case.
        """
        framer, guard = self._framer, self._guard
        if (
            self._want != _LIVE_READ_BYTES
            or self._scanned
            or framer.pending
            or framer.offset != self._done[0]
            or self._limit is not None
        ):
            return False
        start = len(guard)
        data = self.file.read_cached(framer.offset - start, start + _LIVE_READ_BYTES)
        if (
            data is None
            or not start < len(data) < start + _LIVE_READ_BYTES
            or not data.endswith(b"\n")
            or not data.startswith(guard)
            or not (framer.offset - start + len(data)) % _PAGE_BYTES  # the cache's end, perhaps
        ):
            return False
        self._end_met, self.torn_bytes = True, 0
        self.stats.reads += 1
        self.stats.bytes += len(data) - start
        self._items += framer.feed(data[start:])
        return True

    async def _read_lines(self, *, thorough: bool) -> bool:
        """Read until whole lines are there; return False at the end of the file."""
        framer = self._framer
        self._go_back()  # behind a step that was cancelled
        self._end_met = False
        if self._scanned and not await self._tail_is_worth_it(thorough=thorough):
            return False
        while True:
            start, size = framer.position, self._want
            if self._limit is not None:
                size = min(size, self._limit - start)
            data = await self._read_on(size) if size > 0 else b""
            found = framer.feed(data)
            if found:
                if found[0].offset < start and not await self._still_there(found[0], start):
                    self._go_back()
                    continue
                self._scanned = 0
                self.torn_bytes = framer.pending
                if framer.pending:
                    framer.rewind()
                self._items.extend(found)
                return True
            if not data:
                length = self.file.stat().st_size
                if self._limit is not None and length < self._limit:
                    raise FileReplaced
                if framer.pending and length < start:
                    self._go_back()  # cut off while it was read
                    continue
                self._meet_end()
                return False
            self._tail = (self._tail + data[-WINDOW_BYTES:])[-WINDOW_BYTES:]
            self._want = READ_BYTES
            await checkpoint()

    async def _read_on(self, size: int) -> bytes:
        """Read behind what the framer has; at a line's begin, compare the bytes before it."""
        framer, file = self._framer, self.file
        guard = b"" if framer.pending else self._guard
        start = framer.position - len(guard)
        data = file.read_cached(start, len(guard) + size)
        got = -1 if data is None else len(data) - len(guard)
        # A short read can be the end of the page cache only; the size tells.
        if data is None or (got <= 0 and file.stat().st_size > start + len(data)):
            data = await in_thread(file.read_now, start, len(guard) + size)
            got = len(data) - len(guard)
        if not data.startswith(guard):
            raise FileReplaced
        self.stats.reads += 1
        self.stats.bytes += got
        if got < size:
            # What a live writer has just added is in the page cache, which ends with a page.
            end = framer.position + got
            live = self._want == _LIVE_READ_BYTES and end % _PAGE_BYTES
            self._end_met = bool(live) or file.stat().st_size <= end
        self._want = _LIVE_READ_BYTES if got < _LIVE_READ_BYTES else READ_BYTES
        return data[len(guard) :] if guard else data

    def _go_back(self) -> None:
        """Forget what was read behind the last whole line that was taken."""
        framer = self._framer
        if framer.pending or framer.offset != self._done[0]:
            framer.rewind()
            framer.offset, framer.line = self._done[0], self._done[1] + 1

    def _meet_end(self) -> None:
        framer = self._framer
        self._end_met = True
        self.torn_bytes = framer.pending
        self._scanned = 0
        if framer.pending >= _BIG_TAIL_BYTES:
            self._scanned = framer.position
            self._rescan_at = framer.offset + 2 * framer.pending
            self._scan_key = self._key()
        framer.rewind()

    def _key(self) -> tuple[int, int]:
        status = self.file.stat()
        return status.st_size, status.st_mtime_ns

    async def _still_there(self, item: Block | LongLine, end: int) -> bool:
        """Say whether the file still has what earlier reads of one line found, up to ``end``."""
        at = item.offset
        while at < end:
            data = await self.file.read(at, min(READ_BYTES, end - at))
            if isinstance(item, Block):
                same = item.data.startswith(data, at - item.offset)
            else:
                same = b"\n" not in data and (at > item.offset or data.startswith(item.head[:end]))
            if not (data and same):
                return False
            at += len(data)
            await checkpoint()
        return True

    async def _tail_is_worth_it(self, *, thorough: bool) -> bool:
        """Search only what was added to a big torn tail; say whether to read it all again."""
        if thorough and self._key() != self._scan_key:
            return True
        while True:
            tail = self._tail
            data = await self.file.read(self._scanned - len(tail), len(tail) + READ_BYTES)
            end = self._scanned - len(tail) + len(data)
            # Cut and begun anew, ended, or grown so far that it is due.
            if not data.startswith(tail) or b"\n" in data or end >= self._rescan_at:
                return True
            self.torn_bytes = end - self.offset
            if end == self._scanned:
                self._end_met = True
                return False
            self._scanned, self._tail = end, data[-WINDOW_BYTES:]
            await checkpoint()

    async def _end_of(self, long: LongLine) -> bytes:
        """Return the last bytes of a line that was not kept; keep the file's head if it is that."""
        end = long.offset + long.length
        start = max(0, end - WINDOW_BYTES)
        guard = await self.file.read(start, end - start)
        if len(self.head) == long.offset < WINDOW_BYTES:
            self.head = await self.file.read(0, min(end, WINDOW_BYTES))
        return guard

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

"""directory -> one meta a file, streamed as found.

A listing reads the first line and the last block of each file, whatever its length. Only a file
without a trailer is counted, and without decoding. Files that do not start with a header are
skipped and kept as errors; one bad file never stops the rest.

Files are read in threads: one while the page cache has them, because more would only wait for each
other; ``MAX_THREADS`` once it does not (DESIGN.md: 17 ms with 1 and 57 ms with 16 threads for
1,000 warm files; 150 and 79 ms with 1 and 4 for cold ones).
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

import anyio

from sessiontail.advancing import START
from sessiontail.cursor import WINDOW_BYTES, Position, fingerprint
from sessiontail.decoding import CHUNK_START, RecordDecoder
from sessiontail.deleting import left_aside
from sessiontail.errors import DamagedSession, PersistenceError, SessionNotFound
from sessiontail.files import MAX_THREADS, SessionFile, explain, in_thread
from sessiontail.framing import MAX_LINE_BYTES, Block, LineFramer
from sessiontail.holders import LockTable, state_of
from sessiontail.layout import WAL_ENDING, split_name
from sessiontail.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.records import Chunk, Damage, Header, Record, Trailer
from sessiontail.session import PersistedSessionMeta, damaged

__all__ = ["Scan", "position_before_end", "read_meta", "session_names"]

logger = logging.getLogger("sessiontail")

# 4 KiB: a header is some 400 bytes, a trailer some 180.
_END_BYTES = 4096
# 64 KiB: small enough that the allocator keeps the buffer and does not clear a new one.
_COUNT_BYTES = 64 * 1024
_LINES_BACK_BYTES = 64 * 1024
# The years 1 and 9999: tmpfs keeps times that no datetime can hold.
_FIRST_S, _LAST_S = -62135596800, 253402300799
# Files a hop into a thread: the first hop, and cold ones. A warm file takes 40 us, a hop 200 us and
# on a busy machine 1 ms, so that each warm hop takes 16 times as many as all before it.
_FILES_PER_HOP = 64
_MAX_FILES_PER_HOP = 4096


class Found(NamedTuple):
    """What one hop found."""

    metas: list[PersistedSessionMeta]
    skipped: list[PersistenceError]
    #: Files whose ends were not in the page cache.
    cold: int


class Scan(AsyncIterator[PersistedSessionMeta]):
    """The sessions of a directory, in no order, as they are found.

    A pull-only iterator: threads work only while it is asked. A step that is cancelled can be
    retried; what its threads found is found again.
    """

    def __init__(self, directory: Path, *, verify: bool = False) -> None:
        """Prepare; nothing is read before the first is asked for."""
        self.directory = directory
        #: Files that are no sessions, with the reason; complete when the scan is.
        self.skipped: list[PersistenceError] = []
        #: Session files in the directory; None before the scan began.
        self.total: int | None = None
        self._verify = verify
        # Names of the files, sorted, and how many of them were read.
        self._names: list[str] = []
        self._at = 0
        self._found: deque[PersistedSessionMeta] = deque()
        self._seen: set[tuple[int, int]] = set()
        self._locks = LockTable(None)
        self._threads = 1
        self._looked_aside = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PersistedSessionMeta:
        """Return the next session's meta.

        Raises:
            StopAsyncIteration: that was all.
            PersistenceError: the directory cannot be read; one that is absent is empty.
        """
        while not self._found:
            if self.total is None:
                await self._begin()
            elif self._at < self.total:
                await self._read_some()
            else:
                await self._look_aside()
                raise StopAsyncIteration
        return self._found.popleft()

    async def _begin(self) -> None:
        self._names, self._locks = await in_thread(_names_and_locks, self.directory)
        self.total = len(self._names)

    async def _read_some(self) -> None:
        """Read the next files: many at once in one thread while the cache has them."""
        warm = self._at > 0 and self._threads == 1 and not self._verify
        size = min(16 * self._at, _MAX_FILES_PER_HOP) if warm else _FILES_PER_HOP
        parts = [
            self._names[at : at + size]
            for at in range(self._at, self._at + size * self._threads, size)
        ]
        results: list[Found | None] = [None] * len(parts)

        async def read(i: int) -> None:
            results[i] = await in_thread(
                _read_metas, self.directory, parts[i], self._locks, self._verify
            )

        if len(parts) == 1:
            await read(0)
        else:
            async with anyio.create_task_group() as group:
                for i in range(len(parts)):
                    group.start_soon(read, i)
        for part, found in zip(parts, results, strict=True):
            assert found is not None
            self._at += len(part)
            self._add(found)
            if part:
                self._threads = MAX_THREADS if found.cold * 10 > len(part) else 1

    async def _look_aside(self) -> None:
        """Skip, once and aloud, what a deletion that was killed has left under no session's name."""
        if not self._looked_aside:
            errors = await in_thread(left_aside, self.directory)
            self._looked_aside = True
            self._add(Found([], errors, 0))

    def _add(self, found: Found) -> None:
        for meta in found.metas:
            # During the rename of a close, one file can be met under both of its names.
            key = meta.file_key[:2]
            if key not in self._seen:
                self._seen.add(key)
                self._found.append(meta)
        for error in found.skipped:
            self.skipped.append(error)
            logger.warning("skipped %s", error)


def session_names(directory: Path) -> list[str]:
    """Return the names of the session files in a directory, sorted; none where it is absent.

    Raises:
        PersistenceError: the directory cannot be read.
    """
    try:
        return sorted(name for name in os.listdir(directory) if split_name(name))  # noqa: PTH208
    except FileNotFoundError:
        return []
    except OSError as error:
        raise explain(error, directory) from error


def _names_and_locks(directory: Path) -> tuple[list[str], LockTable]:
    return session_names(directory), LockTable.read()


def read_meta(
    path: Path | str, locks: LockTable, *, verify: bool = False
) -> tuple[PersistedSessionMeta, bool]:
    """Read one file's meta, blocking; return it and whether the page cache had its ends.

    Args:
        path: the file.
        locks: the lock table, for its state.
        verify: decode every line, count the damaged ones, and count chunks instead of believing
            the trailer.

    Raises:
        DamagedSession: the file does not start with a header.
        SessionNotFound: it is no longer there.
        PersistenceError: it cannot be read.
    """
    try:
        file = SessionFile(path)
        try:
            return _meta(file, str(path), locks, verify=verify)
        finally:
            file.close()
    except OSError as error:
        raise explain(error, Path(path)) from error


def _read_metas(directory: Path, names: Iterable[str], locks: LockTable, verify: bool) -> Found:  # noqa: FBT001 - passed through a thread
    metas: list[PersistedSessionMeta] = []
    skipped: list[PersistenceError] = []
    cold = 0
    for name in names:
        # A WAL may have been renamed since the directory was read.
        for candidate in {name: None, name.removesuffix(WAL_ENDING): None}:
            try:
                meta, cached = read_meta(f"{directory}/{candidate}", locks, verify=verify)
            except SessionNotFound:
                continue
            except PersistenceError as error:
                skipped.append(error)
                break
            metas.append(meta)
            cold += not cached
            break
    return Found(metas, skipped, cold)


def _meta(
    file: SessionFile, path: str, locks: LockTable, *, verify: bool
) -> tuple[PersistedSessionMeta, bool]:
    decoder = RecordDecoder()
    head = file.read_cached(0, _END_BYTES)
    cached = head is not None
    if head is None:
        head = file.read_now(0, _END_BYTES)
    header, body = _header(file, decoder, head)
    # Behind the header: a file that is being created is then not shorter than it.
    status = file.stat()
    size = max(status.st_size, body)
    brief = _Brief()
    if verify:
        _decode_all(file, size, brief)
    else:
        start = max(body, size - _END_BYTES)
        last = head[start:] if len(head) == size else file.read_cached(start, size - start)
        if last is None:
            cached, last = False, file.read_now(start, size - start)
        if start > body:  # what is left of the line before could look like a whole one
            last = last[last.find(b"\n") + 1 :]
        _take_trailer(last, brief)
        if brief.trailer is None:
            key = (status.st_dev, status.st_ino, status.st_ctime_ns, size)
            brief = _counted.get(key) or _remember(key, _count(file, body, size, decoder))
    trailer = brief.trailer
    state, pid = state_of(
        status,
        is_wal=path.endswith(WAL_ENDING),
        closed=trailer is not None,
        locks=locks,
        now_s=time.time(),
    )
    meta = PersistedSessionMeta(
        id=header.id,
        file=path,
        created_at=header.created_at,
        lineage_operator=header.lineage_operator,
        lineage_kind=header.lineage_kind,
        chunk_count=brief.chunks,
        closed=trailer is not None,
        state=state,
        parent_session_ids=header.parent_session_ids,
        cumulative_usage=trailer.cumulative_usage if trailer else None,
        closed_at=trailer.closed_at if trailer else None,
        size_bytes=size,
        modified_at=datetime.fromtimestamp(min(max(status.st_mtime, _FIRST_S), _LAST_S), UTC),
        writer_pid=pid,
        damaged_lines=brief.damaged if verify else None,
        torn_bytes=brief.torn_bytes,
        file_key=(status.st_dev, status.st_ino, status.st_mtime_ns),
    )
    return meta, cached


class _Brief:
    """What is gathered of a file behind its header."""

    __slots__ = ("chunks", "damaged", "torn_bytes", "trailer")

    def __init__(self) -> None:
        self.chunks = 0
        self.damaged = 0
        self.torn_bytes = 0
        self.trailer: Trailer | None = None

    def add(self, record: Record | None) -> None:
        if isinstance(record, Chunk):
            self.chunks += 1
        elif isinstance(record, Trailer):
            self.trailer = record
        elif isinstance(record, Damage):
            self.damaged += 1


def _header(file: SessionFile, decoder: RecordDecoder, head: bytes) -> tuple[Header, int]:
    """Return the header and where the line behind it begins."""
    start, line = 0, 1
    while True:
        if head[start : start + 1].isspace():  # blank lines in one go: there may be a million
            blank = head.rfind(b"\n", start, len(head) - len(head[start:].lstrip())) + 1
            line += head.count(b"\n", start, blank)
            start = max(start, blank)
        end = head.find(b"\n", start) + 1
        if not end:
            more = file.read_now(len(head), min(max(_END_BYTES, len(head)), MAX_LINE_BYTES))
            if not more or len(head) > MAX_LINE_BYTES:
                raise DamagedSession(
                    "no header: not a session file", path=file.path, reason="no-header"
                )
            head += more
            continue
        record = decoder.decode_line(head[start:end], line=line, offset=start)
        if isinstance(record, Header):
            return record, end
        if record is not None:
            assert isinstance(record, Damage)
            raise damaged(record, file.path)
        start, line = end, line + 1


def _take_trailer(last: bytes, brief: _Brief) -> None:
    """Take the trailer from the file's last bytes, if it is the last line that is not blank."""
    end = last.rfind(b"\n") + 1
    line = last[last.rfind(b"\n", 0, end - 1) + 1 : end] if end else b""
    if line.isspace():  # blank lines at the end
        line = last[:end].rstrip()
        line = line[line.rfind(b"\n") + 1 :]
    if line.startswith(b"{") and b'"trailer"' in line:
        record = RecordDecoder(header_version=CURRENT_SCHEMA_VERSION).decode_line(line)
        count = record.final_chunk_count if isinstance(record, Trailer) else None
        if isinstance(record, Trailer) and count is not None and count >= 0:
            brief.trailer = record
            brief.chunks = count
            brief.torn_bytes = len(last) - end


def _count(file: SessionFile, body: int, size: int, decoder: RecordDecoder) -> _Brief:
    """Count chunks and find the last trailer, decoding only lines of an unusual form."""
    brief = _Brief()
    for block in _blocks(file, body, size, brief):
        data, start = block.data, 0
        for end in block.ends:
            if data.startswith(CHUNK_START, start):
                brief.chunks += 1
            else:
                brief.add(decoder.decode_line(data[start:end]))
            start = end
    return brief


# What was counted, by device, inode, time of last change and size: a crashed session is counted
# once, not in every listing. Some 200 bytes each.
_counted: dict[tuple[int, int, int, int], _Brief] = {}
_MAX_COUNTED = 10_000


def _remember(key: tuple[int, int, int, int], brief: _Brief) -> _Brief:
    if len(_counted) >= _MAX_COUNTED:
        _counted.clear()
    _counted[key] = brief
    return brief


def _decode_all(file: SessionFile, size: int, brief: _Brief) -> None:
    decoder = RecordDecoder()
    for block in _blocks(file, 0, size, brief):
        for record in decoder.decode(block).records:
            brief.add(record)


def _blocks(file: SessionFile, start: int, size: int, brief: _Brief) -> Iterable[Block]:
    framer = LineFramer(offset=start)
    while framer.position < size:
        data = file.read_now(framer.position, min(_COUNT_BYTES, size - framer.position))
        if not data:
            break
        for item in framer.feed(data):
            if isinstance(item, Block):
                yield item
            else:
                brief.damaged += 1
    brief.torn_bytes = framer.pending


def position_before_end(file: SessionFile, last: int, end: int | None = None) -> Position:
    """Return the position ``last`` lines before the end, blocking; the start if there are fewer.

    ``end`` is taken for the file's, where it has grown since.

    A file that does not start with a header has no other position than its start.
    """
    size = file.stat().st_size
    if end is not None:
        size = min(size, end)
    decoder = RecordDecoder()
    try:
        header, _ = _header(file, decoder, file.read_now(0, _END_BYTES))
    except DamagedSession:
        return START
    offset = _lines_back(file, size, last)
    if not offset:
        return START
    lines = sum(
        file.read_now(at, min(_COUNT_BYTES, offset - at)).count(b"\n")
        for at in range(0, offset, _COUNT_BYTES)
    )
    brief = _Brief()
    _take_trailer(file.read_now(max(0, offset - _END_BYTES), min(offset, _END_BYTES)), brief)
    window = min(offset, WINDOW_BYTES)
    return Position(
        offset,
        lines,
        decoder.header_version,
        brief.trailer is not None,
        fingerprint(file.read_now(0, window)),
        fingerprint(file.read_now(offset - window, window)),
        header.id,
    )


def _lines_back(file: SessionFile, size: int, last: int) -> int:
    """Return the offset ``last`` lines before the last newline, 0 if there are fewer lines."""
    newlines = 0
    end = size
    while end > 0:
        start = max(0, end - _LINES_BACK_BYTES)
        data = file.read_now(start, end - start)
        at = len(data)
        while (at := data.rfind(b"\n", 0, at)) >= 0:
            newlines += 1
            if newlines > last:
                return start + at + 1
        end = start
    return 0

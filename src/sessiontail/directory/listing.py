"""directory -> one meta a file, streamed as found.

A listing reads the first line and the last block of each file, whatever its length. Only a file
without a trailer is counted, and without decoding. Files that do not start with a header are
skipped and kept as errors; one bad file never stops the rest.

What was read of a file is kept for as long as its device, inode, size and times stay: to list
again looks at names, status and locks only. The last 10,000 to 20,000 files are kept in a process,
some 1 KB each.

Files are read in threads: one while the page cache has them, because more would only wait for each
other (DESIGN.md: 17 ms with 1 and 57 ms with 16 threads for 1,000 warm files); ``MAX_THREADS`` once
it does not, and each asks for the next files before it waits for one.
"""

from __future__ import annotations

import heapq
import logging
import os
import stat
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self, TypeAlias, TypeVar

import msgspec
from anyio import BusyResourceError
from anyio.lowlevel import checkpoint

from sessiontail.errors import DamagedSession, PersistenceError, SessionNotFound
from sessiontail.format.cursor import START, Position
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.folding import damaged
from sessiontail.format.framing import MAX_LINE_BYTES, Block, LineFramer, LongLine
from sessiontail.format.marks import WINDOW_BYTES, fingerprint
from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.records import Chunk, Damage, Header, Record, Trailer
from sessiontail.format.usual import CHUNK_START, usual_chunk, usual_header, usual_trailer
from sessiontail.session.asides import left_aside
from sessiontail.session.meta import PersistedSessionMeta, SessionState, state_of
from sessiontail.system.files import MAX_THREADS, OPEN_FLAGS, SessionFile, explain
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import SESSION_FILE_SUFFIX, SESSION_PARTIAL_SUFFIX, WAL_ENDING
from sessiontail.system.stamps import FileId, FileStamp
from sessiontail.system.waking import Call

__all__ = [
    "Depth",
    "Scan",
    "by_age",
    "forget",
    "position_before_end",
    "read_meta",
    "session_names",
]

logger = logging.getLogger("sessiontail")

_NEWLINE = 0x0A

# 4 KiB: a header is some 400 bytes, a trailer some 180.
_END_BYTES = 4096
# 64 KiB: small enough that the allocator keeps the buffer and does not clear a new one.
_COUNT_BYTES = 64 * 1024
_LINES_BACK_BYTES = 64 * 1024
# 4 MiB: 1 ms to count the lines of. Of more they stay unknown.
_COUNTED_BYTES = 4 * 1024 * 1024
# 1 MiB: of a longer line only the head is kept while lines are counted.
_LONG_BYTES = 1024 * 1024
# The years 1 and 9999: tmpfs keeps times that no datetime can hold.
_FIRST_S, _LAST_S = -62135596800, 253402300799
# Files a hop into a thread: cold ones, and warm ones. A hop takes 200 us, on a busy machine 1 ms,
# a warm file 15 us; and who takes the metas, thousands at once, holds the loop for some us each.
_FILES_PER_HOP = 64
_MAX_FILES_PER_HOP = 1024
# Files that are asked for before the first of them is waited for.
_FILES_AHEAD = 16
# Warnings between two turns of the event loop.
_TOLD_AT_ONCE = 64
# How many metas are sorted in one go: 2 ms, in which no other thread runs.
_RUN = 2048

# What was read is believed once the same times were there so long before it was read: a change
# within one tick of the file system's clock leaves no other trace. 2.5 s: FAT counts in twos,
# Linux in 4 or 10 ms.
_SETTLED_S = 2.5
# Or once they are so old that no clock is that wrong.
_OLD_NS = 600 * 10**9
# How often the names are read where the directory changes meanwhile. Two have every file that was
# renamed once: who closes a session renames it once. The third is for what is put aside and back.
_LISTINGS = 3

_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)

_T = TypeVar("_T")
_K = TypeVar("_K")


class _Kept(Generic[_K, _T]):
    """The values that were last put or asked for: a limited number.

    Args:
        limit: so many at least, twice as many at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._young: dict[_K, _T] = {}
        self._old: dict[_K, _T] = {}

    def get(self, key: _K) -> _T | None:
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: _K, value: _T) -> None:
        if len(self._young) >= self._limit:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def clear(self) -> None:
        self._old, self._young = {}, {}


# What was read of a file; its change time; when these times were first seen, on the monotonic
# clock; and whether that was long enough before it was read. A plain tuple: made for every file.
_Known: TypeAlias = tuple[PersistedSessionMeta, int, float, bool]

#: By path.
_known: _Kept[str, _Known] = _Kept(10_000)


def forget() -> None:
    """Forget what was read of files: the next listing reads them all again."""
    _known.clear()


class Depth(Enum):
    """How much of a file is read for its meta."""

    #: Its first line and its last: the chunks of a large file without a trailer are as many as
    #: its last one says, which is what its trailer would say.
    ENDS = "ends"
    #: The same, and all lines of a file without a trailer, to count its chunks.
    LINES = "lines"
    #: All lines, decoded: chunks are counted instead of believing the trailer, and damage too.
    RECORDS = "records"


class Found(NamedTuple):
    """What one hop found."""

    metas: list[PersistedSessionMeta]
    skipped: list[PersistenceError]
    #: Names that it took.
    taken: int
    #: Files whose ends were not in the page cache.
    cold: int


class Scan(AsyncIterator[PersistedSessionMeta]):
    """The sessions of a directory, in no order, as they are found.

    A pull-only iterator: threads work only while it is asked. A step that is cancelled can be
    retried; its threads go on meanwhile.
    """

    def __init__(self, directory: Path, *, depth: Depth = Depth.LINES) -> None:
        """Prepare; nothing is read before the first is asked for."""
        self.directory = directory
        #: Files that are no sessions, with the reason; complete when the scan is.
        self.skipped: list[PersistenceError] = []
        #: Session files in the directory; None before the scan began.
        self.total: int | None = None
        self._depth = depth
        # Names of the files that are still to be read, the next one last.
        self._names: list[str] = []
        self._found: deque[PersistedSessionMeta] = deque()
        # Device and inode in one number: nothing for the collector.
        self._seen: set[int] = set()
        self._locks = LockTable(None)
        self._threads = 1
        self._pulling = False
        # What threads do for the step that was begun.
        self._calls: list[Call[Any]] = []
        # How many of ``skipped`` were warned of.
        self._told = 0
        self._looked_aside = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PersistedSessionMeta:
        """Return the next session's meta.

        Raises:
            StopAsyncIteration: that was all.
            PersistenceError: the directory cannot be read; one that is absent is empty.
            anyio.BusyResourceError: another task waits for the next one.
        """
        if not self._found:
            with self._one_task():
                await self._find()
        return self._found.popleft()

    async def _find(self) -> None:
        while not self._found:
            if self.total is None:
                await self._begin()
            elif self._names:
                await self._read_some()
            else:
                await self._look_aside()
                await self._tell()
                raise StopAsyncIteration
            await self._tell()

    async def rest(self) -> list[PersistedSessionMeta]:
        """Return all that were not handed over; cancelled, it hands over none of them.

        Raises:
            PersistenceError: the directory cannot be read.
            anyio.BusyResourceError: another task waits for the next one.
        """
        with self._one_task():
            if self.total is None:
                await self._begin()
            await self._tell()
            while self._names:
                await self._read_some()
                await self._tell()
            await self._look_aside()
            await self._tell()
        metas = [*self._found]
        self._found.clear()
        return metas

    @contextmanager
    def _one_task(self) -> Iterator[None]:
        if self._pulling:
            raise BusyResourceError("reading from")
        self._pulling = True
        try:
            yield
        finally:
            self._pulling = False

    async def _begin(self) -> None:
        if not self._calls:
            # At once: to open the lock table takes the kernel 8 ms without any work (it waits
            # until all processors have looked), 1,000 files take 16.
            self._calls = [Call("", LockTable.read), self._call(_begin_scan, self._depth)]
        table, first = await self._results()
        self._locks = table
        self._names = first.names
        self.total = len(first.names)
        metas = [_judged(meta, table) for meta in first.found.metas]
        self._take([first.found._replace(metas=metas)])
        if first.left_aside is not None:
            self._take_aside(first.left_aside)

    def _call(self, function: Callable[..., Any], *args: Any) -> Call[Any]:
        return Call(str(self.directory), function, self.directory, *args)

    async def _results(self) -> list[Any]:
        """Wait for the threads; cut short again and again, it still sees the end of it."""
        for call in self._calls:
            await call.settled()
        calls, self._calls = self._calls, []
        return [call.result() for call in calls]

    async def _read_some(self) -> None:
        """Read the next files: many at once in one thread while the cache has them."""
        if not self._calls:
            few = self._depth is Depth.RECORDS or self._threads > 1
            size = _FILES_PER_HOP if few else _MAX_FILES_PER_HOP
            # What one thread does not take, another does.
            shared = iter(self._names[: -size * self._threads - 1 : -1])
            ahead = self._threads > 1
            self._calls = [
                self._call(_read_metas, shared, self._locks, self._depth, ahead)
                for _ in range(self._threads)
            ]
        self._take(await self._results())

    def _take(self, results: list[Found]) -> None:
        taken = sum(found.taken for found in results)
        cold = sum(found.cold for found in results)
        # Freed bit by bit: 100,000 at once take 10 ms.
        del self._names[len(self._names) - taken :]
        for found in results:
            self._add(found)
        self._threads = MAX_THREADS if cold * 10 > taken else 1

    async def _look_aside(self) -> None:
        """Skip, once and aloud, what a deletion that was killed has left under no session's name."""
        if not self._looked_aside:
            if not self._calls:
                self._calls = [self._call(left_aside)]
            (errors,) = await self._results()
            self._take_aside(errors)

    def _take_aside(self, errors: list[PersistenceError]) -> None:
        self.skipped += errors
        self._looked_aside = True

    def _add(self, found: Found) -> None:
        for meta in found.metas:
            # During the rename of a close, one file can be met under both of its names.
            key = meta.file_id.device << 64 | meta.file_id.inode
            if key not in self._seen:
                self._seen.add(key)
                self._found.append(meta)
        self.skipped += found.skipped

    async def _tell(self) -> None:
        """Warn of what was skipped, a few at a time: a warning takes a logger 20 us and more."""
        while self._told < len(self.skipped):
            error = self.skipped[self._told]
            self._told += 1
            logger.warning("skipped %s", error)
            if not self._told % _TOLD_AT_ONCE:
                await checkpoint()


def session_names(directory: Path) -> list[str]:
    """Return the names of the session files in a directory; none where it is absent.

    Final names come before those of WALs: of a file that has both, it is the one that stays.

    Raises:
        PersistenceError: the directory cannot be read.
    """
    return _sessions(_names(directory))


def _names(directory: Path) -> list[str]:
    try:
        return _names_throughout(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise explain(error, directory) from error


def _names_throughout(directory: Path) -> list[str]:
    """Return the names in a directory; of a file that is renamed meanwhile, one or both.

    The kernel gives names in pieces of some 400, and what is renamed between two of them can be
    in none: 4 of 57 listings of 3,000 files lacked a session that was closed meanwhile. So a
    directory that has changed, or had just changed, is read again.
    """
    before_ns = os.stat(directory).st_mtime_ns  # noqa: PTH116 - as below
    names = os.listdir(directory)  # noqa: PTH208 - names, a tenth of the time
    after_ns = os.stat(directory).st_mtime_ns  # noqa: PTH116 - a tenth of the time
    if after_ns == before_ns and time.time_ns() - after_ns >= _SETTLED_S * 10**9:
        return names
    known = set(names)
    for _ in range(_LISTINGS - 1):
        before_ns = after_ns
        more = [name for name in os.listdir(directory) if name not in known]  # noqa: PTH208 - names, not paths
        names += more
        known.update(more)
        after_ns = os.stat(directory).st_mtime_ns  # noqa: PTH116 - a tenth of the time
        if after_ns == before_ns:
            break
    return names


def _sessions(names: list[str]) -> list[str]:
    # Not sorted: that is 40 ms for 100,000, in which no other thread runs.
    found = [name for name in names if name.endswith(SESSION_FILE_SUFFIX)]
    found += [name for name in names if name.endswith(SESSION_PARTIAL_SUFFIX)]
    return found


def by_age(metas: Iterable[PersistedSessionMeta]) -> list[PersistedSessionMeta]:
    """Return metas sorted by ``created_at``, then by file; never long without letting others run.

    One sort of 100,000 holds the GIL, and with it the event loop, for 130 ms.
    """
    metas = [*metas]
    runs = [sorted(metas[i : i + _RUN], key=_age) for i in range(0, len(metas), _RUN)]
    return runs[0] if len(runs) == 1 else [*heapq.merge(*runs, key=_age)]


_age = attrgetter("created_at", "file")


class _First(NamedTuple):
    """What the first hop found."""

    #: Of the files, the first one last.
    names: list[str]
    #: As if nobody held them.
    found: Found
    #: None where more files are to be read first.
    left_aside: list[PersistenceError] | None


def _begin_scan(directory: Path, depth: Depth) -> _First:
    everything = _names(directory)
    names = _sessions(everything)
    names.reverse()
    size = _FILES_PER_HOP if depth is Depth.RECORDS else _MAX_FILES_PER_HOP
    first = names[: -size - 1 : -1]
    found = _read_metas(directory, iter(first), _NOBODY, depth, ahead=False)
    if found.taken < len(names):
        return _First(names, found, None)
    hidden = any(name.startswith(".") for name in everything)
    return _First(names, found, left_aside(directory) if hidden else [])


#: No file is held.
_NOBODY = LockTable(b"")


def _judged(meta: PersistedSessionMeta, locks: LockTable) -> PersistedSessionMeta:
    """Return a meta with the state that these locks give it."""
    file = meta.file_id
    if meta.closed and not locks.holds(file):
        return meta
    mtime_s = -(-meta.mtime_ns // 10**9)
    status = os.stat_result((0, file.inode, file.device, 1, 0, 0, meta.size_bytes, 0, mtime_s, 0))
    return _with_state(meta, status, locks)


def _with_state(
    meta: PersistedSessionMeta, status: os.stat_result, locks: LockTable
) -> PersistedSessionMeta:
    state, pid = _state(status, meta.file, locks, closed=meta.closed)
    if state is meta.state and pid == meta.writer_pid:
        return meta
    return msgspec.structs.replace(meta, state=state, writer_pid=pid)


def read_meta(
    path: Path | str, locks: LockTable, *, depth: Depth = Depth.LINES
) -> tuple[PersistedSessionMeta, bool]:
    """Read one file's meta, blocking; return it and whether the page cache had its ends.

    Args:
        path: the file.
        locks: the lock table, for its state.
        depth: how much of it is read.

    Raises:
        DamagedSession: the file does not start with a header.
        SessionNotFound: it is no longer there.
        PersistenceError: it cannot be read.
    """
    try:
        file = SessionFile(path)
        try:
            return _meta(file, str(path), locks, depth=depth)
        finally:
            file.close()
    except OSError as error:
        raise explain(error, Path(path)) from error


def _read_metas(
    directory: Path,
    names: Iterator[str],
    locks: LockTable,
    depth: Depth,
    ahead: bool,  # noqa: FBT001 - passed through a thread
) -> Found:
    """Read metas, blocking.

    Args:
        directory: where the files lie.
        names: of the files; may be shared with other threads.
        locks: for their states.
        depth: as for ``read_meta``.
        ahead: the files are cold: ask for the next ones before waiting for the first; else give
            up once they turn out to be.
    """
    metas: list[PersistedSessionMeta] = []
    skipped: list[PersistenceError] = []
    taken = cold = 0
    anew = depth is Depth.RECORDS
    prefix = os.path.join(directory, "")  # noqa: PTH118 - names that are no text, and faster
    while some := [prefix + name for name in islice(names, _FILES_AHEAD)]:
        asked = ahead and not anew
        if asked and _ask_for(some):
            cold += len(some)
        for path in some:
            meta = None if anew else _known_meta(path, locks) or _usual_meta(path, locks)
            if meta is not None:
                metas.append(meta)
                continue
            # A WAL may have been renamed since the directory was read.
            for candidate in {path: None, path.removesuffix(WAL_ENDING): None}:
                try:
                    meta, cached = _read_and_keep(candidate, locks, depth=depth)
                except SessionNotFound:
                    continue
                except PersistenceError as error:
                    skipped.append(error)
                    break
                metas.append(meta)
                cold += not (cached or asked)
                break
        taken += len(some)
        if not (ahead or anew) and cold * 2 > len(some) and cold * 10 > taken:
            break
    return Found(metas, skipped, taken, cold)


def _ask_for(paths: list[str]) -> bool:
    """Have the kernel read both ends of files, without waiting; return whether they are cold.

    With 16 files under way, one thread reads 1,000 cold ones in 55 ms instead of 180.
    """
    cold = _NOWAIT is None
    for path in paths:
        try:
            fd = os.open(path, OPEN_FLAGS)
        except OSError:
            continue
        try:
            if path is paths[0] and _NOWAIT is not None:
                try:
                    os.preadv(fd, [_buffers.head], 0, _NOWAIT)
                except BlockingIOError:
                    cold = True
            size = os.fstat(fd).st_size
            _advise(fd, 0, _END_BYTES)
            _advise(fd, max(0, size - _END_BYTES), _END_BYTES)
        except OSError:
            continue
        finally:
            os.close(fd)
    return cold


if hasattr(os, "posix_fadvise"):

    def _advise(fd: int, offset: int, size: int) -> None:
        os.posix_fadvise(fd, offset, size, os.POSIX_FADV_WILLNEED)

else:

    def _advise(fd: int, offset: int, size: int) -> None:
        """Do without: this system has no such call."""


def _known_meta(path: str, locks: LockTable) -> PersistedSessionMeta | None:
    """Return what was read before of a file that has not changed since."""
    known = _known.get(path)
    if known is None or not known[3]:
        return None
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if not _same(known, status):
        return None
    return _with_state(known[0], status, locks)


def _same(known: _Known, status: os.stat_result) -> bool:
    meta = known[0]
    return (
        status.st_ctime_ns == known[1]
        and status.st_size == meta.size_bytes
        and status.st_mtime_ns == meta.mtime_ns
        and FileId.of(status) == meta.file_id
    )


def _keep(meta: PersistedSessionMeta, status: os.stat_result) -> None:
    """Keep what was just read of a file that had this status before."""
    if status.st_size != meta.size_bytes:
        return  # it is being created
    ctime_ns = status.st_ctime_ns
    if time.time_ns() - ctime_ns >= _OLD_NS:
        _known.put(meta.file, (meta, ctime_ns, 0.0, True))
        return
    now_s = time.monotonic()
    before = _known.get(meta.file)
    since_s = before[2] if before is not None and _same(before, status) else now_s
    _known.put(meta.file, (meta, ctime_ns, since_s, now_s - since_s >= _SETTLED_S))


def _state(
    status: os.stat_result, path: str, locks: LockTable, *, closed: bool
) -> tuple[SessionState, int | None]:
    if closed and not locks.holds(FileId.of(status)):
        return SessionState.CLOSED, None
    return state_of(
        status, is_wal=path.endswith(WAL_ENDING), closed=closed, locks=locks, now_s=time.time()
    )


class _Buffers(threading.local):
    """Where a thread reads a file's two ends into."""

    def __init__(self) -> None:
        self.head = bytearray(_END_BYTES)
        self.tail = bytearray(_END_BYTES)


_buffers = _Buffers()


def _usual_meta(path: str, locks: LockTable) -> PersistedSessionMeta | None:
    """Read the meta of a file in the page cache that is as the real writer leaves it; else None.

    A closed one, or a WAL that was counted before. 15 us where ``_meta``, which takes whatever
    there is, takes 35.
    """
    if _NOWAIT is None:
        return None
    head, tail = _buffers.head, _buffers.tail
    try:
        fd = os.open(path, OPEN_FLAGS)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            return None
        brief = _counted_before(status, size) if path.endswith(WAL_ENDING) else None
        got = os.preadv(fd, [head], 0, _NOWAIT)
        if got != min(size, _END_BYTES):
            return None
        if got == size:
            tail, end = head, size
        else:
            end = got if brief else os.preadv(fd, [tail], size - _END_BYTES, _NOWAIT)
            if end != _END_BYTES:
                return None
    except OSError:
        return None
    finally:
        os.close(fd)
    body = head.find(b"\n", 0, got) + 1
    header = usual_header(head[:body]) if body else None
    if header is None:
        return None
    if brief is None:
        trailer = _last_line(tail, end, size, body)
        if trailer is None or (chunks := trailer.final_chunk_count) is None or chunks < 0:
            return None
        meta = _as_meta(path, status, size, header, trailer, chunks, locks)
    else:
        meta = _as_meta(
            path, status, size, header, brief.trailer, brief.chunks, locks, brief.torn_bytes
        )
    _keep(meta, status)
    return meta


def _last_line(tail: bytearray, end: int, size: int, body: int) -> Trailer | None:
    """Take the trailer that ends a file; None where the last line is none.

    Args:
        tail: the file's last bytes: begins with them, and may hold others behind.
        end: how many they are.
        size: the file's.
        body: where in the file its header ends.
    """
    first = max(0, body - (size - end))
    last = tail.rfind(b"\n", first, end - 1) + 1
    if not last and size - end + first == body:
        last = first  # directly behind the header
    if not last or tail[end - 1] != _NEWLINE:
        return None
    return usual_trailer(tail[last:end])


def _read_and_keep(
    path: str, locks: LockTable, *, depth: Depth
) -> tuple[PersistedSessionMeta, bool]:
    try:
        file = SessionFile(path)
        try:
            status = file.stat()
            found = _meta(file, path, locks, depth=depth)
        finally:
            file.close()
    except OSError as error:
        raise explain(error, Path(path)) from error
    if depth is Depth.LINES:
        _keep(found[0], status)
    return found


def _as_meta(  # noqa: PLR0917 - called for every file, where names cost
    path: str,
    status: os.stat_result,
    size: int,
    header: Header,
    trailer: Trailer | None,
    chunks: int,
    locks: LockTable,
    torn_bytes: int = 0,
    damaged_lines: int | None = None,
) -> PersistedSessionMeta:
    state, pid = _state(status, path, locks, closed=trailer is not None)
    modified_s = status.st_mtime
    parents = header.parent_session_ids
    return PersistedSessionMeta(
        id_text=str(header.id),
        file=path,
        created_at=header.created_at,
        lineage_operator=header.lineage_operator,
        lineage_kind=header.lineage_kind,
        chunk_count=chunks,
        closed=trailer is not None,
        state=state,
        parent_texts=tuple([str(parent) for parent in parents]) if parents else (),
        cumulative_usage=trailer.cumulative_usage if trailer else None,
        closed_at=trailer.closed_at if trailer else None,
        size_bytes=size,
        modified_at=datetime.fromtimestamp(
            modified_s
            if _FIRST_S <= modified_s <= _LAST_S
            else min(max(modified_s, _FIRST_S), _LAST_S),
            UTC,
        ),
        writer_pid=pid,
        damaged_lines=damaged_lines,
        torn_bytes=torn_bytes,
        file_id=FileId.of(status),
        mtime_ns=status.st_mtime_ns,
    )


def _meta(
    file: SessionFile, path: str, locks: LockTable, *, depth: Depth
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
    if depth is Depth.RECORDS:
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
            brief = (
                _counted_before(status, size)
                or (_last_index(file, body, size) if depth is Depth.ENDS else None)
                or _count(file, body, size, decoder, status)
            )
    meta = _as_meta(
        path,
        status,
        size,
        header,
        brief.trailer,
        brief.chunks,
        locks,
        brief.torn_bytes,
        brief.damaged if depth is Depth.RECORDS else None,
    )
    return meta, cached


class _Brief:
    """What is gathered of a file behind its header."""

    __slots__ = ("chunks", "damaged", "since_s", "solid", "torn_bytes", "trailer")

    def __init__(self) -> None:
        self.since_s = 0.0
        self.solid = False
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


def _last_index(file: SessionFile, body: int, size: int) -> _Brief | None:
    """Take the last line's word for how many chunks there are; None where lines are to count."""
    if size <= _COUNTED_BYTES:
        return None
    start = max(body, _lines_back(file, size, 1))
    line = file.read_now(start, min(size - start, MAX_LINE_BYTES + 1))
    end = line.find(b"\n") + 1
    chunk = usual_chunk(line[:end])
    if chunk is None or chunk.index is None or chunk.index < 0:
        return None
    brief = _Brief()
    brief.chunks, brief.torn_bytes = chunk.index + 1, size - start - end
    return brief


def _count(
    file: SessionFile, body: int, size: int, decoder: RecordDecoder, status: os.stat_result
) -> _Brief:
    """Count chunks and find the last trailer, decoding only lines of an unusual form.

    Of a file that grew since it was last counted, only what was added.
    """
    key = _count_key(status, size)
    before = _counted.get(key)
    brief = _Brief()
    so_far = _known_so_far(file, status, size)
    if so_far is not None and so_far.offset >= body:
        body, lines = so_far.offset, so_far.lines
        brief.chunks, brief.trailer = so_far.chunks, so_far.trailer
    else:
        lines = _newlines(file, 0, body)
    framer = LineFramer(offset=body, line=lines + 1, max_line_bytes=_LONG_BYTES)
    for item in _items(file, framer, size):
        if isinstance(item, LongLine):
            if item.length - 1 > MAX_LINE_BYTES:
                brief.damaged += 1
            elif item.head.startswith(CHUNK_START):
                brief.chunks += 1
            else:
                brief.add(decoder.decode_line(file.read_now(item.offset, item.length)))
            continue
        data, start = item.data, 0
        for end in item.ends:
            if data.startswith(CHUNK_START, start):
                brief.chunks += 1
            else:
                brief.add(decoder.decode_line(data[start:end]))
            start = end
    brief.torn_bytes = framer.pending
    _remember(file, status, framer.offset, framer.line - 1, brief)
    now_s = time.monotonic()
    brief.since_s = before.since_s if before else now_s
    brief.solid = (
        now_s - brief.since_s >= _SETTLED_S or time.time_ns() - status.st_ctime_ns >= _OLD_NS
    )
    _counted.put(key, brief)
    return brief


class _SoFar(NamedTuple):
    """What was counted of a file that grows."""

    #: Just behind a newline.
    offset: int
    #: Lines before it.
    lines: int
    #: Chunks before it.
    chunks: int
    #: The last trailer before it.
    trailer: Trailer | None
    #: The file's first bytes, and those before the offset: as a cursor, whoever finds both finds
    #: the file that was counted.
    head: bytes
    tail: bytes


#: By device and inode; some 1 KB each.
_so_far: _Kept[FileId, _SoFar] = _Kept(1_000)


def _known_so_far(file: SessionFile, status: os.stat_result, size: int) -> _SoFar | None:
    known = _so_far.get(FileId.of(status))
    if (
        known is None
        or known.offset > size
        or file.read_now(0, len(known.head)) != known.head
        or file.read_now(known.offset - len(known.tail), len(known.tail)) != known.tail
    ):
        return None
    return known


def _remember(
    file: SessionFile, status: os.stat_result, offset: int, lines: int, brief: _Brief
) -> None:
    if offset < _LONG_BYTES:
        return  # a smaller file is counted in a millisecond
    head, tail = file.read_now(0, WINDOW_BYTES), file.read_now(offset - WINDOW_BYTES, WINDOW_BYTES)
    _so_far.put(
        FileId.of(status),
        _SoFar(offset, lines, brief.chunks, brief.trailer, head, tail),
    )


# What was counted, by file and stamp: a crashed session is counted once, not in
# every listing, also where it is listed by other names. Some 300 bytes each.
_counted: _Kept[tuple[FileId, FileStamp], _Brief] = _Kept(10_000)


def _count_key(status: os.stat_result, size: int) -> tuple[FileId, FileStamp]:
    return FileId.of(status), FileStamp(size, status.st_mtime_ns, status.st_ctime_ns)


def _counted_before(status: os.stat_result, size: int) -> _Brief | None:
    brief = _counted.get(_count_key(status, size))
    return brief if brief is not None and brief.solid else None


def _decode_all(file: SessionFile, size: int, brief: _Brief) -> None:
    decoder = RecordDecoder()
    framer = LineFramer(max_line_bytes=_LONG_BYTES)
    for item in _items(file, framer, size):
        if isinstance(item, LongLine) and item.length - 1 <= MAX_LINE_BYTES:
            item = Block.cut(file.read_now(item.offset, item.length))  # noqa: PLW2901 - the same
        for record in decoder.decode(item).records:
            brief.add(record)
    brief.torn_bytes = framer.pending


def _items(file: SessionFile, framer: LineFramer, size: int) -> Iterator[Block | LongLine]:
    """Yield whole lines; those above ``_LONG_BYTES`` by their heads, so that none takes memory."""
    while framer.position < size:
        data = file.read_now(framer.position, min(_COUNT_BYTES, size - framer.position))
        if not data:
            break
        yield from framer.feed(data)


def position_before_end(file: SessionFile, last: int, end: int | None = None) -> Position:
    """Return the position ``last`` lines before the end, blocking; the start if there are fewer.

    ``end`` is taken for the file's, where it has grown since.

    A file that does not start with a header has no other position than its start. Lines before
    the position are counted from the file's begin, or from where a listing has counted them, if
    that is not far; else they are unknown, so that of a large file just the ends are read.
    """
    status = file.stat()
    size = status.st_size if end is None else min(status.st_size, end)
    decoder = RecordDecoder()
    try:
        header, _ = _header(file, decoder, file.read_now(0, _END_BYTES))
    except DamagedSession:
        return START
    offset = _lines_back(file, size, last)
    if not offset:
        return START
    brief = _Brief()
    _take_trailer(file.read_now(max(0, offset - _END_BYTES), min(offset, _END_BYTES)), brief)
    window = min(offset, WINDOW_BYTES)
    return Position(
        offset,
        _lines_before(file, status, offset),
        decoder.header_version,
        brief.trailer is not None,
        fingerprint(file.read_now(0, window)),
        fingerprint(file.read_now(offset - window, window)),
        header.id,
    )


def _lines_before(file: SessionFile, status: os.stat_result, offset: int) -> int | None:
    if offset <= _COUNTED_BYTES:
        return _newlines(file, 0, offset)
    known = _known_so_far(file, status, status.st_size)
    if known is None or abs(known.offset - offset) > _COUNTED_BYTES:
        return None
    if known.offset > offset:
        return known.lines - _newlines(file, offset, known.offset)
    return known.lines + _newlines(file, known.offset, offset)


def _newlines(file: SessionFile, start: int, end: int) -> int:
    count = 0
    for at in range(start, end, _COUNT_BYTES):
        data = file.read_now(at, min(_COUNT_BYTES, end - at))
        # By memchr: bytes.count() of one letter takes three times as long.
        count += len(data) - len(data.replace(b"\n", b""))
    return count


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

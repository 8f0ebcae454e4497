"""records -> a WAL like the real writer's, renamed when it is closed.

One writer a session, by an exclusive ``flock`` that is held while the file is open. The header is
written at once, then one line a record with one ``write``. The bytes are the real writer's, but
for what would hurt a reader: a half line that failed is cut off again, an old WAL is continued
after its last whole line, a lone surrogate is escaped, what a reader would call damage is refused,
and the rename comes before the lock goes. What several tasks write comes in the order of the calls.
Source: openrath 2.0.0, ``rath.session.persistence.writer`` and ``_serialize``.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, TypeVarTuple

import anyio

from sessiontail.errors import PersistenceError, SessionBusy
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.encoding import check, check_field, chunk_line, header_line, trailer_line
from sessiontail.format.folding import damaged
from sessiontail.format.framing import LineFramer
from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.records import Chunk, Damage, Header, Record, TokenUsage
from sessiontail.session.reader import READ_BYTES
from sessiontail.system.files import change, explain
from sessiontail.system.paths import path_paths, resolve_path, session_paths

__all__ = ["SessionWriter"]

_FLAGS = (
    os.O_RDWR
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)


_Args = TypeVarTuple("_Args")


def _no_gate(moment: str) -> None:
    pass


class SessionWriter:
    """Writes one session's file.

        async with SessionWriter(Header(id=uuid4(), created_at=datetime.now(UTC))) as writer:
            await writer.write(Chunk(kind=ChunkKind.USER, payload={"content": "hello"}))

    Leaving the context closes the session; an exception, a cancellation too, abandons it. An
    existing WAL of the same id is continued. A write that has begun ends, whoever is cancelled.
    """

    # Called in the writing thread with the name of a moment that a race could hit.
    _gate: Callable[[str], None] = staticmethod(_no_gate)

    def __init__(
        self,
        header: Header,
        *,
        directory: str | PathLike[str] | None = None,
        path: str | PathLike[str] | None = None,
    ) -> None:
        """Prepare; nothing is created before the context is entered or ``open`` is awaited.

        Args:
            header: the first record; of a WAL that is continued, only its id counts.
            directory: the sessions directory, instead of the one that openrath would use.
            path: this file instead, under either of its names.

        Raises:
            TypeError: ``header`` is none.
            PersistenceError: ``OPENRATH_HOME`` names something that is no directory.
        """
        self._fd = -1
        check(header, Header)
        self._header = header
        self._paths = (
            session_paths(header.id, directory) if path is None else path_paths(resolve_path(path))
        )
        self._closed = False
        # Calls take turns, first come, first served: threads do not.
        self._turn = anyio.Lock()
        # Held by the thread that works: a caller that is cancelled natively leaves it behind.
        self._mutex = Lock()
        self._chunks = 0
        self._torn_bytes_cut = 0

    def __del__(self) -> None:
        self._release()

    @property
    def path(self) -> Path:
        """The file's name once it is closed."""
        return self._paths.final

    @property
    def partial_path(self) -> Path:
        """The file's name while it is written."""
        return self._paths.wal

    @property
    def chunks_written(self) -> int:
        """Chunks in the file, those that a resumed WAL had included."""
        return self._chunks

    @property
    def torn_bytes_cut(self) -> int:
        """Bytes after the last newline of a resumed WAL, which were cut off."""
        return self._torn_bytes_cut

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self.abandon()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            if exc_type is None:
                with anyio.CancelScope(shield=True):
                    await self.close()
        finally:
            await self.abandon()

    async def open(self) -> None:
        """Open and lock the WAL; write the header, or cut off a torn line. Again is no error.

        Raises:
            SessionBusy: another writer holds the WAL.
            DamagedSession: there is a WAL whose first line is damaged.
            PersistenceError: there is a WAL of another session, or it cannot be written.
            TypeError, ValueError: a field of the header cannot be read back; nothing is created.
        """
        await self._run(self._open)

    async def write(self, chunk: Chunk) -> None:
        """Append a chunk; without an index of its own it gets the running number, from 0.

        Raises:
            PersistenceError: it cannot be written; the file is as it was before.
            TypeError: a field has another type, or the payload is no JSON.
            ValueError: a reader would call it damage: an unknown kind, a line too long or too deep.
        """
        check(chunk, Chunk)
        await self._run(self._write, chunk.index, chunk)

    async def write_chunk(self, index: int, chunk: Chunk) -> None:
        """Append a chunk under this index; raises as ``write``."""
        check(chunk, Chunk)
        check_field("Chunk.index", index, (int,))
        await self._run(self._write, index, chunk)

    async def close(self, usage: TokenUsage | None = None) -> None:
        """Write the trailer and give the file its final name. Again is no error.

        Args:
            usage: tokens of the session; None is unknown, never zero.

        Raises:
            PersistenceError: the trailer cannot be written: the file is as it was before, and
                the writer open; or the WAL was deleted or cannot be renamed.
            TypeError: ``usage`` is none; the writer is open.
        """
        await self._run(self._close, usage)

    async def abandon(self) -> None:
        """Let go of the WAL as it is, without a trailer. After ``close`` it does nothing."""
        with anyio.CancelScope(shield=True):
            await self._run(self._abandon)

    async def _run(self, function: Callable[[*_Args], None], *args: *_Args) -> None:
        def locked() -> None:
            with self._mutex:
                function(*args)

        try:
            async with self._turn:
                await change(locked)
        except OSError as error:
            raise explain(error, self._paths.wal) from error

    def _open(self) -> None:
        if self._closed:
            raise PersistenceError("this writer is closed", path=self._paths.final)
        if self._fd >= 0:
            return
        header = header_line(self._header)  # before there is a file: it may be refused
        self._paths.wal.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open_wal(self._paths.wal)
            self._resume(header)
        except BaseException:
            self._release()
            raise

    def _open_wal(self, wal: Path) -> None:
        while True:
            self._fd = os.open(wal, _FLAGS, 0o600)
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                raise PersistenceError("not a regular file", path=wal)
            self._gate("opened")
            _lock(self._fd, wal)
            if self._has_name():
                return
            self._release()  # renamed or deleted before the lock was ours

    def _resume(self, header: bytes) -> None:
        """Make what was written before fit to be continued; write the header where none was."""
        framer, decoder = LineFramer(), RecordDecoder()
        first: Record | None = None
        chunks = 0
        while data := os.pread(self._fd, READ_BYTES, framer.position):
            for item in framer.feed(data):
                records = decoder.decode(item).records
                if first is None and records:
                    first = records[0]
                    self._refuse_stranger(first, decoder.header_version)
                chunks += sum(type(record) is Chunk for record in records)
        self._chunks = chunks
        if framer.pending:
            os.ftruncate(self._fd, framer.offset)
            self._torn_bytes_cut = framer.pending
        if first is None:
            self._append(header)

    def _refuse_stranger(self, first: Record, version: int | None) -> None:
        wal = self._paths.wal
        if isinstance(first, Damage):
            raise damaged(first, wal)
        assert isinstance(first, Header)
        if first.id != self._header.id:
            raise PersistenceError(
                f"this WAL is of session {first.id}, not of {self._header.id}", path=wal, line=1
            )
        if version != CURRENT_SCHEMA_VERSION:
            raise PersistenceError(
                f"this WAL has schema_version={version}; it cannot be continued "
                f"in version {CURRENT_SCHEMA_VERSION}",
                path=wal,
                line=1,
            )

    def _write(self, index: int | None, chunk: Chunk) -> None:
        self._append(chunk_line(chunk, self._chunks if index is None else index))
        self._chunks += 1

    def _append(self, line: bytes) -> None:
        if self._fd < 0:
            state = "closed" if self._closed else "not open; use `async with` or `await open()`"
            raise PersistenceError(f"this writer is {state}", path=self._paths.final)
        rest = memoryview(line)
        end = os.fstat(self._fd).st_size
        self._gate("writing")
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            try:
                os.ftruncate(self._fd, end)
            except OSError:
                self._abandon()  # the next writer cuts it
                raise
            raise

    def _close(self, usage: TokenUsage | None) -> None:
        if self._closed:
            return
        if self._fd >= 0:
            self._append(trailer_line(self._chunks, usage, closed_at=datetime.now(UTC)))
        try:
            if self._fd >= 0:
                self._gate("trailer written")
                self._rename()
        finally:
            self._abandon()

    def _rename(self) -> None:
        if not self._has_name():
            raise PersistenceError(
                "deleted or replaced while it was written: nothing is left to close",
                path=self._paths.wal,
            )
        if sys.platform == "win32":
            self._release()  # an open file cannot be renamed there
        self._paths.wal.replace(self._paths.final)

    def _abandon(self) -> None:
        self._closed = True
        self._release()

    def _release(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            try:
                _unlock(fd)
            finally:
                os.close(fd)

    def _has_name(self) -> bool:
        """Say whether the WAL's name leads to the file that is open."""
        try:
            return os.path.samestat(os.fstat(self._fd), self._paths.wal.lstat())
        except FileNotFoundError:
            return False


if sys.platform == "win32":

    def _lock(fd: int, path: Path) -> None:
        """Without ``flock`` nothing keeps a second writer off."""

    def _unlock(fd: int) -> None:
        pass

else:
    import fcntl

    def _lock(fd: int, path: Path) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SessionBusy("another writer holds it", path=path) from error

    def _unlock(fd: int) -> None:
        # Said, not left to close(): a forked child may still have the descriptor.
        fcntl.flock(fd, fcntl.LOCK_UN)

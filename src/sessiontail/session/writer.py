"""records -> a WAL like the real writer's, renamed when it is closed.

One writer a session, by an exclusive ``flock`` that is held while the file is open. The header is
written at once, then one line a record with one ``write``. The bytes are the real writer's, but
for what would hurt a reader: a half line that failed is cut off again, an old WAL is continued
after its last whole line, a lone surrogate is escaped, what a reader would call damage is refused,
and the rename comes before the lock goes. What several tasks write comes in the order of the calls.
Source: openrath 2.0.0, ``rath.session.persistence.writer`` and ``_serialize``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, TypeVarTuple

import anyio

from sessiontail.errors import PersistenceError
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.encoding import check, check_field, chunk_line, header_line, trailer_line
from sessiontail.format.folding import damaged
from sessiontail.format.framing import LineFramer
from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.records import Chunk, Damage, Header, Record, TokenUsage
from sessiontail.session.wal import WalFile
from sessiontail.system.buckets import refuse_bucket
from sessiontail.system.files import change, explain
from sessiontail.system.paths import path_paths, resolve_path, session_paths

__all__ = ["SessionWriter"]

_Args = TypeVarTuple("_Args")


class SessionWriter:
    """Writes one session's file.

        async with SessionWriter(Header(id=uuid4(), created_at=datetime.now(UTC))) as writer:
            await writer.write(Chunk(kind=ChunkKind.USER, payload={"content": "hello"}))

    Leaving the context closes the session; an exception, a cancellation too, abandons it. An
    existing WAL of the same id is continued. A write that has begun ends, whoever is cancelled.
    """

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
        check(header, Header)
        self._header = header
        self._wal = WalFile(
            session_paths(header.id, directory) if path is None else path_paths(resolve_path(path))
        )
        refuse_bucket(self._wal.paths.directory, "written")
        self._closed = False
        # Calls take turns, first come, first served: threads do not.
        self._turn = anyio.Lock()
        # Held by the thread that works: a caller that is cancelled natively leaves it behind.
        self._mutex = Lock()
        self._chunks = 0
        self._torn_bytes_cut = 0

    @property
    def path(self) -> Path:
        """The file's name once it is closed."""
        return self._wal.paths.final

    @property
    def partial_path(self) -> Path:
        """The file's name while it is written."""
        return self._wal.paths.wal

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
            TypeError, ValueError: ``usage`` is none, or cannot be read back; the writer is open.
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
            raise explain(error, self.partial_path) from error

    def _open(self) -> None:
        if self._closed:
            raise PersistenceError("this writer is closed", path=self.path)
        if self._wal.is_open:
            return
        header = header_line(self._header)  # before there is a file: it may be refused
        try:
            self._wal.open()
            self._resume(header)
        except BaseException:
            self._wal.release()
            raise

    def _resume(self, header: bytes) -> None:
        """Make what was written before fit to be continued; write the header where none was."""
        framer, decoder = LineFramer(), RecordDecoder()
        first: Record | None = None
        chunks = 0
        while data := self._wal.read(framer.position):
            for item in framer.feed(data):
                records = decoder.decode(item).records
                if first is None and records:
                    first = records[0]
                    self._refuse_stranger(first, decoder.header_version)
                chunks += sum(type(record) is Chunk for record in records)
        self._chunks = chunks
        if framer.pending:
            self._wal.cut(framer.offset)
            self._torn_bytes_cut = framer.pending
        if first is None:
            self._append(header)

    def _refuse_stranger(self, first: Record, version: int | None) -> None:
        wal = self.partial_path
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
        if not self._wal.is_open:
            state = "closed" if self._closed else "not open; use `async with` or `await open()`"
            raise PersistenceError(f"this writer is {state}", path=self.path)
        try:
            self._wal.append(line)
        finally:
            self._closed = not self._wal.is_open

    def _close(self, usage: TokenUsage | None) -> None:
        if self._closed:
            return
        if self._wal.is_open:
            self._append(trailer_line(self._chunks, usage, closed_at=datetime.now(UTC)))
        try:
            if self._wal.is_open:
                self._wal.gate("trailer written")
                self._wal.rename()
        finally:
            self._abandon()

    def _abandon(self) -> None:
        self._closed = True
        self._wal.release()

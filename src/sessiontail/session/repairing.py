"""session file -> a clean copy of it under another name, never in place.

The file is read in steps, each in a thread; memory holds a line and what was done to the lines of one
step. It is read up to the end that it has when reading begins. A session that is being written can be
copied so, and the copy says so; it cannot be closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
from msgspec import Struct, structs

from sessiontail.errors import DamagedSession, PersistenceError, SessionBusy
from sessiontail.format.brief import brief, counted, short
from sessiontail.format.framing import MAX_LINE_BYTES, LineFramer
from sessiontail.format.mending import Mend, Mended, Mender
from sessiontail.format.plain import SCHEMA, plain
from sessiontail.session.blocks import READ_BYTES
from sessiontail.session.ends import no_header
from sessiontail.session.generations import no_file, not_found
from sessiontail.system.files import SessionFile, change, explain, open_file
from sessiontail.system.fresh_files import FreshFile
from sessiontail.system.locks import LockTable
from sessiontail.system.stamps import FileId
from sessiontail.urls import as_path

__all__ = ["Repaired", "repair_file"]


class Repaired(Struct, frozen=True, kw_only=True, gc=False):
    """What became of a session file."""

    id: UUID
    #: The file that was read, and the clean copy.
    path: Path
    to: Path
    #: Bytes of each.
    source_bytes: int
    size_bytes: int
    #: Records in the copy, and chunks among them.
    records: int
    chunks: int
    #: Whether the copy has a trailer.
    closed: bool
    #: Who writes the session still: the copy is of what there was.
    writer_pid: int | None = None
    #: What was done, in file order; empty where it was handed to ``on_mend``.
    mends: tuple[Mend, ...] = ()
    #: How often each was done, by action.
    mend_counts: dict[str, int] = {}

    def __repr__(self) -> str:
        done = sum(self.mend_counts.values())
        return brief(self, short(self.id), counted(self.records, "record"), counted(done, "mend"))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it (``plain``)."""
        fields = {**structs.asdict(self), "mends": [mend.to_dict() for mend in self.mends]}
        named = {"file" if name == "path" else name: plain(one) for name, one in fields.items()}
        return {"schema": SCHEMA, **named}


async def repair_file(
    names: Sequence[str],
    to: Path,
    *,
    close: bool = False,
    force: bool = False,
    on_mend: Callable[[Mend], object] | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Repaired:
    """Write a clean copy of a session file.

    Args:
        names: those that it may have; the first that exists is taken.
        to: the copy's name.
        close: add a trailer where there is none.
        force: replace a file of that name.
        on_mend: is told what is done, line by line; by default it is in the result.
        max_line_bytes: a longer line is no record.

    Raises:
        SessionNotFound: none of the names exists.
        DamagedSession: there is no header, so that there is nothing to make whole.
        SessionBusy: ``close``, and somebody writes the session; or somebody writes ``to``.
        PersistenceError: the file cannot be read, or the copy not be written. In all of these, no
            file is left.
    """
    file = await _open(names)
    copy: _Copy | None = None
    kept: list[Mend] = []
    try:
        begin = partial(_Copy, close=close, force=force, max_line_bytes=max_line_bytes)
        copy = await change(begin, file, to)
        more = True
        while more:
            more = await change(copy.step)
            mends, copy.mends = copy.mends, []
            for mend in mends:
                (on_mend or kept.append)(mend)
        return structs.replace(copy.result(), mends=tuple(kept))
    finally:
        with anyio.CancelScope(shield=True):
            await change(_leave, copy, file)


async def _open(names: Sequence[str]) -> SessionFile:
    misfit: PersistenceError | None = None
    for path in map(as_path, names):
        try:
            return await open_file(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            misfit = misfit or no_file(error, path)  # the session may have the other name
    if misfit is not None:
        raise misfit
    raise await change(not_found, names)


def _leave(copy: _Copy | None, file: SessionFile) -> None:
    if copy is not None:
        copy.fresh.discard()
    file.close()


class _Copy:
    """A copy that comes to be. Blocks: for threads."""

    def __init__(
        self, file: SessionFile, to: Path, *, close: bool, force: bool, max_line_bytes: int
    ) -> None:
        self._file = file
        status = file.stat()
        self._size = status.st_size
        self._close = close
        self._pid = LockTable.read().holder(status)
        if close and self._pid is not None:
            raise SessionBusy(
                f"process {self._pid} is writing it; without a trailer it can be copied",
                path=file.path,
            )
        self._framer = LineFramer(max_line_bytes=max_line_bytes)
        self._mender = Mender()
        #: What was done and not told so far.
        self.mends: list[Mend] = []
        self._counts: dict[str, int] = {}
        # The first that was damage.
        self._first: Mend | None = None
        self.fresh = FreshFile(
            to, replace=force, source=FileId.of(status), mode=status.st_mode & 0o777 | 0o600
        )

    def step(self) -> bool:
        """Go on for one read; return whether there is more to do."""
        framer = self._framer
        left = self._size - framer.position
        if left <= 0:
            self._finish()
            return False
        data = self._read(framer.position, min(left, READ_BYTES))
        for item in framer.feed(data):
            self._put(self._mender.take(item))
        return True

    def result(self) -> Repaired:
        """Return what became of it."""
        mender = self._mender
        assert mender.header is not None
        return Repaired(
            id=mender.header.id,
            path=self._file.path,
            to=self.fresh.target,
            source_bytes=self._size,
            size_bytes=self.fresh.size,
            records=mender.records,
            chunks=mender.chunks,
            closed=mender.trailer is not None or self._close,
            writer_pid=self._pid,
            mend_counts=self._counts,
        )

    def _finish(self) -> None:
        framer, mender = self._framer, self._mender
        length = framer.pending
        tail = None if framer.skipping else self._read(framer.offset, length)
        place = {"line": framer.line, "offset": framer.offset}
        self._put(mender.finish(tail, length=length, **place))
        if mender.header is None:
            raise self._headless(tail or b"")
        if self._close:
            self._put(
                mender.close(datetime.now(UTC), line=framer.line + bool(length), offset=self._size)
            )
        self.fresh.commit()

    def _headless(self, tail: bytes) -> DamagedSession:
        """Return the error for a file without a header: the first damage says what became of it."""
        path, first = self._file.path, self._first
        if first is None:
            return DamagedSession(no_header(path, tail), path=path, reason="no-header")
        return DamagedSession(
            f"no header, so nothing to make whole: {first.message}",
            path=path,
            line=first.line,
            offset=first.offset,
            reason="no-header",
        )

    def _put(self, mended: Mended) -> None:
        self.fresh.write(mended.data)
        self.mends += mended.mends
        for mend in mended.mends:
            if self._first is None and mend.reason not in ("blank", "torn-tail"):
                self._first = mend
            self._counts[mend.action] = self._counts.get(mend.action, 0) + 1

    def _read(self, offset: int, size: int) -> bytes:
        file = self._file
        try:
            data = file.read_now(offset, size)
        except OSError as error:
            raise explain(error, file.path) from error
        if not data and size:
            raise PersistenceError("cut while it was read; try again", path=file.path)
        return data

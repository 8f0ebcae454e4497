"""an id or a path -> that session as messages, a page or a trajectory, in pieces of text.

What is read is written in a thread and handed on, so that a session of any length passes through; a
trajectory alone is held whole, because a result can come long behind its call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Literal, Self
from uuid import UUID

import anyio
from anyio.abc import AsyncResource

from sessiontail import checks
from sessiontail.directory.ancestry import finder, inherited_count
from sessiontail.directory.finding import search
from sessiontail.errors import PersistenceError
from sessiontail.format.exporting import FORMS, SKIPPING, ExportForm, scribe
from sessiontail.format.facts import Facts
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.records import Damage, Header, Record
from sessiontail.session.pulling import AsyncEntered, AsyncPulled, OneTask
from sessiontail.session.reading import SessionReader
from sessiontail.session.sieve import Inherited
from sessiontail.session.summary import Detail, first_meta
from sessiontail.system.files import change, explain, in_thread
from sessiontail.system.fresh_files import FreshFile
from sessiontail.system.paths import parse_session_id, path_paths, resolve_path, session_paths
from sessiontail.system.stamps import FileId

__all__ = ["Export", "export_session"]


def export_session(
    session_id: UUID | str | None = None,
    *,
    form: ExportForm,
    path: str | PathLike[str] | None = None,
    directory: str | PathLike[str] | None = None,
    inherited: Literal["include", "skip"] | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Export:
    """Return a session in another form, up to its end as it is when reading begins.

    "messages" is a JSON array in OpenAI's chat form, one message a row. "markdown" and "html" are
    pages to read: calls stand with their results, damage where it is, and nothing that an agent wrote
    is more than text. "atif" is a trajectory of the Agent Trajectory Interchange Format, v1.8.

    Args:
        session_id: which one; its WAL, else the closed file.
        form: one of these.
        path: this file instead of an id.
        directory: where the session files lie; by default where openrath puts them.
        inherited: "skip" leaves out the first rows where they are an earlier session's, "include"
            marks them, where the form can. By default pages skip them, and the others have them.
        max_line_bytes: a longer line is damage.

    Returns:
        An async iterator and context manager over pieces of text, and ``save(to)``.

    Raises:
        InvalidSessionId: that is no id.
        ValueError: there is no such form; ``inherited`` is neither.
        TypeError: neither a ``session_id`` nor a ``path`` is given.
    """
    checks.one_of("form", form, FORMS)
    checks.positive("max_line_bytes", max_line_bytes, int)
    if inherited is None:
        inherited = "skip" if form in SKIPPING else "include"
    if path is None and session_id is None:
        raise TypeError("give a session_id or path=")
    only = None if path is None else resolve_path(path)
    if only is not None:
        paths, find = path_paths(only), None
    else:
        assert session_id is not None
        paths = session_paths(session_id, directory)
        find = partial(search, parse_session_id(session_id), paths.directory)
    reader = SessionReader(
        paths,
        only=only,
        search=find,
        find=finder(inherited, paths.directory, max_line_bytes),
        max_line_bytes=max_line_bytes,
    )
    marks = inherited == "include" and form != "messages"
    return Export(reader, form, count_within=max_line_bytes if marks else None)


class Export(AsyncPulled, AsyncEntered, AsyncIterator[str], AsyncResource):
    """A session as pieces of text, all of which are UTF-8 when encoded.

    Made by ``export_session``. An async iterator and an async context manager; one task at a time may
    pull. A step that is cancelled loses nothing.

    Args:
        reader: the records.
        form: what they become.
        count_within: find out how many of the first rows are inherited, where a line has so many bytes
            at most; None: it is not marked.
    """

    def __init__(
        self, reader: SessionReader, form: ExportForm, *, count_within: int | None
    ) -> None:
        self._reader = reader
        self._batches = reader.batches()
        self._scribe = scribe(form)
        self._form = form
        self._count_within = count_within
        # Read, and not written so far; and written, and not handed over.
        self._batch: list[Record] | None = None
        self._pieces: deque[str] = deque()
        self._facts: Facts | None = None
        self._begun = self._told = False
        self._one_task = OneTask("export")
        # Whether all was read; and whether the end was written.
        self._read = self._ended = False
        #: Lines that are no records, so far.
        self.damaged_lines = 0
        #: Bytes of the file when reading began; None before that.
        self.size_bytes: int | None = None

    def __repr__(self) -> str:
        return f"<Export as {self._form} of {self._reader!r}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        """Return the next piece.

        Raises:
            StopAsyncIteration: that was all.
            SessionNotFound: there is no such session.
            PersistenceError: the file cannot be read.
            StreamBusy: another task waits for the next one.
        """
        with self._one_task:
            while not self._pieces:
                if self._ended:
                    raise StopAsyncIteration
                await self._fill()
            return self._pieces.popleft()

    @property
    def path(self) -> Path:
        """The file that is read, or would be."""
        return self._reader.path

    @property
    def header(self) -> Header | None:
        """The session's header, once it was read; a file without one is no session."""
        return self._reader.header

    @property
    def bytes_done(self) -> int:
        """Bytes of the file that are read."""
        return self._reader.offset

    @property
    def torn_bytes(self) -> int:
        """Bytes after the last newline, once the end was met."""
        return self._reader.torn_bytes

    @property
    def inherited(self) -> Inherited | None:
        """What is left out as inherited, as far as that is known; None where nothing is left out."""
        return self._reader.inherited if self._reader.left_out else None

    async def save(self, to: str | PathLike[str], *, force: bool = False) -> Path:
        """Write all of it to a file, whole or not at all; return the file.

        Args:
            to: a new file.
            force: replace it if it is there; never the session's own.

        Raises:
            SessionBusy: somebody writes ``to``.
            PersistenceError: the session cannot be read, or the file not be written. No file is left.
        """
        target = resolve_path(to)
        fresh: FreshFile | None = None
        try:
            async for piece in self:
                if fresh is None:  # the session is there
                    fresh = await change(self._open, target, force)
                text = piece + "".join(self._pieces)
                self._pieces.clear()
                await change(fresh.write, text.encode())
            assert fresh is not None
            await change(fresh.commit)
        finally:
            if fresh is not None:
                with anyio.CancelScope(shield=True):
                    await change(fresh.discard)
        return target

    async def aclose(self) -> None:
        """Release everything; iterating ends."""
        self._ended = True
        self._pieces.clear()
        self._reader.close()

    def _open(self, target: Path, force: bool) -> FreshFile:  # noqa: FBT001 - for a thread, which takes no names
        try:
            status = self.path.stat()
        except OSError as error:
            raise explain(error, self.path) from error
        source, mode = FileId.of(status), status.st_mode & 0o777 | 0o600
        return FreshFile(target, replace=force, source=source, mode=mode)

    async def _fill(self) -> None:
        """Read on and write what was read."""
        if self._batch is None and not self._read:
            self._batch = await anext(self._batches, None)
            self._read = self._batch is None
        if self._facts is None:
            self._facts = await in_thread(self._gather, place=str(self.path.parent))
        await change(self._write)

    def _gather(self) -> Facts:
        """Return what is known of the session beside its rows. Blocks."""
        path, count = self.path, self._count_within
        with suppress(OSError):  # gone since, which nothing but this depends on
            self.size_bytes = path.stat().st_size
        inherited = 0 if count is None else inherited_count(path, count)
        with suppress(PersistenceError):  # no header: what there is of it is shown all the same
            meta = first_meta((str(path),), Detail.ENDS)
            return Facts(
                name=path.name,
                state=meta.state,
                usage=meta.cumulative_usage,
                closed_at=meta.closed_at,
                size_bytes=meta.size_bytes,
                inherited=inherited,
            )
        return Facts(name=path.name, inherited=inherited)

    def _write(self) -> None:
        """Write what was read. For a thread: it takes as long as it takes to read."""
        records, self._batch = self._batch, None
        pieces, scribe = self._pieces, self._scribe
        if not self._begun:
            self._begun = True
            headers = (record for record in records or () if isinstance(record, Header))
            assert self._facts is not None
            pieces.extend(scribe.begin(next(headers, None), self._facts))
        inherited = self._reader.inherited
        if not self._told and self._reader.left_out and inherited and inherited.count:
            self._told = True
            origin = "an earlier session" if inherited.origin is None else str(inherited.origin)
            pieces.extend(scribe.left_out(inherited.count, origin))
        if records is not None:
            self.damaged_lines += sum(isinstance(record, Damage) for record in records)
            pieces.extend(scribe.take(records))
        elif self._read:
            self._ended = True
            pieces.extend(scribe.end(self._reader.torn_bytes))

"""an id or a path -> one session of a directory: whole, its records, its meta; or it is deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Literal
from uuid import UUID

from sessiontail import checks
from sessiontail.directory import finding
from sessiontail.directory.ancestry import finder, inherited_count
from sessiontail.errors import SessionNotFound
from sessiontail.format.brief import place
from sessiontail.format.folding import PersistedSession
from sessiontail.format.inheritance import may_inherit
from sessiontail.format.records import Record
from sessiontail.session.deleting import delete_both, delete_session_file
from sessiontail.session.line_places import cursor_of
from sessiontail.session.loading import load_file
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.session.reading import SessionReader
from sessiontail.session.summary import Detail, first_meta
from sessiontail.session.tail import SessionTail
from sessiontail.session.waiting import wait_for
from sessiontail.system.buckets import refuse_bucket
from sessiontail.system.files import change, in_thread
from sessiontail.system.paths import (
    SessionPaths,
    parse_session_id,
    path_paths,
    resolve_path,
    session_paths,
)
from sessiontail.system.place import Place
from sessiontail.system.stats import StoreStats
from sessiontail.system.threads import long_place

__all__ = ["OfInherited", "OnAbandoned", "SessionsById"]

OnAbandoned = Literal["stop", "wait"]
OfInherited = Literal["include", "skip"]


class SessionsById:
    """The sessions of one directory, each by its id: the half of ``SessionStore`` that is of one.

    What takes a ``session_id``, a UUID or its text, takes a ``path`` instead: that file, under any
    name. It raises ``InvalidSessionId`` for what is no id, ``SessionNotFound`` where there is no
    such file, and another ``PersistenceError`` where it cannot be read; reading and tailing raise
    these with the first record. An ``after`` that is no cursor raises ``CursorInvalid``.

    Args:
        place: the directory, and its watch.
        max_line_bytes: a longer line is one ``Damage``.
    """

    def __init__(self, place: Place, max_line_bytes: int) -> None:
        #: What this store has done so far.
        self.stats = StoreStats()
        self._max_line_bytes = max_line_bytes
        self._place = place

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {place(self.directory)}>"

    @property
    def directory(self) -> Path:
        """Where the session files lie."""
        return self._place.directory

    async def load(
        self,
        session_id: UUID | str | None = None,
        *,
        path: str | PathLike[str] | None = None,
        salvage: bool = False,
        count_inherited: bool = True,
    ) -> PersistedSession:
        """Read one session whole: the closed file, else the WAL.

        Args:
            session_id: which one.
            path: this file instead.
            salvage: keep what is whole, and list ``damage`` and ``torn_bytes``.
            count_inherited: find out how many of its first rows are an earlier session's. Where its
                first parent has no file, each session of the directory is looked at for that,
                once a process; False leaves ``inherited_count`` None.

        Raises:
            DamagedSession: a line is damaged (not with ``salvage``), or there is no header.
        """
        load = partial(
            load_file, salvage=salvage, max_line_bytes=self._max_line_bytes, stats=self.stats
        )
        if path is not None:
            session = await load((str(resolve_path(path)),))
        else:
            try:
                session = await load(self._paths(session_id).oldest_first)
            except SessionNotFound:
                found = await in_thread(self._search, session_id, place=str(self.directory))
                if found is None:
                    raise
                session = await load(found.oldest_first)
        if not count_inherited:
            return session
        if not may_inherit(session.header):
            return replace(session, inherited_count=0)
        count = await in_thread(
            inherited_count, session.path, self._max_line_bytes, place=str(session.path.parent)
        )
        return replace(session, inherited_count=count)

    def read(
        self,
        session_id: UUID | str | None = None,
        *,
        path: str | PathLike[str] | None = None,
        after: str | None = None,
        last: int | None = None,
        inherited: OfInherited = "include",
    ) -> SessionReader:
        """Return the records of one session up to the end as it is when reading begins.

        Args:
            session_id: which one; its WAL, else the closed file.
            path: this file instead.
            after: a cursor to go on from.
            last: begin so many lines before the end that the file has then, instead.
            inherited: "skip" leaves out the first rows where they are an earlier session's.

        Returns:
            An async iterator and context manager over records; see ``RecordFeed``.
        """
        checks.one_start(after, last)
        only = None if path is None else resolve_path(path)
        paths = self._paths(session_id) if only is None else path_paths(only)
        return SessionReader(
            paths,
            only=only,
            search=partial(self._search, session_id) if only is None else None,
            after=after,
            last=last,
            find=finder(inherited, paths.directory, self._max_line_bytes),
            max_line_bytes=self._max_line_bytes,
            stats=self.stats,
        )

    def tail(
        self,
        session_id: UUID | str | None = None,
        *,
        path: str | PathLike[str] | None = None,
        after: str | None = None,
        last: int | None = None,
        wait: bool | float = False,
        on_abandoned: OnAbandoned = "stop",
        inherited: OfInherited = "include",
    ) -> SessionTail:
        """Return the records of one session from the start until it ends.

        Args:
            session_id: which one; its WAL, else the closed file.
            path: this file instead, under either of its names.
            after: a cursor to go on from.
            last: begin so many lines before the end that the file has then, instead.
            wait: wait for a session that does not exist yet: for ever, or so many seconds.
            on_abandoned: "stop" ends when the writer is gone; "wait" waits for one to come back.
            inherited: "skip" leaves out the first rows where they are an earlier session's.

        Returns:
            An async iterator and context manager over records, with ``cursor`` and ``outcome``.
        """
        checks.one_start(after, last)
        paths = self._paths(session_id) if path is None else path_paths(resolve_path(path))
        return SessionTail(
            paths,
            watch=partial(self._place.watch, paths.directory),
            search=partial(self._search, session_id) if path is None else None,
            after=after,
            last=last,
            find=finder(inherited, paths.directory, self._max_line_bytes),
            wait=wait,
            on_abandoned=on_abandoned,
            max_line_bytes=self._max_line_bytes,
            stats=self.stats,
        )

    async def wait_for(
        self,
        session_id: UUID | str,
        predicate: Callable[[Record], bool],
        *,
        timeout: float | None = None,
        after: str | None = None,
        inherited: OfInherited = "include",
    ) -> Record:
        """Return the first record of a session that the predicate takes, without polling.

        A session that does not exist yet is waited for.

        Args:
            session_id: whose record.
            predicate: is asked for every record in order, damage included.
            timeout: seconds at most; by default no limit.
            after: a cursor: only records behind it count.
            inherited: "skip": what it has copied from an earlier session does not count.

        Raises:
            TimeoutError: no such record within ``timeout``.
            SessionEnded: the session ended without it; the message says how.
            TypeError: the predicate is no plain function.
        """
        checks.plain_function("predicate", predicate)
        tail = self.tail(session_id, after=after, wait=True, inherited=inherited)
        return await wait_for(tail, predicate, timeout=timeout, name=session_id)

    async def delete(
        self, session_id: UUID | str | None = None, *, path: str | PathLike[str] | None = None
    ) -> bool:
        """Delete one session's files, all or none; return whether there was one.

        Of an id, these are ``<id>.jsonl`` and its WAL and nothing else: a copy under another name
        stays, whatever its header says.

        Raises:
            SessionBusy: somebody holds the session; nothing was deleted.
            PersistenceError: it cannot be deleted, or neither its name nor its first line is a
                session's. Nothing was, unless the message says what.
        """
        refuse_bucket(self.directory if path is None else resolve_path(path), "deleted")
        if path is not None:
            return await change(delete_session_file, resolve_path(path))
        return await change(delete_both, self._paths(session_id))

    async def meta(
        self,
        session_id: UUID | str | None = None,
        *,
        path: str | PathLike[str] | None = None,
        verify: bool = False,
    ) -> PersistedSessionMeta:
        """Return one session's meta: the WAL's, else the closed file's.

        Args:
            session_id: which one.
            path: this file instead.
            verify: decode every line, as ``scan`` does.

        Raises:
            DamagedSession: the file does not start with a header.
        """
        detail = Detail.RECORDS if verify else Detail.LINES
        at = str(self.directory if path is None else resolve_path(path).parent)
        files: tuple[str, ...] = () if path is None else (str(resolve_path(path)),)
        if path is None:
            self._paths(session_id)  # refuses what is no id
            files = (await in_thread(self._locate, session_id, place=at)).newest_first
        return await in_thread(first_meta, files, detail, place=long_place(at) if verify else at)

    async def cursor_at(
        self, session_id: UUID | str, line: int | None = None, *, last: int | None = None
    ) -> str:
        """Return the cursor where a line begins, for ``after``; also of the line that comes next.

        Args:
            session_id: which session: its WAL, else the closed file.
            line: from 1. Of a large file, lines are counted once, and then what is added.
            last: so many lines before the end instead; what is read from there has its lines.

        Raises:
            LineNotFound: the file has fewer lines.
            DamagedSession: the file does not start with a header.
        """
        checks.one_line(line, last)
        self._paths(session_id)  # refuses what is no id
        found = await in_thread(self._locate, session_id, place=str(self.directory))
        look = partial(cursor_of, found.newest_first, line, last=last)
        return await in_thread(look, place=str(self.directory))

    def _paths(self, session_id: UUID | str | None) -> SessionPaths:
        if session_id is None:
            raise TypeError("give a session_id or path=")
        return session_paths(session_id, self.directory)

    def _search(self, session_id: UUID | str | None) -> SessionPaths | None:
        assert session_id is not None
        return finding.search(parse_session_id(session_id), self.directory)

    def _locate(self, session_id: UUID | str | None) -> SessionPaths:
        assert session_id is not None
        return finding.locate(parse_session_id(session_id), self.directory)

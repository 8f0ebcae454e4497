"""options of a search -> the files that are searched, those that changed last at the end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from sessiontail import checks
from sessiontail.directory.finding import locate
from sessiontail.directory.names import prefix_of, session_names
from sessiontail.errors import PersistenceError, SessionNotFound
from sessiontail.format.lifecycle import SessionState
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.paths import parse_session_id, resolve_path
from sessiontail.system.statuses import is_there, status_of
from sessiontail.urls import as_path

__all__ = ["Searched", "SearchedFile"]


class SearchedFile(NamedTuple):
    """A file, and its size when it was looked for."""

    path: str
    size: int


class Searched:
    """Which files are searched.

    Args:
        directory: where the session files lie.
        ids: only these sessions.
        paths: only these files.
        states: only sessions in one of these states.
        since: only those that were created at or after this moment,
        until: and before that one.

    Raises:
        InvalidSessionId: one of ``ids`` is none.
        ValueError: there is no such state.
        TypeError: a single one is given where several are asked for.
    """

    def __init__(
        self,
        directory: Path,
        *,
        ids: Collection[UUID | str] | None = None,
        paths: Collection[str | PathLike[str]] | None = None,
        states: Collection[SessionState | str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        for name, given in (("ids", ids), ("paths", paths), ("states", states)):
            checks.several(name, given)
        self._directory = directory
        self._ids = None if ids is None else [*dict.fromkeys(map(parse_session_id, ids))]
        self._paths = None if paths is None else [str(resolve_path(path)) for path in paths]
        self._states = None if states is None else frozenset(map(SessionState, states))
        self._since, self._until = since, until
        #: Those of them that are not there.
        self.missing: list[PersistenceError] = []

    @property
    def by_meta(self) -> bool:
        """Whether it takes more than names."""
        return not (self._states is None and self._since is None and self._until is None)

    @property
    def _named(self) -> bool:
        return not (self._ids is None and self._paths is None)

    def of_names(self) -> list[SearchedFile]:
        """Return the files by their names, those that changed last at the end. Blocks."""
        if self._named:
            return _by_change(self._chosen())
        prefix = prefix_of(self._directory)
        return _by_change([prefix + name for name in session_names(self._directory)])

    def of_metas(self, metas: Sequence[PersistedSessionMeta]) -> list[SearchedFile]:
        """Return the files of sessions that fit, those that changed last at the end. Blocks."""
        chosen = {*self._chosen()} if self._named else None
        found = [
            meta
            for meta in metas
            if (self._states is None or meta.state in self._states)
            and (self._since is None or meta.created_at >= self._since)
            and (self._until is None or meta.created_at < self._until)
            and (chosen is None or meta.file in chosen)
        ]
        found.sort(key=lambda meta: (meta.mtime_ns, meta.file))
        return [SearchedFile(meta.file, meta.size_bytes) for meta in found]

    def _chosen(self) -> list[str]:
        chosen: list[str] = []
        for session_id in self._ids or ():
            paths = locate(session_id, self._directory)
            there = [name for name in dict.fromkeys(paths.oldest_first) if is_there(name)]
            chosen += there
            if not there:
                self.missing.append(
                    SessionNotFound(f"no session has the id {session_id}", path=self._directory)
                )
        for path in self._paths or ():
            if is_there(path):
                chosen.append(path)
            else:
                self.missing.append(SessionNotFound("no such session file", path=as_path(path)))
        return [*dict.fromkeys(chosen)]


def _by_change(paths: Sequence[str]) -> list[SearchedFile]:
    found: list[tuple[int, str, int]] = []
    for path in paths:
        try:
            status = status_of(path)
        except OSError:
            # Gone since, renamed, or not to be looked at: it is met when it is opened.
            found.append((0, path, 0))
        else:
            found.append((status.st_mtime_ns, path, status.st_size))
    found.sort()
    return [SearchedFile(path, size) for _, path, size in found]

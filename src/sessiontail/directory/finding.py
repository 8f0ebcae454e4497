"""session id -> the names of its files, also where they are called otherwise."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from sessiontail.directory.names import session_names
from sessiontail.errors import PersistenceError
from sessiontail.session.summary import Detail, read_meta
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import SessionPaths, session_paths, split_name, stem_paths
from sessiontail.system.statuses import is_there

__all__ = ["locate", "search"]


def locate(session_id: UUID, directory: Path) -> SessionPaths:
    """Return the names of a session's files, blocking; those that it would have, if it has none."""
    paths = session_paths(session_id, directory)
    if any(map(is_there, paths.spelled)):
        return paths
    return search(session_id, directory) or paths


def search(session_id: UUID, directory: Path) -> SessionPaths | None:
    """Find a session whose file has another name, blocking: the id that counts is the header's."""
    locks = LockTable(None)
    for name in session_names(directory):
        split = split_name(name)
        assert split is not None
        if _is_uuid(split[0]):
            continue
        try:
            meta, _ = read_meta(directory / name, locks, detail=Detail.ENDS)
        except PersistenceError:
            continue
        if meta.id == session_id:
            return stem_paths(split[0], directory)
    return None


def _is_uuid(stem: str) -> bool:
    try:
        return str(UUID(stem)) == stem
    except ValueError:
        return False

"""The drop-in: every name of ``rath.session.persistence``; what reads or deletes is awaitable.

Each function works on a store of its own.

Source: openrath 2.0.0, ``rath.session.persistence.loader``.
"""

from __future__ import annotations

from datetime import timedelta
from os import PathLike
from uuid import UUID

from sessiontail import checks
from sessiontail.by_id import OfInherited, OnAbandoned
from sessiontail.directory.plan import PrunePlan
from sessiontail.errors import PersistenceError
from sessiontail.format.folding import PersistedSession, PersistedSessionHeader
from sessiontail.format.migrations import (
    CURRENT_SCHEMA_VERSION,
    register_chunk_migration,
    register_header_migration,
)
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.session.reading import SessionReader
from sessiontail.session.tail import SessionTail
from sessiontail.session.writer import SessionWriter
from sessiontail.store import SessionStore
from sessiontail.system.paths import (
    SESSION_FILE_SUFFIX,
    SESSION_PARTIAL_SUFFIX,
    SESSIONS_DIR_NAME,
    ensure_sessions_dir,
    resolve_path,
    session_file,
    session_partial_file,
    sessions_dir,
)

__all__ = [
    "CURRENT_SCHEMA_VERSION",
    "SESSIONS_DIR_NAME",
    "SESSION_FILE_SUFFIX",
    "SESSION_PARTIAL_SUFFIX",
    "PersistedSession",
    "PersistedSessionHeader",
    "PersistedSessionMeta",
    "PersistenceError",
    "SessionWriter",
    "delete_session",
    "ensure_sessions_dir",
    "list_persisted_sessions",
    "load_session",
    "prune_sessions",
    "read_session",
    "register_chunk_migration",
    "register_header_migration",
    "session_file",
    "session_partial_file",
    "sessions_dir",
    "tail_session",
]


async def load_session(
    session_id: UUID | str | None = None,
    *,
    path: str | PathLike[str] | None = None,
    directory: str | PathLike[str] | None = None,
    salvage: bool = False,
    count_inherited: bool = True,
) -> PersistedSession:
    """Read one session whole; see ``SessionStore.load``."""
    # A path does without the directory of the others.
    store = SessionStore(directory if path is None else resolve_path(path).parent)
    return await store.load(session_id, path=path, salvage=salvage, count_inherited=count_inherited)


def read_session(
    session_id: UUID | str | None = None,
    *,
    path: str | PathLike[str] | None = None,
    directory: str | PathLike[str] | None = None,
    after: str | None = None,
    last: int | None = None,
    inherited: OfInherited = "include",
) -> SessionReader:
    """Read one session's records up to the end as it is now; see ``SessionStore.read``."""
    return SessionStore(directory).read(
        session_id, path=path, after=after, last=last, inherited=inherited
    )


def tail_session(
    session_id: UUID | str | None = None,
    *,
    path: str | PathLike[str] | None = None,
    directory: str | PathLike[str] | None = None,
    after: str | None = None,
    last: int | None = None,
    wait: bool | float = False,
    on_abandoned: OnAbandoned = "stop",
    inherited: OfInherited = "include",
) -> SessionTail:
    """Read one session's records until the session ends; see ``SessionStore.tail``."""
    return SessionStore(directory).tail(
        session_id,
        path=path,
        after=after,
        last=last,
        wait=wait,
        on_abandoned=on_abandoned,
        inherited=inherited,
    )


async def list_persisted_sessions(
    *, directory: str | PathLike[str] | None = None, verify: bool = False
) -> list[PersistedSessionMeta]:
    """Return the metas of all sessions, oldest first; see ``SessionStore.list``."""
    return await SessionStore(directory).list(verify=verify)


async def delete_session(
    session_id: UUID | str | None = None,
    *,
    path: str | PathLike[str] | None = None,
    directory: str | PathLike[str] | None = None,
) -> bool:
    """Delete one session's files; return whether there was one; see ``SessionStore.delete``."""
    return await SessionStore(directory).delete(session_id, path=path)


async def prune_sessions(
    *, older_than: timedelta, directory: str | PathLike[str] | None = None
) -> list[UUID]:
    """Delete the sessions that were created longer ago; return their ids in deletion order.

    What is live, damaged at its header, or changes meanwhile, stays. What an earlier deletion was
    killed over is put right first.

    Raises:
        ValueError: ``older_than`` is negative.
        TypeError: it is no ``timedelta``.
        PersistenceError: the directory cannot be read.
    """
    checks.age(older_than)
    store = SessionStore(directory)
    # First, so that what gets its name back is in the plan.
    await store.prune(PrunePlan((), ()))
    return (await store.prune(await store.plan_prune(older_than=older_than))).removed_ids

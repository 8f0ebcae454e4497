"""what was read of a file, and who holds it -> one session in brief.

Names and fields are those of ``rath.session.persistence.loader`` (openrath 2.0.0); what is added
to them says what that loader hides.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from sessiontail.format.brief import brief, counted, short
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.plain import SCHEMA, plain
from sessiontail.format.records import Header, LineageKind, TokenUsage, Trailer
from sessiontail.session.ending import FAR_S
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import WAL_ENDING
from sessiontail.system.stamps import FileId
from sessiontail.urls import as_path

__all__ = ["PersistedSessionMeta", "as_meta", "judged", "state_of", "with_state"]


class PersistedSessionMeta(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One session file in brief: its header, its trailer, and what the directory says.

    Ids are kept as text: nothing of a meta is then the collector's business. A ``UUID`` is, and
    100,000 of them made it hold the event loop for 100 ms, again and again while they were read.
    ``msgspec.json.encode`` takes it as it is, with ``file_id`` and ``mtime_ns``; a file name that is
    no UTF-8 is a ``UnicodeEncodeError`` there.
    """

    #: ``id`` as text, and under that name in JSON.
    id_text: str = msgspec.field(name="id")
    #: The file, as text; ``path`` gives it as a ``Path``.
    file: str
    #: Always aware.
    created_at: datetime
    lineage_operator: str
    lineage_kind: LineageKind
    #: The trailer's ``final_chunk_count``; counted where there is none.
    chunk_count: int
    #: Whether a trailer was read.
    closed: bool
    state: SessionState
    #: ``parent_session_ids`` as text, and under that name in JSON.
    parent_texts: tuple[str, ...] = msgspec.field(name="parent_session_ids")
    #: None is unknown, never zero.
    cumulative_usage: TokenUsage | None
    closed_at: datetime | None
    size_bytes: int
    #: When the file last changed, aware.
    modified_at: datetime
    #: The writer's process, where a live session shows it.
    writer_pid: int | None = None
    #: Lines that are no records; None unless the listing verified them.
    damaged_lines: int | None = None
    #: Bytes after the last newline.
    torn_bytes: int = 0
    #: Which file it was, and when that last changed: says later whether it is still the same.
    file_id: FileId = FileId(0, 0)
    mtime_ns: int = 0

    def __repr__(self) -> str:
        chunks, bytes_ = counted(self.chunk_count, "chunk"), counted(self.size_bytes, "byte")
        return brief(self, short(self.id_text), str(self.state), chunks, bytes_)

    def to_dict(self) -> dict[str, Any]:
        """Return the session as JSON has it (``plain``), without what only tells files apart."""
        value = {"schema": SCHEMA, **plain(self)}
        del value["file_id"], value["mtime_ns"]
        return value

    @property
    def id(self) -> UUID:
        """The session's id."""
        return UUID(self.id_text)

    @property
    def parent_session_ids(self) -> tuple[UUID, ...]:
        """The sessions that it came from, in the header's order."""
        return tuple(map(UUID, self.parent_texts))

    @property
    def path(self) -> Path:
        """The file."""
        return as_path(self.file)


def state_of(
    status: os.stat_result, *, is_wal: bool, closed: bool, locks: LockTable, now_s: float
) -> tuple[SessionState, int | None]:
    """Return a file's state in a listing, and its writer's pid where one shows.

    Args:
        status: the file's.
        is_wal: whether it has the WAL's name.
        closed: whether it has a trailer.
        locks: read after ``status``.
        now_s: the time, in seconds since 1970.
    """
    pid = locks.holder(status)
    if pid is not None:
        return SessionState.LIVE, pid
    if closed:
        return SessionState.CLOSED, None
    if not is_wal:
        return SessionState.ABANDONED, None
    if locks.known and now_s - status.st_mtime >= FAR_S:
        return SessionState.ABANDONED, None
    return SessionState.UNKNOWN, None


def judged(meta: PersistedSessionMeta, locks: LockTable) -> PersistedSessionMeta:
    """Return a meta with the state that these locks give it."""
    file = meta.file_id
    if meta.closed and not locks.holds(file):
        return meta
    mtime_s = -(-meta.mtime_ns // 10**9)
    status = os.stat_result((0, file.inode, file.device, 1, 0, 0, meta.size_bytes, 0, mtime_s, 0))
    return with_state(meta, status, locks)


def with_state(
    meta: PersistedSessionMeta, status: os.stat_result, locks: LockTable
) -> PersistedSessionMeta:
    """Return a meta with the state that these locks, and the file's status, give it."""
    state, pid = state_and_pid(status, meta.file, locks, closed=meta.closed)
    if state is meta.state and pid == meta.writer_pid:
        return meta
    return msgspec.structs.replace(meta, state=state, writer_pid=pid)


def state_and_pid(
    status: os.stat_result, path: str, locks: LockTable, *, closed: bool
) -> tuple[SessionState, int | None]:
    if closed and not locks.holds(FileId.of(status)):
        return SessionState.CLOSED, None
    return state_of(
        status, is_wal=path.endswith(WAL_ENDING), closed=closed, locks=locks, now_s=time.time()
    )


def as_meta(  # noqa: PLR0917 - called for every file, where names cost
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
    """Return what a listing says of a file.

    Args:
        path: under which name it was read.
        status: as it was then.
        size: bytes that were looked at.
        header: its first line.
        trailer: its last one; None: it has none.
        chunks: how many it has.
        locks: say who writes it.
        torn_bytes: bytes behind the last newline.
        damaged_lines: how many lines are no records; None: they were not counted.
    """
    state, pid = state_and_pid(status, path, locks, closed=trailer is not None)
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


# The years 1 and 9999: tmpfs keeps times that no datetime can hold.
_FIRST_S, _LAST_S = -62135596800, 253402300799

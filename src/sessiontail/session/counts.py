"""path -> how many records of what a session has, by kind and by tool, and where it ends. Blocks.

Of a session that has grown only what was added is read.
"""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import msgspec

from sessiontail.errors import PersistenceError
from sessiontail.format.audit_state import AuditState
from sessiontail.format.cursor import Position
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.records import ChunkKind, DamageReason
from sessiontail.session.auditing import Folded, ToFold, answer_of, fold_batch, request_of
from sessiontail.system.files import explain
from sessiontail.system.kept import Kept
from sessiontail.system.stamps import FileId
from sessiontail.system.statuses import status_of
from sessiontail.urls import as_path

__all__ = ["SessionCounts", "count_session"]


class SessionCounts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How many of what a session's file has, inherited rows among them."""

    #: Whole lines, records or not.
    lines: int
    #: 1, or 0 where the file does not begin with one.
    header: int
    #: 1 where the session was closed, even if it goes on behind that.
    trailer: int
    #: Lines that are no records.
    damage: int
    #: Chunks by ``ChunkKind`` value, each kind.
    chunks: dict[str, int]
    #: Calls by the tool's name; ``OTHER_TOOLS`` from the thousandth name on.
    tools: dict[str, int]
    #: Behind the last whole line.
    cursor: str


#: By device and inode; some KB each.
_folded: Kept[FileId, Folded] = Kept(100)


def count_session(path: str, *, max_line_bytes: int = MAX_LINE_BYTES) -> SessionCounts:
    """Return what a session's file has, blocking: 0.1 s for 100 MB, less when it is asked again.

    Raises:
        SessionNotFound: it is no longer there.
        PersistenceError: it cannot be read.
    """
    before = _known(path)
    asked = ToFold(path, None if before is None else before.state)
    (folded,) = answer_of(fold_batch(request_of([asked], max_line_bytes=max_line_bytes)))
    if folded.errno:
        raise _unread(folded)
    _folded.put(FileId(*folded.status[:2]), folded)
    return _told(AuditState.from_bytes(folded.state))


def _known(path: str) -> Folded | None:
    """Return what was folded of a file that has not become another one since."""
    with suppress(OSError):
        status = status_of(path)
        known = _folded.get(FileId.of(status))
        if known is not None:
            size, mtime_ns = known.status[2:4]
            is_same = (status.st_size, status.st_mtime_ns) == (size, mtime_ns)
            if is_same or status.st_size > size:
                return known
    return None


def _told(state: AuditState) -> SessionCounts:
    by_kind = state.tally.rows_by_kind
    by_reason = state.findings_by_reason
    header = state.header
    closed = state.trailer_line is not None
    position = Position.at(
        state.mark, trailer_seen=closed, session_id=None if header is None else UUID(header.id_text)
    )
    return SessionCounts(
        lines=state.mark.lines or 0,
        header=int(header is not None),
        trailer=int(closed),
        damage=sum(by_reason.get(str(reason), 0) for reason in DamageReason),
        chunks={str(kind): by_kind.get(str(kind), 0) for kind in ChunkKind},
        tools=dict(state.tally.tool_calls),
        cursor=position.encode(),
    )


def _unread(folded: Folded) -> PersistenceError:
    return explain(OSError(folded.errno, folded.error), as_path(folded.file))

"""records -> one session, whole (``PersistedSession``) or in brief (``PersistedSessionMeta``).

Names and fields are those of ``rath.session.persistence.loader`` (openrath 2.0.0); what is added
to them says what that loader hides. Nothing here opens or waits, but for the one method that
hands a session to openrath.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

from sessiontail.errors import DamagedSession
from sessiontail.records import (
    Chunk,
    Damage,
    Header,
    LineageKind,
    Record,
    TokenUsage,
    Trailer,
)

if TYPE_CHECKING:
    from rath.session.session import Session

__all__ = [
    "ChunkTable",
    "Outcome",
    "PersistedSession",
    "PersistedSessionHeader",
    "PersistedSessionMeta",
    "SessionState",
]

PersistedSessionHeader = Header


class SessionState(StrEnum):
    """How a session stands in a listing. Equal to its text."""

    #: A trailer was read.
    CLOSED = "closed"
    #: A writer holds the WAL's lock.
    LIVE = "live"
    #: No trailer, and no writer: it crashed or was given up.
    ABANDONED = "abandoned"
    #: No trailer, and no way to know whether somebody writes.
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """How a tail ended. Equal to its text."""

    #: The trailer was read, and the file has its final name.
    CLOSED = "closed"
    #: No clean end, and no writer holds the file.
    ABANDONED = "abandoned"
    #: The file is gone; what was written was read.
    DELETED = "deleted"
    #: The file was truncated, rewritten or exchanged under the reader.
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class ChunkTable:
    """Chunks in file order."""

    rows: tuple[Chunk, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Chunk: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Chunk, ...]: ...
    def __getitem__(self, index: int | slice) -> Chunk | tuple[Chunk, ...]:
        return self.rows[index]

    def __iter__(self) -> Iterator[Chunk]:
        return iter(self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class PersistedSession:
    """One session file, whole."""

    header: Header
    chunk_table: ChunkTable
    #: Of the last trailer; None is unknown, never zero.
    cumulative_usage: TokenUsage | None
    #: Whether a trailer was read.
    closed: bool
    path: Path
    #: The last trailer's line as parsed.
    trailer_raw: dict[str, Any] | None = field(default=None, repr=False)
    #: The last trailer, typed.
    trailer: Trailer | None = field(default=None, repr=False)
    #: Lines that are no records, in file order; empty unless salvaged.
    damage: tuple[Damage, ...] = ()
    #: Bytes after the last newline: no record, no error.
    torn_bytes: int = 0

    def to_messages(self) -> list[dict[str, Any]]:
        """Return the conversation in OpenAI's chat form, one message a chunk."""
        return [chunk.to_message() for chunk in self.chunk_table]

    async def to_resumable_pair(
        self, *, agent_prompt: str | None = None
    ) -> tuple[Session, Session]:
        """Build ``(user_session, agent_session)`` for openrath's ``run_session_loop``.

        Args:
            agent_prompt: the agent's system prompt; by default the first system chunk's text.

        Returns:
            Two real ``rath.session.session.Session``. The first has this session's chunks and
            its sandbox: ``opensandbox`` with a recorded handle is attached again, everything
            else keeps its spec and opens when first used.

        Raises:
            MissingExtra: openrath is not installed.
            KeyError: the recorded sandbox handle is unknown to openrath's registry.
        """
        from sessiontail.openrath import resumable_pair  # noqa: PLC0415 - an edge, only when asked

        return await resumable_pair(self, agent_prompt=agent_prompt)


@dataclass(frozen=True, kw_only=True, slots=True)
class PersistedSessionMeta:
    """One session file in brief: its header, its trailer, and what the directory says."""

    id: UUID
    path: Path
    #: Always aware.
    created_at: datetime
    lineage_operator: str
    lineage_kind: LineageKind
    #: The trailer's ``final_chunk_count``; counted where there is none.
    chunk_count: int
    #: Whether a trailer was read.
    closed: bool
    state: SessionState
    parent_session_ids: tuple[UUID, ...]
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
    #: (st_dev, st_ino, st_mtime_ns): says later whether this is still the same file.
    file_key: tuple[int, int, int] = (0, 0, 0)


def fold(
    records: Iterable[Record], *, path: Path, torn_bytes: int = 0, salvage: bool = False
) -> PersistedSession:
    """Fold the records of one file into a session.

    Args:
        records: all of them, in file order.
        path: the file that they come from.
        torn_bytes: bytes after the last newline.
        salvage: keep what is whole and list the damage, instead of raising at the first.

    Raises:
        DamagedSession: a line is damaged (not with ``salvage``), or there is no header; then,
            with ``salvage`` too, the first damage is raised, for it says what became of it.
    """
    header: Header | None = None
    trailer: Trailer | None = None
    chunks: list[Chunk] = []
    damage: list[Damage] = []
    for record in records:
        if type(record) is Chunk:
            chunks.append(record)
        elif isinstance(record, Header):
            header = record
        elif isinstance(record, Trailer):
            trailer = record
        elif isinstance(record, Damage):
            if not salvage:
                raise damaged(record, path)
            damage.append(record)
    if header is None:
        if damage:
            raise damaged(damage[0], path)
        raise DamagedSession("no header: not a session file", path=path, reason="no-header")
    return PersistedSession(
        header=header,
        chunk_table=ChunkTable(tuple(chunks)),
        cumulative_usage=trailer.cumulative_usage if trailer else None,
        closed=trailer is not None,
        path=path,
        trailer_raw=trailer.raw if trailer else None,
        trailer=trailer,
        damage=tuple(damage),
        torn_bytes=torn_bytes,
    )


def damaged(damage: Damage, path: Path) -> DamagedSession:
    """Return the error that a strict reader raises for a damaged line."""
    return DamagedSession(
        damage.message,
        path=path,
        line=damage.line,
        offset=damage.offset,
        reason=damage.reason.value,
    )

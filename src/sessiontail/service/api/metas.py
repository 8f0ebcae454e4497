"""metas -> what the API says of a session: the bare name of its file, its title."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sessiontail.directory.outlines import SessionOutline, outlines_of
from sessiontail.format.records import LineageKind
from sessiontail.service.api.schemas import (
    COUNT,
    FLAG,
    MOMENT,
    SCHEMA_ONE,
    STATE,
    TEXT,
    UUID,
    closed,
    listed,
    nullable,
    one_of,
)
from sessiontail.service.context import Context
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.rounds import Rounds

__all__ = ["META", "META_FIELDS", "compared", "described", "outlined", "told"]

# A list has 500 sessions, and a stream tells of each that grows.
_MOST_LETTERS = 200
_MOST_PARENTS = 100

#: The schema of each field.
META_FIELDS: dict[str, Any] = {
    "schema": SCHEMA_ONE,
    "id": UUID,
    "file": TEXT,
    "created_at": MOMENT,
    "lineage_operator": TEXT,
    "lineage_kind": one_of(LineageKind),
    "chunk_count": COUNT,
    "closed": FLAG,
    "state": STATE,
    "parent_session_ids": listed(UUID),
    "cumulative_usage": nullable(
        closed(prompt_tokens=COUNT, completion_tokens=COUNT, total_tokens=COUNT)
    ),
    "closed_at": nullable(MOMENT),
    "size_bytes": COUNT,
    "modified_at": MOMENT,
    "writer_pid": nullable(COUNT),
    "damaged_lines": nullable(COUNT),
    "torn_bytes": COUNT,
    "title": nullable(TEXT),
}
#: Of a whole meta.
META = closed(**META_FIELDS)


async def described(context: Context, meta: PersistedSessionMeta) -> dict[str, Any]:
    """Return what is said of one session; its title is read, and kept."""
    (outline,) = await outlined(context, [meta])
    return told(outline)


async def outlined(context: Context, metas: Sequence[PersistedSessionMeta]) -> list[SessionOutline]:
    """Return sessions with their titles, in their order; what they inherit is compared once."""
    return await outlines_of(metas, context.store.directory)


async def compared(context: Context) -> list[SessionOutline]:
    """Return all sessions with their titles: compared once for all who ask at the same time.

    What they inherit is kept between processes.

    Raises:
        PersistenceError: the directory cannot be read.
    """
    return await context.part(_outlines).ask()


def _outlines(context: Context) -> Rounds[list[SessionOutline]]:
    return Rounds(context.store.outlines)


def told(outline: SessionOutline) -> dict[str, Any]:
    """Return what is said of a session."""
    said = outline.meta.to_dict()
    said["file"] = said["file"].rpartition("/")[2]
    said["title"] = outline.title
    # A header may say what it likes; the record has all of it.
    said["lineage_operator"] = said["lineage_operator"][:_MOST_LETTERS]
    said["parent_session_ids"] = said["parent_session_ids"][:_MOST_PARENTS]
    return said

"""Sessions by number, and whose children they are -> outlines, a lineage; no file is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from chats import name
from sessiontail import Lineage, LineageKind, PersistedSessionMeta, SessionOutline, SessionState
from sessiontail.directory.tracing import lineage_of

__all__ = ["START", "family", "numbers", "outline"]

START = datetime(2026, 1, 1, tzinfo=UTC)


def outline(
    number: int,
    parents: Sequence[int] = (),
    found: int | None = None,
    *,
    title: str | None = None,
    file: str | None = None,
    **fields: Any,
) -> SessionOutline:
    """A session with one own row, a second after the one before it.

    ``parents`` stand in its header; with the rows of ``found`` it begins.
    """
    values = {
        "id_text": name(number), "file": file or f"{number}.jsonl", "lineage_operator": "",
        "lineage_kind": LineageKind.UNKNOWN, "chunk_count": 1 if found is None else 3,
        "closed": True, "state": SessionState.CLOSED, "cumulative_usage": None, "closed_at": None,
        "created_at": START + timedelta(seconds=number), "size_bytes": 1, "modified_at": START,
        "parent_texts": tuple(map(name, parents)),
    }  # fmt: skip
    return SessionOutline(
        PersistedSessionMeta(**(values | fields)),
        0 if found is None else 2,
        None if found is None else name(found),
        str(number) if title is None else title,
    )


def family(parents: Mapping[int, Sequence[int]], found: Mapping[int, int] | None = None) -> Lineage:
    """The lineage of sessions with these parents, and with the rows of these."""
    found = found or {}
    return lineage_of([outline(one, named, found.get(one)) for one, named in parents.items()])


def numbers(ids: Sequence[UUID]) -> list[int]:
    """What sessions are called here."""
    return [int(one.hex[-12:]) for one in ids]

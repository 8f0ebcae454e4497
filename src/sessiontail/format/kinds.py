"""a record -> what it is called where records are chosen by their kind."""

from __future__ import annotations

from sessiontail.format.records import Chunk, Record

__all__ = ["KINDS", "kind_of"]

#: Kinds of chunks, and the other records.
KINDS = ("system", "user", "assistant", "tool_result", "header", "trailer", "damage")


def kind_of(record: Record) -> str:
    """Return one of ``KINDS``."""
    if type(record) is Chunk:
        return record.kind.value
    return type(record).__name__.lower()

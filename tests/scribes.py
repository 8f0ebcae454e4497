"""Records, written in one of the forms of export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from samples import ID
from sessiontail import Chunk, ChunkKind, Header, Record, SessionState
from sessiontail.format.exporting import Scribe
from sessiontail.format.facts import Facts

__all__ = ["FACTS", "HEADER", "MOMENT", "call", "says", "written"]

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
HEADER = Header(id=ID, created_at=MOMENT)
FACTS = Facts(name="a.jsonl", state=SessionState.CLOSED)


def written(
    scribe: Scribe,
    *records: Record,
    header: Header | None = HEADER,
    facts: Facts = FACTS,
    torn_bytes: int = 0,
    left_out: int = 0,
) -> str:
    """All that a scribe writes of a session, its records one by one."""
    pieces = [*scribe.begin(header, facts)]
    if left_out:
        pieces += scribe.left_out(left_out, "4f2d")
    for record in records:
        pieces += scribe.take([record])
    return "".join([*pieces, *scribe.end(torn_bytes)])


def says(kind: str, content: Any, **payload: Any) -> Chunk:
    """A row that says something."""
    return Chunk(kind=ChunkKind(kind), payload={"content": content, **payload})


def call(name: str, arguments: str, call_id: str = "c") -> dict[str, Any]:
    """A call of a tool, as a payload has it."""
    return {"id": call_id, "function": {"name": name, "arguments": arguments}}

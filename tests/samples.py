"""values -> the lines of a session file, byte for byte as the real writer writes them.

test_reference.py holds this against openrath's own ``SessionWriter``.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import msgspec

__all__ = [
    "ID",
    "all_of",
    "chunk_line",
    "header_line",
    "json_line",
    "session_bytes",
    "trailer_line",
]

ID = UUID("4f2c0000-0000-4000-8000-000000000001")
MOMENT = "2026-01-01T00:00:00+00:00"


def json_line(record: Any) -> bytes:
    """One record as one line."""
    return (json.dumps(record, ensure_ascii=False) + "\n").encode()


def header_line(session_id: UUID | str = ID, **fields: Any) -> bytes:
    """A header; ``fields`` replace or add what the log calls so."""
    record = {
        "record_type": "header",
        "schema_version": 1,
        "id": str(session_id),
        "created_at": MOMENT,
        "parent_session_ids": [],
        "lineage_operator": "implicit",
        "lineage_kind": "unknown",
        "lineage_extras": [],
        "sandbox_backend": None,
        "sandbox_spec": None,
        "sandbox_handle_id": None,
    }
    return json_line(record | fields)


def chunk_line(index: int = 0, content: Any = "hi", kind: str = "user", **payload: Any) -> bytes:
    """A chunk whose payload is ``content`` and what else is given."""
    body = {"content": content, **payload}
    return json_line({"record_type": "chunk", "index": index, "kind": kind, "payload": body})


def trailer_line(chunks: int = 1, usage: tuple[int, int, int] | None = None) -> bytes:
    """A trailer; ``usage`` is prompt, completion and total tokens."""
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return json_line(
        {
            "record_type": "trailer",
            "closed_at": MOMENT,
            "final_chunk_count": chunks,
            "cumulative_usage": None if usage is None else dict(zip(names, usage, strict=True)),
        }
    )


def session_bytes(
    chunks: int = 1, *, session_id: UUID | str = ID, closed: bool = True, **fields: Any
) -> bytes:
    """A whole session of ``chunks`` user chunks that say ``hi``."""
    body = b"".join(chunk_line(i) for i in range(chunks))
    return header_line(session_id, **fields) + body + (trailer_line(chunks) if closed else b"")


def all_of(record: Any) -> str:
    """All of a record, nested values too: its repr is short, and a NaN is not equal to itself."""
    if not isinstance(record, msgspec.Struct):
        return repr(record)
    fields = msgspec.structs.asdict(record).items()
    return f"{type(record).__name__}({', '.join(f'{k}={all_of(v)}' for k, v in fields)})"

"""records -> lines, as the real writer writes them.

What a reader would call damage is refused, by name. Nothing here opens, waits or logs.
Source: openrath 2.0.0, ``rath.session.persistence._serialize``.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from types import NoneType
from typing import Any
from uuid import UUID

from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.plain import jsonable
from sessiontail.format.records import Chunk, Damage, Header, SandboxSpec, TokenUsage, as_utc
from sessiontail.format.usual import usual_chunk

__all__ = ["check", "check_field", "chunk_line", "header_line", "header_record", "trailer_line"]


# What the fields hold; what else there is to say about them, the reader's own decoder says.
_FIELDS: dict[type, dict[str, tuple[type, ...]]] = {
    Header: {
        "id": (UUID,),
        "created_at": (datetime,),
        "schema_version": (int,),
        "parent_session_ids": (tuple, list),
        "lineage_operator": (str,),
        "lineage_kind": (str,),
        "lineage_extras": (tuple, list),
        "sandbox_backend": (str, NoneType),
        "sandbox_spec": (SandboxSpec, NoneType),
        "sandbox_handle_id": (str, NoneType),
    },
    SandboxSpec: {
        "image": (str, NoneType),
        "entrypoint": (tuple, list, NoneType),
        "env": (dict, NoneType),
        "timeout": (timedelta, NoneType),
        "working_dir": (str, NoneType),
    },
    Chunk: {"kind": (str,), "payload": (dict,), "index": (int, NoneType)},
    TokenUsage: {
        "prompt_tokens": (int,),
        "completion_tokens": (int,),
        "total_tokens": (int,),
    },
}


def header_line(header: Header) -> bytes:
    """Return a header as a line.

    Raises:
        TypeError, ValueError: a field that cannot be read back, by name.
    """
    check(header, Header)
    if header.sandbox_spec is not None:
        check(header.sandbox_spec, SandboxSpec)
    for parent in header.parent_session_ids:
        check_field("Header.parent_session_ids", parent, (UUID,))
    for pair in header.lineage_extras:
        check_field("Header.lineage_extras", pair, (tuple, list))
        if len(pair) != 2:
            raise ValueError(f"Header.lineage_extras: expected pairs, not {len(pair)} values")
    try:
        record = header_record(header)
    except RecursionError as error:
        raise TypeError(f"Header.lineage_extras: {error}") from error
    for name, value in record.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"Header.{name}: {error}") from error
    return _readable(_line(record), RecordDecoder())


def chunk_line(chunk: Chunk, index: int) -> bytes:
    """Return a chunk as a line; raises as ``SessionWriter.write``."""
    record = {
        "record_type": "chunk",
        "index": index,
        "kind": str(chunk.kind),
        "payload": chunk.payload,
    }
    try:
        line = _line(record)
    except TypeError as error:
        raise TypeError(f"Chunk.payload: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"Chunk.payload: {error}") from error
    return _readable(line, RecordDecoder(header_version=CURRENT_SCHEMA_VERSION))


def _readable(line: bytes, decoder: RecordDecoder) -> bytes:
    """Return the line, if a reader takes it for a record."""
    if len(line) - 1 > MAX_LINE_BYTES:
        raise ValueError(f"a line of {len(line) - 1} bytes, expected at most {MAX_LINE_BYTES}")
    # Most chunks by the fast path: a tenth of the time.
    record = (usual_chunk(line) if decoder.header_version else None) or decoder.decode_line(line)
    if isinstance(record, Damage):
        raise ValueError(  # noqa: TRY004 - the types were right
            f"this record cannot be read back: {record.message}"
        )
    return line


def check(value: object, wanted: type) -> None:
    """Refuse what is no such record, or has a field of another type."""
    if not isinstance(value, wanted):
        raise TypeError(f"expected a {wanted.__name__}, not {_short(value)}")
    for name, types in _FIELDS[wanted].items():
        check_field(f"{wanted.__name__}.{name}", getattr(value, name), types)


def check_field(name: str, value: object, types: tuple[type, ...]) -> None:
    """Refuse a value of another type.

    Raises:
        TypeError: it is of none of these.
    """
    if not isinstance(value, types) or (isinstance(value, bool) and int in types):
        named = " or ".join("None" if one is NoneType else one.__name__ for one in types)
        raise TypeError(f"{name}: expected {named}, not {_short(value)}")


def _short(value: object) -> str:
    """Return what an error says of a value: its type, and the value where that is short."""
    name = type(value).__name__
    return f"{name} {value!r:.60}" if isinstance(value, (str, float, bool)) else name


def _line(record: dict[str, Any]) -> bytes:
    try:
        return (json.dumps(record, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # a lone surrogate is no UTF-8, but its escape is JSON
        return (json.dumps(record) + "\n").encode()


def header_record(header: Header) -> dict[str, Any]:
    """Return a header as the log has it."""
    return {
        "record_type": "header",
        "schema_version": header.schema_version,
        "id": str(header.id),
        "created_at": as_utc(header.created_at).isoformat(),
        "parent_session_ids": [str(parent) for parent in header.parent_session_ids],
        "lineage_operator": header.lineage_operator,
        "lineage_kind": str(header.lineage_kind),
        "lineage_extras": [[str(name), jsonable(value)] for name, value in header.lineage_extras],
        "sandbox_backend": header.sandbox_backend,
        "sandbox_spec": _spec_record(header.sandbox_spec),
        "sandbox_handle_id": header.sandbox_handle_id,
    }


def _spec_record(spec: SandboxSpec | None) -> dict[str, Any] | None:
    if spec is None:
        return None
    return {
        "image": spec.image,
        "entrypoint": None if spec.entrypoint is None else list(spec.entrypoint),
        "env": None if spec.env is None else dict(spec.env),
        "timeout_seconds": None if spec.timeout is None else spec.timeout.total_seconds(),
        "working_dir": spec.working_dir,
    }


def trailer_line(chunks: int, usage: TokenUsage | None, *, closed_at: datetime) -> bytes:
    """Return a trailer as a line.

    Args:
        chunks: how many the writer wrote.
        usage: tokens of the session; None is unknown.
        closed_at: when it was closed, aware.

    Raises:
        TypeError, ValueError: ``usage`` is none, or one that cannot be read back.
    """
    if usage is not None:
        check(usage, TokenUsage)
    record = {
        "record_type": "trailer",
        "closed_at": closed_at.isoformat(),
        "final_chunk_count": chunks,
        "cumulative_usage": None
        if usage is None
        else {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        },
    }
    return _readable(_line(record), RecordDecoder(header_version=CURRENT_SCHEMA_VERSION))

"""a line as the real writer writes it -> the record on it, in a tenth of the time.

What fits these shapes, the exact path (``parsing``) takes the same way; for what does not, the
answer is None, and that path decides. Nothing here opens, waits or logs.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from sessiontail.format.depth import DEEP_LINE_BYTES, TAKES_DEEPER, any_too_deep
from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.parsing import UNTAKEABLE, pairs_of, sandbox_spec_of, time_of
from sessiontail.format.records import Chunk, Header, LineageKind, TokenUsage, Trailer, as_utc

__all__ = [
    "CHUNK_START",
    "HEADER_START",
    "TRAILER_START",
    "usual_chunk",
    "usual_chunks",
    "usual_header",
    "usual_trailer",
]


class _Never(msgspec.Struct, tag="", tag_field="record_type"):
    """Fits nothing. Of several structs msgspec wants the tag, of a single one it does without."""

    never: Annotated[int, msgspec.Meta(gt=0, lt=0)]


_chunk_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Chunk | _Never)


class _HeaderLine(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag="header",
    tag_field="record_type",
    forbid_unknown_fields=True,
):
    """A header as the real writer writes it: what fits here, the exact path takes the same way."""

    schema_version: int
    id: UUID
    created_at: str
    parent_session_ids: tuple[UUID, ...]
    lineage_operator: str
    lineage_kind: str
    lineage_extras: list[Any]
    sandbox_backend: str | None
    sandbox_spec: dict[str, Any] | None
    sandbox_handle_id: str | None


_header_decoder = msgspec.json.Decoder(_HeaderLine)


class _UsageLine(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class _TrailerLine(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag="trailer",
    tag_field="record_type",
    forbid_unknown_fields=True,
):
    """A trailer as the real writer writes it."""

    closed_at: str
    final_chunk_count: int
    cumulative_usage: _UsageLine | None


_trailer_decoder = msgspec.json.Decoder(_TrailerLine)


# How the real writer begins these lines; whatever begins otherwise takes the exact path.
CHUNK_START = b'{"record_type": "chunk"'


HEADER_START = b'{"record_type": "header"'


TRAILER_START = b'{"record_type": "trailer"'


# A tenth of the time of the enum's own look-up.
_LINEAGE_KINDS = {kind.value: kind for kind in LineageKind}


def usual_header(raw: bytes | bytearray) -> Header | None:
    """Return the header on a line, None where the exact path must decide."""
    if not raw.startswith(HEADER_START) or (TAKES_DEEPER and len(raw) > DEEP_LINE_BYTES):
        return None
    try:
        line = _header_decoder.decode(raw)
        if line.schema_version != CURRENT_SCHEMA_VERSION:
            return None
        return Header(
            schema_version=line.schema_version,
            id=line.id,
            created_at=as_utc(datetime.fromisoformat(line.created_at)),
            parent_session_ids=line.parent_session_ids,
            lineage_operator=line.lineage_operator,
            lineage_kind=_LINEAGE_KINDS.get(line.lineage_kind, LineageKind.UNKNOWN),
            lineage_extras=pairs_of(line.lineage_extras),
            sandbox_backend=line.sandbox_backend,
            sandbox_spec=sandbox_spec_of(line.sandbox_spec),
            sandbox_handle_id=line.sandbox_handle_id,
        )
    except (msgspec.MsgspecError, *UNTAKEABLE):
        return None


def usual_trailer(raw: bytes | bytearray) -> Trailer | None:
    """Return the trailer on a line without its ``raw``, None where the exact path must decide."""
    if not raw.startswith(TRAILER_START):
        return None
    try:
        line = _trailer_decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    usage = line.cumulative_usage
    return Trailer(
        closed_at=time_of(line.closed_at),
        final_chunk_count=line.final_chunk_count,
        cumulative_usage=TokenUsage(
            usage.prompt_tokens, usage.completion_tokens, usage.total_tokens
        )
        if usage
        else None,
    )


def usual_chunk(raw: bytes) -> Chunk | None:
    """Return the chunk of today's version on a line, None where the exact path must decide."""
    try:
        chunk: Chunk = _chunk_decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return None if TAKES_DEEPER and any_too_deep(raw, 0, [chunk]) else chunk


def usual_chunks(data: bytes | bytearray, start: int, end: int, lines: int) -> list[Any] | None:
    r"""Return the chunks on whole lines; None where one a line is not what they are.

    msgspec takes objects wherever they begin and end. n objects in n lines are one a line when
    each of the n - 1 newlines between lines stands in ``}\n{``, which the caller has seen: a
    newline inside an object has a comma, colon or bracket beside it, and inside a string there is
    none.

    Args:
        data: holds the lines.
        start: where in it they begin.
        end: where they end, just behind a newline.
        lines: how many they are.
    """
    try:
        chunks = _chunk_decoder.decode_lines(
            data if end - start == len(data) else memoryview(data)[start:end]
        )
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if len(chunks) != lines or (TAKES_DEEPER and any_too_deep(data, start, chunks)):
        return None
    return chunks

"""What ``/api/audit`` and ``/api/usage`` answer, as JSON schemas."""

from __future__ import annotations

from typing import Any

from sessiontail.format.findings import FINDINGS, Severity
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.records import ChunkKind, LineageKind
from sessiontail.service.api.schemas import (
    COUNT,
    COUNTS,
    FLAG,
    MOMENT,
    SCHEMA_ONE,
    STATE,
    TEXT,
    UUID,
    Schema,
    closed,
    listed,
    nullable,
    one_of,
)

__all__ = ["AUDIT_LINE", "SUMMARY", "USAGE"]


def _of(words: Any) -> dict[str, Any]:
    """Return the schema of how many there are of each of some words; none is left out."""
    return {
        "type": "object",
        "properties": {str(word): COUNT for word in words},
        "additionalProperties": False,
    }


_KINDS, _REASONS = _of(ChunkKind), _of(FINDINGS)
_TALLY: dict[str, Schema] = {
    "rows": COUNT,
    "rows_by_kind": _KINDS,
    "bytes_by_kind": _KINDS,
    "tool_calls": COUNTS,
    "tool_results": COUNTS,
    "tool_errors": COUNTS,
    "unanswered_calls": COUNT,
    "unasked_results": COUNT,
}
# As a trailer says them: a log may say anything.
_TOKENS: dict[str, Schema] = {
    "prompt_tokens": {"type": "integer"},
    "completion_tokens": {"type": "integer"},
    "total_tokens": {"type": "integer"},
}
# Tokens of many sessions, and of how many they are known.
_TOTAL: dict[str, Schema] = {**_TOKENS, "known": COUNT, "unknown": COUNT, "damaged": COUNT}

_FINDING = closed(
    severity=one_of(Severity),
    reason=one_of(FINDINGS),
    line=nullable(COUNT),
    offset=nullable(COUNT),
    message=TEXT,
)
# Of a file that could not be read every count is null: unknown, never zero.
_SESSION = closed(
    schema=SCHEMA_ONE,
    id=nullable(UUID),
    file=TEXT,
    state=STATE,
    closed=nullable(FLAG),
    size_bytes=COUNT,
    created_at=nullable(MOMENT),
    closed_at=nullable(MOMENT),
    torn_bytes=nullable(COUNT),
    parent_session_ids=listed(UUID),
    lineage_operator=nullable(TEXT),
    lineage_kind=one_of(LineageKind),
    was_read=FLAG,
    lines=nullable(COUNT),
    **{name: nullable(schema) for name, schema in _TALLY.items()},
    own_rows=nullable(COUNT),
    inherited_rows=nullable(COUNT),
    inherited=nullable(closed(**_TALLY)),
    origin=nullable(UUID),
    usage=nullable(closed(**_TOKENS)),
    findings=listed(_FINDING),
    findings_by_reason=_REASONS,
)
#: All sessions, summed up.
SUMMARY = closed(
    schema=SCHEMA_ONE,
    sessions=COUNT,
    sessions_by_state=_of(SessionState),
    unreadable=COUNT,
    conversations=COUNT,
    size_bytes=COUNT,
    torn_bytes=COUNT,
    rows=COUNT,
    own=closed(**_TALLY),
    own_rows=COUNT,
    inherited_unknown=COUNT,
    usage=closed(**_TOTAL),
    findings_by_reason=_REASONS,
    sessions_by_reason=_REASONS,
    sessions_by_severity=_of([*Severity, "none"]),
)
#: One line of an audit.
AUDIT_LINE: Schema = {
    "oneOf": [
        _SESSION,
        closed(schema=SCHEMA_ONE, summary=SUMMARY, undated=COUNT),
        closed(schema=SCHEMA_ONE, error=TEXT),
    ]
}
_USAGE: dict[str, Schema] = {**_TOTAL, "sessions": COUNT, "unreadable": COUNT}
#: Tokens of all sessions, or of one and of what led to it.
USAGE: Schema = {
    "oneOf": [
        closed(schema=SCHEMA_ONE, **_USAGE),
        closed(
            schema=SCHEMA_ONE,
            session_id=UUID,
            **_USAGE,
            conversation=closed(session_ids=listed(UUID), **_USAGE),
        ),
    ]
}

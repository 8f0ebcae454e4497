"""audits of sessions -> rows of a table, one a session, with what each column is.

The same columns stand in CSV, in Parquet and before ``query_audits``; new ones are added at the end.
What is unknown is None: of a file that could not be read, every count. Sums over many sessions are
made of the ``own_`` columns, which have each row once.
"""

from __future__ import annotations

from typing import Any

from sessiontail.format.audit import SessionAudit
from sessiontail.format.plain import plain
from sessiontail.format.records import ChunkKind

__all__ = ["COLUMNS", "NESTED", "session_row"]

_KINDS = tuple(map(str, ChunkKind))
_COUNT = "BIGINT"

#: Columns of lists of structs: they are in Parquet and SQL, and not in CSV.
NESTED = {
    "findings": "STRUCT(severity VARCHAR, reason VARCHAR, line BIGINT, byte_offset BIGINT, "
    "message VARCHAR)[]",
    "tools": "STRUCT(tool VARCHAR, calls BIGINT, own_calls BIGINT, results BIGINT, "
    "own_results BIGINT, errors BIGINT, own_errors BIGINT)[]",
}

#: Column -> its type, as DuckDB calls it.
COLUMNS = {
    "id": "VARCHAR",
    "file": "VARCHAR",
    "state": "VARCHAR",
    "was_read": "BOOLEAN",
    "created_at": "TIMESTAMPTZ",
    "closed_at": "TIMESTAMPTZ",
    "severity": "VARCHAR",  # the worst of its findings
    "finding_count": _COUNT,
    "findings_by_reason": "MAP(VARCHAR, BIGINT)",
    "size_bytes": _COUNT,
    "torn_bytes": _COUNT,
    "lines": _COUNT,
    "rows": _COUNT,
    "own_rows": _COUNT,
    "inherited_rows": _COUNT,
    **{f"{kind}_rows": _COUNT for kind in _KINDS},
    **{f"own_{kind}_rows": _COUNT for kind in _KINDS},
    **{f"{kind}_bytes": _COUNT for kind in _KINDS},
    "tool_calls": _COUNT,
    "own_tool_calls": _COUNT,
    "tool_results": _COUNT,
    "own_tool_results": _COUNT,
    "tool_errors": _COUNT,
    "own_tool_errors": _COUNT,
    "unanswered_calls": _COUNT,
    "unasked_results": _COUNT,
    "prompt_tokens": _COUNT,
    "completion_tokens": _COUNT,
    "total_tokens": _COUNT,
    "lineage_operator": "VARCHAR",
    "lineage_kind": "VARCHAR",
    "origin": "VARCHAR",
    "parent_session_ids": "VARCHAR[]",
}


def session_row(audit: SessionAudit) -> dict[str, Any]:
    """Return a session's row: text is UTF-8, a moment is ISO 8601, unknown is None."""
    read = audit.was_read
    usage = audit.usage
    return {
        "id": audit.id_text,
        "file": _text(audit.file),
        "state": str(audit.state),
        "was_read": read,
        "created_at": plain(audit.created_at),
        "closed_at": plain(audit.closed_at),
        "severity": None if audit.severity is None else str(audit.severity),
        "finding_count": sum(audit.findings_by_reason.values()),
        "findings_by_reason": audit.findings_by_reason,
        "size_bytes": audit.size_bytes,
        **(_counts(audit) if read else dict.fromkeys(_COUNTED)),
        "prompt_tokens": usage and usage.prompt_tokens,
        "completion_tokens": usage and usage.completion_tokens,
        "total_tokens": usage and usage.total_tokens,
        "lineage_operator": _text(audit.lineage_operator) if audit.created_at else None,
        "lineage_kind": str(audit.lineage_kind) if audit.created_at else None,
        "origin": audit.origin_text,
        "parent_session_ids": list(audit.parent_texts),
        "findings": [
            {
                "severity": str(one.severity),
                "reason": one.reason,
                "line": one.line,
                "byte_offset": one.offset,
                "message": _text(one.message),
            }
            for one in audit.findings
        ],
        "tools": _tools(audit),
    }


_NAMES = [*COLUMNS]
_COUNTED = _NAMES[_NAMES.index("torn_bytes") : _NAMES.index("prompt_tokens")]


def _counts(audit: SessionAudit) -> dict[str, int | None]:
    """Return what was counted in the file."""
    own, tally = audit.own, audit.tally
    return {
        "torn_bytes": audit.torn_bytes,
        "lines": audit.lines,
        "rows": tally.rows,
        "own_rows": own.rows,
        "inherited_rows": audit.inherited_rows,
        **{f"{kind}_rows": tally.rows_by_kind.get(kind, 0) for kind in _KINDS},
        **{f"own_{kind}_rows": own.rows_by_kind.get(kind, 0) for kind in _KINDS},
        **{f"{kind}_bytes": tally.bytes_by_kind.get(kind, 0) for kind in _KINDS},
        "tool_calls": sum(tally.tool_calls.values()),
        "own_tool_calls": sum(own.tool_calls.values()),
        "tool_results": sum(tally.tool_results.values()),
        "own_tool_results": sum(own.tool_results.values()),
        "tool_errors": sum(tally.tool_errors.values()),
        "own_tool_errors": sum(own.tool_errors.values()),
        "unanswered_calls": tally.unanswered_calls,
        "unasked_results": tally.unasked_results,
    }


def _tools(audit: SessionAudit) -> list[dict[str, Any]]:
    own, tally = audit.own, audit.tally
    return [
        {
            "tool": _text(name),
            "calls": tally.tool_calls.get(name, 0),
            "own_calls": own.tool_calls.get(name, 0),
            "results": tally.tool_results.get(name, 0),
            "own_results": own.tool_results.get(name, 0),
            "errors": tally.tool_errors.get(name, 0),
            "own_errors": own.tool_errors.get(name, 0),
        }
        for name in sorted({*tally.tool_calls, *tally.tool_results})
    ]


def _text(text: str) -> str:
    """Return text that UTF-8 has bytes for: names of files may have others."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()

"""Audits of sessions, as ``audit_sessions`` gives them, of a few words each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sessiontail.format.audit import SessionAudit
from sessiontail.format.findings import Finding, finding
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.records import LineageKind, TokenUsage
from sessiontail.format.tally import Tally

__all__ = ["HOSTILE", "MOMENT", "audit", "family", "ident", "tally", "unread"]

MOMENT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)

#: What nobody calls a tool, unless to do harm: markup, a formula, marks that turn what is read.
HOSTILE = "=</style><script>alert(1)</script>\x1b[2J\u202e\u2066"


def ident(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def tally(
    *, user: int = 0, assistant: int = 0, result: int = 0, **tools: tuple[int, int, int]
) -> Tally:
    """A tally of rows of a hundred bytes, and of each tool's calls, results and errors."""
    kinds = {"user": user, "assistant": assistant, "tool_result": result}
    rows = {kind: count for kind, count in kinds.items() if count}
    counts = [{name: use[i] for name, use in tools.items() if use[i]} for i in range(3)]
    return Tally(
        rows=sum(rows.values()),
        rows_by_kind=rows,
        bytes_by_kind={kind: 100 * count for kind, count in rows.items()},
        tool_calls=counts[0],
        tool_results=counts[1],
        tool_errors=counts[2],
    )


def audit(number: int = 1, *found: Finding, tokens: int | None = 30, **fields: Any) -> SessionAudit:
    """A session that was closed, an hour behind the one before it."""
    reasons: dict[str, int] = {}
    for one in found:
        reasons[one.reason] = reasons.get(one.reason, 0) + 1
    given: dict[str, Any] = {
        "id_text": ident(number),
        "file": f"/sessions/{ident(number)}.jsonl",
        "state": SessionState.CLOSED,
        "closed": True,
        "size_bytes": 1000 * number,
        "created_at": MOMENT + timedelta(hours=number),
        "closed_at": MOMENT + timedelta(hours=number, minutes=1),
        "torn_bytes": 0,
        "parent_texts": (),
        "lineage_operator": "run",
        "lineage_kind": LineageKind.OP_SESSION_LOOP,
        "lines": 2,
        "tally": Tally(),
        "inherited": Tally(),
        "origin_text": None,
        "usage": None if tokens is None else TokenUsage(tokens - tokens // 3, tokens // 3, tokens),
        "findings": found,
        "findings_by_reason": reasons,
    }
    return SessionAudit(**(given | fields))


def unread(number: int = 9) -> SessionAudit:
    """A session that the system did not give."""
    return audit(
        number,
        finding("unreadable", "Permission denied"),
        tokens=None,
        state=SessionState.UNKNOWN,
        closed=False,
        created_at=None,
        closed_at=None,
        lines=0,
        was_read=False,
        inherited=None,
    )


def family() -> list[SessionAudit]:
    """A session, a child that repeats its rows and has a hostile tool, a crash, and an unread one."""
    own = tally(user=1, assistant=2, result=1, bash=(2, 1, 1))
    both = tally(user=2, assistant=3, result=2, bash=(2, 1, 1))
    both.tool_calls[HOSTILE] = both.tool_results[HOSTILE] = 1
    return [
        audit(1, tally=own, lines=6),
        audit(
            2,
            finding("missing-parent", "no file of its parent"),
            tally=both,
            inherited=own,
            origin_text=ident(1),
            parent_texts=(ident(1), ident(7)),
            lines=9,
        ),
        audit(
            3,
            finding("invalid-json", f"invalid JSON: {HOSTILE}", line=2, offset=100),
            finding("torn-tail", "7 bytes after the last whole line", line=3, offset=150),
            tokens=None,
            state=SessionState.ABANDONED,
            closed=False,
            closed_at=None,
            torn_bytes=7,
            tally=tally(user=1),
            lines=3,
        ),
        unread(),
    ]

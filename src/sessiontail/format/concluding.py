"""what an audit knows behind a file's last line, and what the directory says -> the session's audit.

What can be said only of the whole file is said here: that it has no header or no trailer, that the
trailer's count is another, that its name is another's. Nothing here opens, waits or logs.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from sessiontail.format.audit import SessionAudit
from sessiontail.format.audit_state import AuditState
from sessiontail.format.findings import MOST_OF_A_REASON, Finding, finding
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.records import LineageKind
from sessiontail.format.tally import Tally, brief_name

__all__ = ["FileFacts", "conclude", "of_unread", "with_lineage"]


class FileFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the directory says of a session's file."""

    #: The file, as text, and its name without the endings of session files.
    file: str
    stem: str
    #: Whether it has the name of a WAL, and whether a file with the other name is beside it.
    is_wal: bool
    has_twin: bool
    #: Bytes that were looked at.
    size_bytes: int
    state: SessionState


def conclude(state: AuditState, facts: FileFacts) -> SessionAudit:
    """Return the audit of a file whose last whole line was folded.

    What it inherits, and whether its parents are there, is not known here: ``with_lineage`` adds it.
    """
    header = state.header
    found = _Findings(state)
    _judge(state, facts, found)
    tally = msgspec.structs.replace(state.tally, unanswered_calls=state.calls.unanswered)
    return SessionAudit(
        id_text=header.id_text if header else _id_of(facts.stem),
        file=facts.file,
        state=facts.state,
        closed=state.trailer_line is not None,
        size_bytes=max(facts.size_bytes, state.mark.offset),
        created_at=header.created_at if header else None,
        closed_at=state.closed_at,
        torn_bytes=max(0, facts.size_bytes - state.mark.offset),
        parent_texts=header.parent_texts if header else (),
        lineage_operator=header.lineage_operator if header else "implicit",
        lineage_kind=header.lineage_kind if header else LineageKind.UNKNOWN,
        lines=state.mark.lines or 0,
        tally=tally,
        inherited=None if header and header.may_inherit else Tally(),
        origin_text=None,
        usage=state.usage,
        findings=tuple(found.kept),
        findings_by_reason=found.counts,
    )


def of_unread(facts: FileFacts, message: str) -> SessionAudit:
    """Return the audit of a file that could not be read: why, and nothing else."""
    return SessionAudit(
        id_text=_id_of(facts.stem),
        file=facts.file,
        state=SessionState.UNKNOWN,
        closed=False,
        size_bytes=facts.size_bytes,
        created_at=None,
        closed_at=None,
        torn_bytes=0,
        parent_texts=(),
        lineage_operator="implicit",
        lineage_kind=LineageKind.UNKNOWN,
        was_read=False,
        lines=0,
        tally=Tally(),
        inherited=None,
        origin_text=None,
        usage=None,
        findings=(finding("unreadable", message),),
        findings_by_reason={"unreadable": 1},
    )


def with_lineage(
    audit: SessionAudit,
    *,
    inherited: Tally | None,
    origin: str | None,
    missing: tuple[str, ...],
    in_cycle: bool,
) -> SessionAudit:
    """Return an audit with what the other sessions of the directory say of it.

    Args:
        audit: from ``conclude``.
        inherited: its first rows, where an earlier session has them; None: it is not known.
        origin: the session that has them.
        missing: those of its parents that are not there.
        in_cycle: whether it is its own ancestor.
    """
    more = [
        finding("missing-parent", f"no file of its parent {parent}: agents and merges have none")
        for parent in missing
    ]
    if in_cycle:
        more.append(finding("lineage-cycle", "it is its own ancestor, by what the headers say"))
    counts = dict(audit.findings_by_reason)
    for one in more:
        counts[one.reason] = counts.get(one.reason, 0) + 1
    return msgspec.structs.replace(
        audit,
        inherited=inherited,
        origin_text=origin,
        findings=(*audit.findings, *more[:MOST_OF_A_REASON]),
        findings_by_reason=counts,
    )


class _Findings:
    """The findings of the lines, and those of the whole file behind them."""

    def __init__(self, state: AuditState) -> None:
        self.kept: list[Finding] = [*state.findings]
        self.counts = dict(state.findings_by_reason)

    def add(self, reason: str, message: str, **where: Any) -> None:
        """Add one."""
        self.kept.append(finding(reason, message, **where))
        self.counts[reason] = self.counts.get(reason, 0) + 1


def _judge(state: AuditState, facts: FileFacts, found: _Findings) -> None:
    torn = facts.size_bytes - state.mark.offset
    if state.header is None:
        being = facts.is_wal and not state.mark.lines
        message = "no header: it is being created, or its writer died" if being else "no header"
        found.add("no-header", message)
    else:
        own, count = state.tally.rows, state.final_chunk_count
        by_writer = own - state.rows_before_writer
        if count is not None and count not in (own, by_writer):
            found.add(
                "count-mismatch",
                f"the trailer says {count} chunks, the file has {own}",
                line=state.trailer_line,
                offset=state.trailer_offset,
            )
        if not facts.is_wal and state.trailer_line is None:
            found.add("no-trailer", "it has the name of a closed session, and no trailer")
        if facts.stem.lower() != state.header.id_text:
            name = brief_name(facts.stem)
            found.add(
                "name-differs", f"it is called {name}, its header's id is {state.header.id_text}"
            )
    if torn > 0:
        found.add(
            "torn-tail",
            f"{torn} bytes after the last whole line",
            line=(state.mark.lines or 0) + 1,
            offset=state.mark.offset,
        )
    if facts.has_twin:
        other = "a closed file" if facts.is_wal else "a WAL"
        found.add("two-files", f"{other} of the same name is beside it")


def _id_of(stem: str) -> str | None:
    try:
        return str(UUID(stem))
    except ValueError:
        return None

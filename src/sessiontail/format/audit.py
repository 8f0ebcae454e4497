"""audits of sessions -> the audit of all of them; and what each is.

A session's numbers are of its whole file; ``inherited`` has those of its first rows that are an earlier
session's. The sums of a directory leave these out: each row counts once, where it is a session's own.
Nothing here opens, waits or logs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from sessiontail.format.brief import brief, counted, short
from sessiontail.format.findings import Finding, Severity
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.plain import SCHEMA, plain
from sessiontail.format.records import DamageReason, LineageKind, TokenUsage
from sessiontail.format.tally import Tally, UsageTotal
from sessiontail.urls import as_path

__all__ = ["DirectoryAudit", "SessionAudit", "summarize"]

_DAMAGE = frozenset(map(str, DamageReason))


class SessionAudit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One session file, all of it counted."""

    #: ``id`` as text: the header's; without a header what the file's name says, else None.
    id_text: str | None = msgspec.field(name="id")
    #: The file, as text; ``path`` gives it as a ``Path``.
    file: str
    state: SessionState
    #: Whether a trailer was read.
    closed: bool
    #: Bytes that were looked at.
    size_bytes: int
    #: Of the header, aware; None where there is none.
    created_at: datetime | None
    #: Of the last trailer, aware.
    closed_at: datetime | None
    #: Bytes after the last newline.
    torn_bytes: int
    #: ``parent_session_ids`` as text, and under that name in JSON.
    parent_texts: tuple[str, ...] = msgspec.field(name="parent_session_ids")
    lineage_operator: str
    lineage_kind: LineageKind
    #: Whether the file was read; if not, a finding says why, and all numbers are of nothing.
    was_read: bool = True
    #: Whole lines, records or not.
    lines: int
    #: Chunks, and what they are.
    tally: Tally
    #: Of these, the first ones that an earlier session has; None: it is not known how many.
    inherited: Tally | None
    #: The session whose rows these are; None: there are none, or it is not known.
    origin_text: str | None = msgspec.field(name="origin")
    #: Tokens, by the last trailer; None is unknown, never zero.
    usage: TokenUsage | None
    #: In the order of the file, what is of the whole file behind it: the first hundred of a reason.
    findings: tuple[Finding, ...]
    #: How many there are, by reason: more than ``findings`` has, where those are cut short.
    findings_by_reason: dict[str, int]

    def __repr__(self) -> str:
        rows, found = counted(self.rows, "row"), counted(len(self.findings), "finding")
        return brief(self, short(self.id_text or "?"), str(self.state), rows, found)

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as JSON has it (``plain``): the tally's fields beside the others.

        Of a file that could not be read, every count is null: unknown, never zero.
        """
        fields = plain(self)
        tally = fields.pop("tally")
        inherited = fields.pop("inherited")
        counts = {**tally, "own_rows": self.own_rows, "inherited_rows": self.inherited_rows}
        if not self.was_read:
            counts = dict.fromkeys(counts)
            fields |= dict.fromkeys(("lines", "torn_bytes", "closed", "lineage_operator"))
        findings = [one.to_dict() for one in self.findings]
        return {
            "schema": SCHEMA,
            **fields,
            **counts,
            "inherited": inherited,
            "findings": findings,
        }

    @property
    def id(self) -> UUID | None:
        """The session's id; None where neither header nor name says one."""
        return None if self.id_text is None else UUID(self.id_text)

    @property
    def path(self) -> Path:
        """The file."""
        return as_path(self.file)

    @property
    def parent_session_ids(self) -> tuple[UUID, ...]:
        """The sessions that it came from, in the header's order."""
        return tuple(map(UUID, self.parent_texts))

    @property
    def rows(self) -> int:
        """Chunks of the file."""
        return self.tally.rows

    @property
    def inherited_rows(self) -> int | None:
        """How many of its first chunks are an earlier session's; None: unknown."""
        return None if self.inherited is None else self.inherited.rows

    @property
    def own_rows(self) -> int:
        """Chunks that no earlier session has; all, where it is unknown which are."""
        return self.tally.rows - (self.inherited_rows or 0)

    @property
    def own(self) -> Tally:
        """What its own rows are."""
        return self.tally if self.inherited is None else self.tally.minus(self.inherited)

    @property
    def rows_by_kind(self) -> dict[str, int]:
        """Chunks by ``ChunkKind`` value."""
        return self.tally.rows_by_kind

    @property
    def bytes_by_kind(self) -> dict[str, int]:
        """Bytes of their lines, by ``ChunkKind`` value."""
        return self.tally.bytes_by_kind

    @property
    def tool_calls(self) -> dict[str, int]:
        """Calls by the tool's name."""
        return self.tally.tool_calls

    @property
    def tool_results(self) -> dict[str, int]:
        """Results by the tool's name."""
        return self.tally.tool_results

    @property
    def tool_errors(self) -> dict[str, int]:
        """Results that say that the tool failed, by its name; the rule is ``tool_errors``."""
        return self.tally.tool_errors

    @property
    def unanswered_calls(self) -> int:
        """Calls that no later result names, so far."""
        return self.tally.unanswered_calls

    @property
    def unasked_results(self) -> int:
        """Results that no earlier call asked for."""
        return self.tally.unasked_results

    @property
    def is_damaged(self) -> bool:
        """Whether a line of it is no record."""
        return not _DAMAGE.isdisjoint(self.findings_by_reason)

    @property
    def severity(self) -> Severity | None:
        """The worst of its findings; None where there are none."""
        return max((one.severity for one in self.findings), key=_rank, default=None)


_rank = attrgetter("rank")


class DirectoryAudit(msgspec.Struct, frozen=True, kw_only=True):
    """All sessions of a directory, summed up; each row counts once."""

    sessions: int
    sessions_by_state: dict[str, int]
    #: Files that could not be read: of these, only bytes, states and findings are in the sums.
    unreadable: int
    #: Sessions that begin a conversation: their parent is not there, or they have none.
    conversations: int
    size_bytes: int
    torn_bytes: int
    #: Chunks of all files, those that children repeat counted each time.
    rows: int
    #: What of these each session has added; ``own.rows`` counts each row once.
    own: Tally
    #: Sessions of which it is not known what they repeat: all their rows are in ``own``.
    inherited_unknown: int
    usage: UsageTotal
    #: How many findings there are, and in how many sessions; by reason.
    findings_by_reason: dict[str, int]
    sessions_by_reason: dict[str, int]
    #: Sessions by the worst of their findings.
    sessions_by_severity: dict[str, int]

    @property
    def own_rows(self) -> int:
        """Chunks, each counted once."""
        return self.own.rows

    def to_dict(self) -> dict[str, Any]:
        """Return the sums as JSON has them (``plain``): what each session has added under ``own``."""
        return {"schema": SCHEMA, **plain(self), "own_rows": self.own_rows}


def summarize(audits: Iterable[SessionAudit]) -> DirectoryAudit:
    """Return the sums over the sessions of a directory.

    Args:
        audits: of all its sessions, in any order; of a part, what that part's files say.
    """
    states: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    in_sessions: Counter[str] = Counter()
    severities: Counter[str] = Counter()
    parents: list[tuple[str, str | None]] = []
    usages: list[tuple[TokenUsage | None, bool]] = []
    own = Tally()
    size = torn = rows = unreadable = unknown = 0
    for one in audits:
        states[str(one.state)] += 1
        reasons.update(one.findings_by_reason)
        in_sessions.update(one.findings_by_reason.keys())
        severities[str(one.severity or "none")] += 1
        size += one.size_bytes
        torn += one.torn_bytes
        unreadable += not one.was_read
        if not one.was_read:
            continue
        if one.id_text is not None and one.created_at is not None:  # it has a header
            parents.append((one.id_text, _parent(one)))
        usages.append((one.usage, one.is_damaged))
        rows += one.rows
        unknown += one.inherited is None and one.rows > 0
        own.add(one.own)
    return DirectoryAudit(
        sessions=sum(states.values()),
        sessions_by_state=dict(states),
        unreadable=unreadable,
        conversations=_conversations(parents),
        size_bytes=size,
        torn_bytes=torn,
        rows=rows,
        own=own,
        inherited_unknown=unknown,
        usage=UsageTotal.of(usages),
        findings_by_reason=dict(reasons),
        sessions_by_reason=dict(in_sessions),
        sessions_by_severity=dict(severities),
    )


def _parent(one: SessionAudit) -> str | None:
    """Return the session that it goes on from: whose rows it has, else the one it names first."""
    return one.origin_text or next(iter(one.parent_texts), None)


def _conversations(parents: list[tuple[str, str | None]]) -> int:
    """Return how many trees of sessions there are; a circle of parents is one too."""
    heads = {own: own for own, _ in parents}

    def head_of(one: str) -> str:
        while heads[one] != one:
            heads[one] = one = heads[heads[one]]
        return one

    for own, parent in parents:
        if parent in heads:
            heads[head_of(own)] = head_of(parent)
    return sum(head == one for one, head in heads.items())

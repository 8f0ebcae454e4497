"""batches of a running session, and when they came -> what it does now.

The counts are those of an audit: the same fold takes the same records. Of a file that was not read from
its start the rest is counted, and that is said. Nothing here opens, waits or looks at a clock: time
comes as an argument.
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from uuid import UUID

import msgspec

from sessiontail.directory.rates import Rate
from sessiontail.format.auditing import AuditFold
from sessiontail.format.batch import Batch
from sessiontail.format.brief import brief, counted, short
from sessiontail.format.findings import Finding
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.records import Chunk, ChunkKind, DamageReason, Header, TokenUsage
from sessiontail.format.tally import brief_name

__all__ = ["ActivityFold", "SessionActivity"]

_DAMAGE = frozenset(map(str, DamageReason))
# Of a message, as a title: as many as a wide terminal shows.
_LETTERS = 200
# Calls that wait and are named: an agent waits for some.
_MOST_NAMED = 10


class SessionActivity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one session does, at one moment; its own rows alone are counted."""

    #: ``id`` as text; ``id`` gives it as a ``UUID``.
    id_text: str = msgspec.field(name="id")
    #: LIVE where its writer was seen, UNKNOWN where none shows and nothing proves that none is.
    state: SessionState
    #: Of the header, aware; None where it was not read.
    created_at: datetime | None
    #: Its first own user message, one line of it.
    title: str | None
    #: Chunks that are its own, and those of an earlier session that it begins with.
    rows: int
    inherited_rows: int
    #: Whether its file was read from the start; else all numbers are of what came behind it.
    is_whole: bool
    #: Bytes of its whole lines.
    size_bytes: int
    #: Of what came while it was watched, by the last ten seconds.
    rows_per_s: float
    bytes_per_s: float
    #: When the last of its lines came, on the monotonic clock.
    active_s: float
    tool_calls: int
    tool_errors: int
    #: The name of the tool that was called last; None: none was.
    last_tool: str | None
    #: Calls without a result, and the names of their tools: the first ten, the oldest first.
    unanswered_calls: int
    waits_for: tuple[str, ...]
    #: Damaged lines; what is torn; and of the findings that are kept the last, its line None where not known.
    damaged_lines: int
    #: Bytes after its last newline, where its writer is gone; who writes may be in the midst of it.
    torn_bytes: int
    findings_by_reason: dict[str, int]
    last_finding: Finding | None
    #: Of its trailer; None is unknown, never zero: who runs has none yet.
    usage: TokenUsage | None

    @property
    def id(self) -> UUID:
        """The session's id."""
        return UUID(self.id_text)

    def __repr__(self) -> str:
        rate = f"{self.rows_per_s:.1f} a second"
        return brief(self, short(self.id_text), str(self.state), counted(self.rows, "row"), rate)


class ActivityFold:
    """Folds what comes of one session's file.

    Args:
        now_s: the time.
        known_bytes: how long the file was when the watch began: what lies before is no news.
        quiet_s: how long it was not written then.
    """

    __slots__ = (
        "_active_s",
        "_activity",
        "_bytes",
        "_fold",
        "_inherited",
        "_is_whole",
        "_known_bytes",
        "_last_tool",
        "_rows",
        "_title",
        "state",
        "torn_bytes",
    )

    def __init__(self, now_s: float, *, known_bytes: int = 0, quiet_s: float = 0.0) -> None:
        #: As its events and its lock say.
        self.state = SessionState.UNKNOWN
        #: Bytes after its last newline that no writer goes on with.
        self.torn_bytes = 0
        self._known_bytes = known_bytes
        self._active_s = now_s - quiet_s
        self._fold = AuditFold()
        self._is_whole = True
        self._inherited = 0
        self._rows = Rate(now_s)
        self._bytes = Rate(now_s)
        self._title: str | None = None
        self._last_tool: str | None = None
        # What was returned last, while nothing has come since.
        self._activity: SessionActivity | None = None

    @property
    def offset(self) -> int:
        """Where what it knows of the file ends."""
        return self._fold.state.mark.offset

    def add(self, batch: Batch, *, left_out: int, now_s: float) -> tuple[int, int]:
        """Take the next records.

        Args:
            batch: those that are the session's own.
            left_out: how many were left out of its file so far, because an earlier session has them.
            now_s: the time.

        Returns:
            How many rows and bytes of it came since the watch began.
        """
        state = self._fold.state
        if not state.mark.offset and batch.start.offset and not _has_header(batch):
            self._is_whole = False
            first = next((one for one in batch.records if type(one) is Chunk), None)
            state.next_index = (first.index if first else None) or 0
        state.next_index += left_out - self._inherited
        self._inherited = left_out
        self._fold.add_batch(batch)
        self._activity = None
        chunks = [record for record in batch.records if type(record) is Chunk]
        self._last_tool = _last_tool(chunks) or self._last_tool
        self._title = self._title or _title(chunks)
        return self._count(batch, now_s)

    def _count(self, batch: Batch, now_s: float) -> tuple[int, int]:
        """Count what is news; what was there when the watch began has no rate."""
        known, end = self._known_bytes, batch.end.offset
        if end <= known:
            return 0, 0
        self._active_s = now_s
        if batch.start.offset >= known:
            rows = sum(type(record) is Chunk for record in batch.records)
        else:
            rows = _rows_behind(known, batch)
        fresh = end - max(known, batch.start.offset)
        self._rows.add(rows, now_s)
        self._bytes.add(fresh, now_s)
        return rows, fresh

    def activity(self, session_id: str, now_s: float) -> SessionActivity:
        """Return what it does now; while nothing comes and the rates stand still, the same object."""
        rates = self._rows.per_s(now_s), self._bytes.per_s(now_s)
        known = self._activity
        if known is None or known.state is not self.state:
            known = self._activity = self._made(session_id, *rates)
        elif (known.rows_per_s, known.bytes_per_s) != rates:
            known = self._activity = msgspec.structs.replace(
                known, rows_per_s=rates[0], bytes_per_s=rates[1]
            )
        return known

    def _made(self, session_id: str, rows_per_s: float, bytes_per_s: float) -> SessionActivity:
        state = self._fold.state
        tally, header = state.tally, state.header
        found = state.findings_by_reason
        return SessionActivity(
            id_text=session_id,
            state=self.state,
            created_at=header.created_at if header else None,
            title=self._title,
            rows=tally.rows,
            inherited_rows=self._inherited,
            is_whole=self._is_whole,
            size_bytes=state.mark.offset,
            rows_per_s=rows_per_s,
            bytes_per_s=bytes_per_s,
            active_s=self._active_s,
            tool_calls=sum(tally.tool_calls.values()),
            tool_errors=sum(tally.tool_errors.values()),
            last_tool=self._last_tool,
            unanswered_calls=state.calls.unanswered,
            waits_for=self._waits_for(),
            damaged_lines=sum(found[reason] for reason in found.keys() & _DAMAGE),
            torn_bytes=self.torn_bytes,
            findings_by_reason=dict(found),
            last_finding=self._last_finding(),
            usage=state.usage,
        )

    def _waits_for(self) -> tuple[str, ...]:
        waiting = self._fold.state.calls.by_id.values()
        # As they were asked for, but for an id that was asked for again.
        names = (name for many in waiting for name, _ in many)
        return tuple(islice(names, _MOST_NAMED))

    def _last_finding(self) -> Finding | None:
        state = self._fold.state
        if not state.findings:
            return None
        last = state.findings[-1]
        return msgspec.structs.replace(last, line=None) if state.mark.lines is None else last


def _has_header(batch: Batch) -> bool:
    return any(isinstance(record, Header) for record in batch.records)


def _last_tool(chunks: list[Chunk]) -> str | None:
    """Return the name of the tool that is called last."""
    for chunk in reversed(chunks):
        # Looked at before it is made: most turns call none.
        if chunk.kind is ChunkKind.ASSISTANT and chunk.payload.get("tool_calls"):
            calls = chunk.tool_calls
            if calls:
                return brief_name(calls[-1].name)
    return None


def _title(chunks: list[Chunk]) -> str | None:
    """Return the first thing that a user says, one line of it."""
    for chunk in chunks:
        if chunk.kind is ChunkKind.USER:
            text = (chunk.text or "")[: 4 * _LETTERS]
            if title := " ".join(text.split())[:_LETTERS]:
                return title
    return None


def _rows_behind(known: int, batch: Batch) -> int:
    """Return how many rows of a batch end behind a place in the file."""
    pairs = zip(batch.records, batch.places, strict=True)
    return sum(end > known for record, (end, _) in pairs if type(record) is Chunk)

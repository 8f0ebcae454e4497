"""What an audit knows of a file behind any of its lines: enough to go on from there.

It is data alone, so that it can be sent to another process and kept in a file (``as_bytes``). It is
bounded by names and limits, not by the file. Nothing here opens, waits or logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b

import msgspec

from sessiontail.format.findings import MOST_OF_A_REASON, Finding, finding
from sessiontail.format.inheritance import may_inherit
from sessiontail.format.marks import BEGIN, Mark
from sessiontail.format.records import Header, LineageKind, TokenUsage
from sessiontail.format.tally import MOST_LETTERS, Tally, brief_name

__all__ = ["STATE_VERSION", "AuditState", "HeaderFacts", "OpenCalls", "in_utc"]

#: Counted up when what is kept, or how it is counted, changes: what was kept before is no use then.
STATE_VERSION = 2

# Calls without a result that are told apart: an agent waits for some, not for ten thousand.
_MOST_OPEN_CALLS = 10_000


class HeaderFacts(msgspec.Struct, frozen=True):
    """What a header says."""

    id_text: str
    created_at: datetime
    parent_texts: tuple[str, ...]
    lineage_operator: str
    lineage_kind: LineageKind
    #: Whether the session can begin with another's rows.
    may_inherit: bool

    @classmethod
    def of(cls, header: Header) -> HeaderFacts:
        """Return what is kept of a header."""
        return cls(
            str(header.id),
            in_utc(header.created_at),
            tuple(map(str, header.parent_session_ids)),
            brief_name(header.lineage_operator),
            header.lineage_kind,
            may_inherit(header),
        )


class OpenCalls(msgspec.Struct):
    """Calls that wait for their results."""

    #: By the call's id: the tool's name and the row, from 1, of each that has it, the oldest first.
    by_id: dict[str, list[tuple[str, int]]] = {}
    #: How many they are, and how many more there were no place for.
    count: int = 0
    lost: int = 0

    def ask(self, call_id: str, name: str, row: int) -> None:
        """Note a call."""
        if self.count >= _MOST_OPEN_CALLS:
            self.lost += 1
            return
        if len(call_id) > MOST_LETTERS or not call_id.isascii():
            call_id = _digest(call_id)
        if len(name) > MOST_LETTERS or not name.isascii():
            name = brief_name(name)
        waiting = self.by_id.get(call_id)
        if waiting is None:
            self.by_id[call_id] = [(name, row)]
        else:
            waiting.append((name, row))
        self.count += 1

    def ask_all(self, calls: Mapping[str, tuple[str, int]]) -> None:
        """Note calls by their ids: the tool's name and the row of each."""
        for call_id, (name, row) in calls.items():
            self.ask(call_id, name, row)

    def answer(self, call_id: str) -> str | None:
        """Take a call that has its result; return its name, None where nobody asked."""
        if len(call_id) > MOST_LETTERS or not call_id.isascii():
            call_id = _digest(call_id)
        waiting = self.by_id.get(call_id)
        if waiting is None:
            if self.lost:
                self.lost -= 1
                return ""
            return None
        if len(waiting) > 1:
            name, _ = waiting.pop(0)
        else:
            ((name, _),) = waiting
            del self.by_id[call_id]
        self.count -= 1
        return name

    @property
    def unanswered(self) -> int:
        """How many wait."""
        return self.count + self.lost

    @property
    def rows(self) -> list[int]:
        """The rows of those that are told apart, from 1, the oldest first."""
        return sorted(row for waiting in self.by_id.values() for _, row in waiting)


class AuditState(msgspec.Struct, kw_only=True):
    """What is known of a file behind a line."""

    mark: Mark = BEGIN
    header: HeaderFacts | None = None
    tally: Tally = msgspec.field(default_factory=Tally)
    calls: OpenCalls = msgspec.field(default_factory=OpenCalls)
    #: The index that the next chunk should have; and whether it may begin at 0 again.
    next_index: int = 0
    may_restart: bool = False
    #: Rows before the last writer began, where a second header shows that one did.
    rows_before_writer: int = 0
    #: What the last trailer says, and where it stands; no line: there is none.
    closed_at: datetime | None = None
    final_chunk_count: int | None = None
    usage: TokenUsage | None = None
    trailer_line: int | None = None
    trailer_offset: int = 0
    #: Whether a chunk behind that trailer was told.
    behind_trailer: bool = False
    findings: list[Finding] = []
    findings_by_reason: dict[str, int] = {}

    def add_finding(self, found: Finding) -> None:
        """Count a finding, and keep it if there are not a hundred of its reason."""
        count = self.findings_by_reason.get(found.reason, 0)
        self.findings_by_reason[found.reason] = count + 1
        if count < MOST_OF_A_REASON:
            self.findings.append(found)

    def tell(self, reason: str, message: str, line: int, offset: int) -> None:
        """Count a finding of one line."""
        self.add_finding(finding(reason, message, line=line, offset=offset))

    def as_bytes(self) -> bytes:
        """Return all of it, for ``from_bytes`` of the same version."""
        return _encoder.encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> AuditState:
        """Return what ``as_bytes`` made.

        Raises:
            ValueError: it is nothing of this version.
        """
        return _decoder.decode(data)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AuditState)


def in_utc(moment: datetime) -> datetime:
    """Return the same moment in UTC; within a day of the year 1 or 9999, the last one that fits."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _FIRST if moment.year == 1 else _LAST


_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def _digest(call_id: str) -> str:
    digest = blake2b(call_id.encode("utf-8", "surrogatepass"), digest_size=16)
    return f"#{digest.hexdigest()}"

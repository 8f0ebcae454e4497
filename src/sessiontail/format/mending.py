"""lines of a session file -> the same without what is no record, and what was done to them.

A record that a reader finds whole comes out as its bytes are, in order. What comes out is read by
every reader: a character that is a line end to some of them is written as JSON escapes it, which is
the same value. Nothing is renumbered. Nothing here opens, waits, logs or looks at a clock.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from sessiontail.format.brief import counted
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.encoding import trailer_line
from sessiontail.format.framing import Block, LongLine
from sessiontail.format.glue import Span, spans
from sessiontail.format.parsing import Refused, take_record
from sessiontail.format.plain import SCHEMA, plain
from sessiontail.format.records import Chunk, Damage, DamageReason, Header, Record, Trailer

__all__ = ["Mend", "MendAction", "Mended", "Mender"]


class MendAction(StrEnum):
    """What was done. Equal to its text."""

    #: The line is no record, or a second header: it is left out.
    DROPPED = "dropped"
    #: Several records, or torn ones, were on the line: what is whole has a line of its own.
    SPLIT = "split"
    #: Characters that end a line to some readers are written as escapes; the value is the same.
    ESCAPED = "escaped"
    #: The last line was whole but for its newline.
    ENDED = "ended"
    #: What follows the last whole line is left out.
    CUT = "cut"
    #: A trailer was added.
    CLOSED = "closed"


class Mend(Struct, frozen=True, gc=False):
    """What was done to one line."""

    #: Of the source, from 1; of a trailer that was added, the one that it would have had.
    line: int
    #: Where the line begins in the source, bytes from 0.
    offset: int
    #: Bytes of the line in the source, its newline included.
    length: int
    action: MendAction
    #: A ``DamageReason`` value, or ``glued``, ``blank``, ``line-ends``, ``no-newline``,
    #: ``torn-tail``, ``no-trailer``.
    reason: str
    #: In words.
    message: str
    #: How many records of the line are in the copy, and how many of its bytes.
    kept_records: int = 0
    kept_bytes: int = 0
    #: How many are not; the newline of a line that was split does not count.
    dropped_bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it (``plain``)."""
        return {"schema": SCHEMA, **plain(self)}


class Mended(Struct, frozen=True, gc=False):
    """Clean lines, and what was done to make them so."""

    data: bytes
    mends: list[Mend]


class Mender:
    """Mends one file, from its first line on."""

    def __init__(self) -> None:
        self._decoder = RecordDecoder()
        #: What the file is a session of; None: no header so far.
        self.header: Header | None = None
        #: The last trailer so far.
        self.trailer: Trailer | None = None
        #: Records in the copy so far, and chunks among them.
        self.records = self.chunks = 0

    def take(self, item: Block | LongLine) -> Mended:
        """Return the next lines, clean."""
        version = self._decoder.header_version
        if isinstance(item, Block) and not _ends_lines_elsewhere(item.data):
            records = self._decoder.decode(item).records
            if len(records) == item.lines and Damage not in map(type, records):
                for record in records:
                    self._count(record)
                return Mended(item.data, [])
            self._decoder.header_version = version
        clean: list[bytes] = []
        mends: list[Mend] = []
        if isinstance(item, LongLine):
            (damage,) = self._decoder.decode(item).records
            assert isinstance(damage, Damage)
            mends.append(_dropped(damage))
        else:
            start = 0
            for line, end in enumerate(item.ends, item.line):
                raw = item.data[start:end]
                mend = self._line(clean, raw, line, item.offset + start)
                if mend is not None:
                    mends.append(mend)
                start = end
        return Mended(b"".join(clean), mends)

    def finish(self, tail: bytes | None, *, length: int, line: int, offset: int) -> Mended:
        """Return what of an unterminated last line is whole: often nothing.

        Args:
            tail: the bytes behind the last newline; None where they are too many for a line.
            length: how many there are.
            line: the number that this line would have.
            offset: where it begins.
        """
        clean: list[bytes] = []
        mend = None if tail is None else self._line(clean, tail, line, offset)
        if not length:
            return Mended(b"", [])
        action, reason = MendAction.CUT, "torn-tail"
        message = f"{_bytes(length)} after the last whole line, no record"
        if clean:
            if mend is None or mend.action is MendAction.ESCAPED:
                action, reason = MendAction.ENDED, "no-newline"
                message = "whole but for its newline"
            else:
                message = mend.message
        kept = min(length, sum(map(len, clean)) - len(clean))
        told = Mend(line, offset, length, action, reason, message, len(clean), kept, length - kept)
        return Mended(b"".join(clean), [told])

    def close(self, closed_at: datetime, *, line: int, offset: int) -> Mended:
        """Return a trailer, where there is none; its usage is unknown.

        Args:
            closed_at: what it says, aware.
            line: the number of the line that would follow in the source.
            offset: where that would begin.
        """
        if self.trailer is not None:
            return Mended(b"", [])
        data = trailer_line(self.chunks, None, closed_at=closed_at)
        self._decoder.decode_line(data)
        self.records += 1
        message = f"a trailer was added: {counted(self.chunks, 'chunk')}, tokens unknown"
        return Mended(data, [Mend(line, offset, 0, MendAction.CLOSED, "no-trailer", message)])

    def _line(self, clean: list[bytes], raw: bytes, line: int, offset: int) -> Mend | None:
        """Append what is whole of one line; return what was done, None where nothing was."""
        version = self._decoder.header_version
        record = self._decoder.decode_line(raw, line=line, offset=offset)
        length = len(raw)
        if record is None:
            action, message = MendAction.DROPPED, "a blank line"
            return Mend(line, offset, length, action, "blank", message, 0, 0, length)
        if isinstance(record, Damage):
            found = [] if _is_one_record(record) else spans(raw)
            if not found:
                return _dropped(record, _of_whom(raw, self.header))
            self._decoder.header_version = version
            return self._split(clean, raw, found, line, offset)
        self._count(record)
        text = _one_line(raw)
        clean.append(text)
        if text is raw or text[:-1] == raw:
            return None
        message = "characters that end a line to some readers, written as JSON escapes them"
        action = MendAction.ESCAPED
        return Mend(line, offset, length, action, "line-ends", message, 1, length)

    def _split(
        self, clean: list[bytes], raw: bytes, found: list[Span], line: int, offset: int
    ) -> Mend:
        parts: list[str] = []
        at = kept = records = 0
        for start, end in found:
            if raw[at:start].strip():
                parts.append(f"{_bytes(start - at)} that are no record dropped")
            part = raw[start:end]
            record = self._decoder.decode_line(part, line=line, offset=offset + start)
            assert record is not None
            if isinstance(record, Damage):
                why = record.message + _of_whom(part, self.header)
                parts.append(f"{_bytes(end - start)} dropped: {why}")
            else:
                self._count(record)
                clean.append(_one_line(part))
                kept += end - start
                records += 1
                parts.append(f"a {type(record).__name__.lower()} of {_bytes(end - start)} kept")
            at = end
        whole = len(raw.removesuffix(b"\n"))
        if raw[at:].strip():
            rest = whole - at
            parts.append(f"{_bytes(rest)} that are no record dropped")
        message = "; ".join(parts)
        action = MendAction.SPLIT if len(parts) > 1 else MendAction.DROPPED
        dropped = whole - kept
        return Mend(line, offset, len(raw), action, "glued", message, records, kept, dropped)

    def _count(self, record: Record) -> None:
        self.records += 1
        if isinstance(record, Chunk):
            self.chunks += 1
        elif isinstance(record, Header):
            self.header = record
        elif isinstance(record, Trailer):
            self.trailer = record


# U+2028, U+2029 and U+0085: data to us, and line ends to ``str.splitlines``, by which openrath reads.
_ESCAPES = {0x2028: "\\u2028", 0x2029: "\\u2029", 0x85: "\\u0085", 0x0D: " "}
_MARKS = tuple(chr(point).encode() for point in (0x2028, 0x2029, 0x85))
# Blanks that can only stand around a record; "\r" can stand in it, between two values.
_BLANKS = tuple(bytes([point]) for point in (0x0B, 0x0C, 0x1C, 0x1D, 0x1E))


def _ends_lines_elsewhere(data: bytes) -> bool:
    """Say whether a line may end, to some readers, where it does not to us."""
    if not data.isascii() and any(mark in data for mark in _MARKS):
        return True
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        return True
    return any(blank in data for blank in _BLANKS)


def _one_line(raw: bytes) -> bytes:
    """Return a whole record as a line to every reader; the same bytes, where they are that."""
    whole = raw if raw.endswith(b"\n") else raw + b"\n"
    if not _ends_lines_elsewhere(whole):
        return whole
    return raw.decode().strip().translate(_ESCAPES).encode() + b"\n"


# What these are is known: nothing else is on their line.
_ONE_RECORD = (
    DamageReason.DUPLICATE_HEADER,
    DamageReason.RECORD_BEFORE_HEADER,
    DamageReason.UNKNOWN_RECORD,
    DamageReason.UNSUPPORTED_VERSION,
    DamageReason.MALFORMED_CHUNK,
    DamageReason.MALFORMED_HEADER,
    DamageReason.MALFORMED_TRAILER,
    DamageReason.NOT_AN_OBJECT,
)


def _is_one_record(damage: Damage) -> bool:
    return damage.reason in _ONE_RECORD


def _of_whom(raw: bytes, first: Header | None) -> str:
    """Say of a second header whose it is, where that is another session's."""
    if first is None:
        return ""
    try:
        record, _ = take_record(raw, None)
    except Refused:
        return ""
    if not isinstance(record, Header) or record.id == first.id:
        return ""
    return f", of another session, {record.id}: what follows may be that one's"


def _dropped(damage: Damage, more: str = "") -> Mend:
    assert damage.line is not None
    return Mend(
        damage.line,
        damage.offset,
        damage.length,
        MendAction.DROPPED,
        damage.reason.value,
        damage.message + more,
        dropped_bytes=damage.length,
    )


def _bytes(count: int) -> str:
    return counted(count, "byte")

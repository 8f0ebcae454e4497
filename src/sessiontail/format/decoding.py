"""whole lines -> records.

One fast path decodes a whole block in C, once the block is proven to hold one object a line; one
exact path decides about the odd line, by the standard library's ``json``, whose word is the
reference's. Both give the same records (tests/test_decoding.py compares them).
A line above ``BIG_LINE_BYTES`` is decoded in steps (bigline), so that a thread can do it beside the
event loop.
Whatever the bytes, the outcome is a record or a ``Damage``; nothing is raised.
Nothing here opens, waits or logs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec

from sessiontail.format.bigline import BIG_LINE_BYTES, put_back, shorten
from sessiontail.format.framing import Block, LongLine
from sessiontail.format.marks import BEGIN, WINDOW_BYTES, Mark
from sessiontail.format.migrations import (
    CURRENT_SCHEMA_VERSION,
    UnsupportedVersion,
    upgrade_chunk,
    upgrade_header,
)
from sessiontail.format.records import (
    Chunk,
    ChunkKind,
    Damage,
    DamageReason,
    Header,
    LineageKind,
    Record,
    SandboxSpec,
    TokenUsage,
    Trailer,
    as_utc,
)

__all__ = ["MAX_RUN_LINES", "Batch", "RecordDecoder", "Run", "usual_header", "usual_trailer"]


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
_OPEN, _CLOSE = b"{}"
_NEWLINE = 0x0A

# The most lines of a run: short ones take 1 us each to decode, and the event loop waits.
MAX_RUN_LINES = 2048

# A line nested deeper is damage, as it is to Python 3.11, which stops before; later ones go on to
# 1,497 (3.12) or 9,998 levels (3.13), and what a file says must not depend on who reads it.
MAX_DEPTH = 1000
_TAKES_DEEPER = sys.version_info >= (3, 12)
# No shorter line is nested deeper: each level has an opening and a closing byte.
_DEEP_LINE_BYTES = 2 * MAX_DEPTH

# What taking a header's or trailer's values can raise: missing keys, wrong types, bad times and
# ids, infinite numbers, and str() of something nested deeply.
_UNTAKEABLE = (
    AttributeError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


class Batch:
    """Records in file order, where they begin, and where each of them ends."""

    __slots__ = ("_block", "_ends", "end", "records", "start")

    def __init__(
        self,
        block: Block | LongLine,
        records: list[Record],
        ends: list[tuple[int, int]] | None,
        start: Mark,
        end: Mark,
    ) -> None:
        self.records = records
        #: The place before its first line, and the one behind its last.
        self.start = start
        self.end = end
        self._block = block
        # (offset, lines) after each record; None where every line is a record.
        self._ends = ends

    def at(self, count: int) -> Mark:
        """Return the place behind the first ``count`` records.

        Blank lines belong to the record before them only at the end of the batch.
        """
        if count == len(self.records):
            return self.end
        if count == 0:
            return self.start
        start, block = self.start, self._block
        assert isinstance(block, Block)  # a long line is one record
        if self._ends is not None:
            offset, line = self._ends[count - 1]
            length, lines = offset - block.offset, line - block.line + 1
        else:
            length, lines = block.ends[count - 1], count
        version = start.header_version
        if version is None and Header in map(type, self.records[:count]):
            version = self.end.header_version
        first = block.data[: min(WINDOW_BYTES, length)]
        last = block.data[max(0, length - WINDOW_BYTES) : length]
        return start.behind(first, last, length=length, lines=lines, header_version=version)


class Run(NamedTuple):
    """Whole lines that are one record each: chunks between perhaps a header and a trailer."""

    header: Header | None
    chunks: list[Chunk]
    trailer: Trailer | None
    lines: int
    #: Where in the bytes they end, just behind a newline.
    stop: int


class RecordDecoder:
    """Decodes the blocks of one file, in order; knows whether the header was seen.

    Args:
        header_version: the schema version that the header had on disk, where one was seen
            before (a reader that resumes); None at the begin of a file.
        start: the same, and all else that is known of the place where it resumes.
    """

    __slots__ = ("header_version", "mark")

    def __init__(self, *, header_version: int | None = None, start: Mark = BEGIN) -> None:
        if header_version is None:
            header_version = start.header_version
        self.header_version = header_version
        #: The place behind what was decoded.
        self.mark = start

    def decode(self, block: Block | LongLine) -> Batch:
        """Return the block's records in order, damaged lines as ``Damage``, blank ones left out."""
        start = self.mark
        if start.offset != block.offset or start.header_version != self.header_version:
            lines = None if start.lines is None else block.line - 1
            start = Mark(block.offset, lines, self.header_version, start.head, start.before)
        ends = None
        if isinstance(block, LongLine):
            records: list[Record] | None = [_long_line_damage(block)]
            first, last, length, lines = block.first, block.last, block.length, 1
        else:
            records = self._decode_whole(block)
            if records is None:
                records, ends = self._decode_lines(block)
            first = last = block.data
            length, lines = len(last), block.lines
            if length > WINDOW_BYTES:
                first, last = first[:WINDOW_BYTES], last[-WINDOW_BYTES:]
        assert records is not None
        if start.lines is None:
            _forget_lines(records)
        self.mark = start.behind(
            first, last, length=length, lines=lines, header_version=self.header_version
        )
        return Batch(block, records, ends, start, self.mark)

    def decode_usual_line(self, raw: bytes) -> Batch | None:
        """Decode the next whole line where it is a chunk of today's version; else None."""
        start = self.mark
        chunk = self.decode_usual_chunk(raw)
        if chunk is None:
            return None
        length = len(raw)
        self.mark = start.behind(
            raw, raw, length=length, lines=1, header_version=self.header_version
        )
        block = Block(raw, start.offset, (start.lines or 0) + 1, [length])
        return Batch(block, [chunk], None, start, self.mark)

    def decode_run(self, data: bytes | bytearray, start: int, end: int) -> Run | None:
        r"""Decode whole lines that all are records, where they lie; None where that is not proven.

        For who wants records and not where each of them lies: no line is cut out, and no list of
        their ends is made. It says the same as ``decode``, or nothing.

        Args:
            data: holds bytes of the file; not kept.
            start: where in them a line begins.
            end: how far they are the file's; cut off anywhere.

        Returns:
            The first lines, ``MAX_RUN_LINES`` at most; what follows the last newline is left.
        """
        stop = data.rfind(_NEWLINE, start, end) + 1
        if not stop:
            return None
        header = trailer = None
        begin, lines = start, 0
        if self.header_version is None:
            first = data.find(_NEWLINE, start) + 1
            header = usual_header(data[start:first])
            if header is None:
                return None
            start, lines = first, 1
        elif self.header_version != CURRENT_SCHEMA_VERSION:
            return None
        end = stop
        last = data.rfind(_NEWLINE, start, stop - 1) + 1 or start
        if data.startswith(TRAILER_START, last, stop):
            trailer = _as_trailer(bytes(data[last:stop]))
            if trailer is None:
                return None
            end = last
        chunks: list[Chunk] = []
        if start < end:
            # As in _decode_block: n objects in n lines are one a line where each newline between
            # lines stands in ``}\n{``.
            find, at, count, final = data.find, start, 1, end - 1
            for count in range(1, MAX_RUN_LINES + 1):  # noqa: B007 - counts the lines
                at = find(_NEWLINE, at, final) + 1
                if not at:
                    break
                if data[at] != _OPEN or data[at - 2] != _CLOSE:
                    return None
            else:
                stop, end, trailer = at, at, None
            try:
                chunks = _chunk_decoder.decode_lines(memoryview(data)[start:end])
            except (msgspec.MsgspecError, ValueError, RecursionError):
                return None
            if len(chunks) != count or (_TAKES_DEEPER and _any_too_deep(data, start, chunks)):
                return None
            lines += count
        self.header_version = CURRENT_SCHEMA_VERSION
        lines += trailer is not None
        whole = stop - begin
        self.mark = self.mark.behind(
            bytes(data[begin : min(stop, begin + WINDOW_BYTES)]),
            bytes(data[max(begin, stop - WINDOW_BYTES) : stop]),
            length=whole,
            lines=lines,
            header_version=CURRENT_SCHEMA_VERSION,
        )
        return Run(header, chunks, trailer, lines, stop)

    def decode_usual_chunk(self, raw: bytes) -> Chunk | None:
        """Decode one whole line that is a chunk of today's version; None where ``decode`` must."""
        if self.header_version != CURRENT_SCHEMA_VERSION:
            return None
        try:
            chunk: Chunk = _chunk_decoder.decode(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        return None if _TAKES_DEEPER and _any_too_deep(raw, 0, [chunk]) else chunk

    def decode_line(self, raw: bytes, *, line: int = 1, offset: int = 0) -> Record | None:
        """Decide about one line by the exact path; None where it is blank.

        Args:
            raw: the line, with or without its newline.
            line: its number, from 1.
            offset: where it begins in the file.
        """
        try:
            return self._record(raw)
        except _Refused as refused:
            return Damage(
                line=line,
                offset=offset,
                length=len(raw),
                reason=refused.reason,
                message=refused.message,
                raw=raw.removesuffix(b"\n"),
            )

    def _decode_whole(self, block: Block) -> list[Record] | None:
        if len(block.data) > BIG_LINE_BYTES and _longest(block.ends) > BIG_LINE_BYTES:
            return None
        version = self.header_version
        records = self._decode_block(block)
        if records is None:
            self.header_version = version
        return records

    def _decode_block(self, block: Block) -> list[Record] | None:
        r"""Decode chunks between perhaps a header and a trailer; None where that is not proven.

        ``decode_lines`` takes objects wherever they begin and end. n objects in n lines are one a
        line when each of the n - 1 newlines between lines stands in ``}\n{``: a newline inside an
        object has a comma, colon or bracket beside it, and inside a string there is none.
        """
        data, start, end, lines = block.data, 0, len(block.data), len(block.ends)
        header: list[Record] = []
        trailer: list[Record] = []
        if self.header_version is None:
            start = block.ends[0]
            first = self.decode_line(data[:start], line=block.line, offset=block.offset)
            if not isinstance(first, Header):
                return None
            header.append(first)
            lines -= 1
        last = block.ends[-2] if len(block.ends) > 1 else 0
        if data.startswith(TRAILER_START, last):
            record = self.decode_line(data[last:])
            if not isinstance(record, Trailer):
                return None
            trailer.append(record)
            end, lines = last, lines - 1
        if not lines:
            return header + trailer
        if self.header_version != CURRENT_SCHEMA_VERSION or (
            lines > 1 and not _one_a_line(data, block.ends[len(header) : len(header) + lines - 1])
        ):
            return None
        whole = data if end - start == len(data) else memoryview(data)[start:end]
        try:
            records: list[Record] = _chunk_decoder.decode_lines(whole)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        if len(records) != lines or (_TAKES_DEEPER and _any_too_deep(data, start, records)):
            return None
        records[:0] = header
        records += trailer
        return records

    def _decode_lines(self, block: Block) -> tuple[list[Record], list[tuple[int, int]]]:
        records: list[Record] = []
        ends: list[tuple[int, int]] = []
        for number, start, raw in _lines(block):
            record: Record | None
            try:
                if self.header_version != CURRENT_SCHEMA_VERSION:
                    record = self.decode_line(raw, line=number, offset=start)
                elif len(raw) > BIG_LINE_BYTES:
                    record = self._decode_big(raw) or _chunk_decoder.decode(raw)
                else:
                    record = _chunk_decoder.decode(raw)
                if _TAKES_DEEPER and isinstance(record, Chunk) and _any_too_deep(raw, 0, [record]):
                    record = self.decode_line(raw, line=number, offset=start)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                record = self.decode_line(raw, line=number, offset=start)
            if record is not None:
                records.append(record)
                ends.append((start + len(raw), number))
        return records, ends

    def _decode_big(self, raw: bytes) -> Chunk | None:
        """Decode a very large chunk in small steps; None where that does not go."""
        short = shorten(raw)
        if short is None:
            return None
        rest, texts = short
        record: Record | None
        try:
            record = _chunk_decoder.decode(rest)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            try:
                record = self._record(rest)
            except _Refused:
                return None
        if isinstance(record, Chunk) and put_back(record.payload, texts):
            return record
        return None

    def _record(self, raw: bytes) -> Record | None:
        if self.header_version is None:
            header = usual_header(raw)
            if header is not None:
                self.header_version = CURRENT_SCHEMA_VERSION
                return header
        record = _parse(raw)
        if record is None:
            return None
        kind = record.get("record_type")
        if kind == "header":
            if self.header_version is not None:
                raise _Refused(DamageReason.DUPLICATE_HEADER, "a second header")
            header, self.header_version = _header(record)
            return header
        if kind in ("chunk", "trailer"):
            if self.header_version is None:
                raise _Refused(DamageReason.RECORD_BEFORE_HEADER, f"{kind} before the header")
            return _chunk(record, self.header_version) if kind == "chunk" else _trailer(record)
        raise _Refused(DamageReason.UNKNOWN_RECORD, f"unknown record_type={_short(kind)}")


class _Refused(Exception):
    """A line is no record; becomes a ``Damage`` where its place is known."""

    def __init__(self, reason: DamageReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def _lines(block: Block) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, offset and bytes (newline included) of each line."""
    start = 0
    for number, end in enumerate(block.ends, block.line):
        yield number, block.offset + start, block.data[start:end]
        start = end


def _longest(ends: list[int]) -> int:
    return max(end - start for start, end in zip([0, *ends], ends, strict=False))


def _one_a_line(data: bytes, ends: list[int]) -> bool:
    """Say whether a line ends with ``}`` and the next begins with ``{`` at each of these."""
    for end in ends:  # noqa: SIM110 - all() of a generator takes twice as long
        if data[end] != _OPEN or data[end - 2] != _CLOSE:
            return False
    return True


def _forget_lines(records: list[Record]) -> None:
    """Say of no damage which line it is: they were not counted from the file's begin."""
    for i, record in enumerate(records):
        if isinstance(record, Damage):
            records[i] = msgspec.structs.replace(record, line=None)


def _long_line_damage(long: LongLine) -> Damage:
    return Damage(
        line=long.line,
        offset=long.offset,
        length=long.length,
        reason=DamageReason.LINE_TOO_LONG,
        message=f"line of {long.length} bytes, longer than max_line_bytes",
        raw=long.head,
    )


def _parse(raw: bytes) -> dict[str, Any] | None:
    """Return the object on a line, None where it is blank."""
    try:
        # What msgspec takes, it takes as the standard library does; what it refuses is open.
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        value = _parse_exactly(raw)
        if value is _BLANK:
            return None
    if _TAKES_DEEPER and len(raw) > _DEEP_LINE_BYTES and _too_deep(value, MAX_DEPTH):
        raise _Refused(DamageReason.INVALID_JSON, "invalid JSON: nested too deeply")
    if not isinstance(value, dict):
        name = type(value).__name__
        raise _Refused(DamageReason.NOT_AN_OBJECT, f"a record is a JSON object, not {name}")
    return value


def _any_too_deep(data: bytes | bytearray, start: int, records: list[Any]) -> bool:
    """Say whether one of these chunks, of lines that begin here in the data, is too deep."""
    for record in records:
        end = data.find(_NEWLINE, start)
        if (end < 0 or end - start > _DEEP_LINE_BYTES) and _too_deep(record.payload):
            return True
        start = end + 1
    return False


def _too_deep(value: Any, levels: int = MAX_DEPTH - 1) -> bool:
    """Say whether more levels than these are nested here; a payload is the second of a line."""
    level = [value]
    for _ in range(levels + 1):
        level = [inner for inner in level if isinstance(inner, (dict, list))]
        if not level:
            return False
        level = [
            inner
            for holder in level
            for inner in (holder.values() if isinstance(holder, dict) else holder)
        ]
    return True


_BLANK = object()


def _parse_exactly(raw: bytes) -> Any:
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        message = f"invalid UTF-8: {error.reason} at byte {error.start} of the line"
        raise _Refused(DamageReason.INVALID_UTF8, message) from error
    if not text:
        return _BLANK
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        message = f"invalid JSON: {error.msg} (column {error.colno})"
        raise _Refused(DamageReason.INVALID_JSON, message) from error
    except RecursionError as error:
        raise _Refused(DamageReason.INVALID_JSON, "invalid JSON: nested too deeply") from error
    except ValueError as error:  # an integer above sys.get_int_max_str_digits()
        raise _Refused(DamageReason.INVALID_JSON, f"invalid JSON: {error}") from error


# A tenth of the time of the enum's own look-up.
_LINEAGE_KINDS = {kind.value: kind for kind in LineageKind}


def usual_header(raw: bytes | bytearray) -> Header | None:
    """Return the header on a line, None where the exact path must decide."""
    if not raw.startswith(HEADER_START) or (_TAKES_DEEPER and len(raw) > _DEEP_LINE_BYTES):
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
            lineage_extras=_pairs(line.lineage_extras),
            sandbox_backend=line.sandbox_backend,
            sandbox_spec=_sandbox_spec(line.sandbox_spec),
            sandbox_handle_id=line.sandbox_handle_id,
        )
    except (msgspec.MsgspecError, *_UNTAKEABLE):
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
        closed_at=_time(line.closed_at),
        final_chunk_count=line.final_chunk_count,
        cumulative_usage=TokenUsage(
            usage.prompt_tokens, usage.completion_tokens, usage.total_tokens
        )
        if usage
        else None,
    )


def _as_trailer(raw: bytes) -> Trailer | None:
    """Take a trailer by the exact path; None where it is none."""
    try:
        record = _parse(raw)
        return _trailer(record) if record and record.get("record_type") == "trailer" else None
    except _Refused:
        return None


def _header(record: dict[str, Any]) -> tuple[Header, int]:
    """Return the header and the version that it had on disk."""
    try:
        version = int(record.get("schema_version", 0))
    except _UNTAKEABLE as error:
        raise _malformed(DamageReason.MALFORMED_HEADER, "schema_version", error) from error
    try:
        record = upgrade_header(record, version)
    except UnsupportedVersion as error:
        raise _Refused(DamageReason.UNSUPPORTED_VERSION, str(error)) from error
    except Exception as error:  # a registered migration is somebody's code
        raise _malformed(DamageReason.MALFORMED_HEADER, "its migration", error) from error
    try:
        return (
            Header(
                schema_version=int(record.get("schema_version", 0)),
                id=_uuid(record["id"]),
                created_at=as_utc(datetime.fromisoformat(str(record["created_at"]))),
                parent_session_ids=_uuids(record.get("parent_session_ids")),
                lineage_operator=str(record.get("lineage_operator", "implicit")),
                lineage_kind=_lineage_kind(record.get("lineage_kind")),
                lineage_extras=_pairs(record.get("lineage_extras")),
                sandbox_backend=record.get("sandbox_backend"),
                sandbox_spec=_sandbox_spec(record.get("sandbox_spec")),
                sandbox_handle_id=record.get("sandbox_handle_id"),
            ),
            version,
        )
    except _UNTAKEABLE as error:
        raise _malformed(DamageReason.MALFORMED_HEADER, "the header", error) from error


def _chunk(record: dict[str, Any], header_version: int) -> Chunk:
    if header_version != CURRENT_SCHEMA_VERSION:
        try:
            record = upgrade_chunk(record, header_version)
        except Exception as error:  # a registered migration is somebody's code
            raise _malformed(DamageReason.MALFORMED_CHUNK, "its migration", error) from error
    try:
        kind = ChunkKind(record["kind"])
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        message = f"unknown chunk kind={_short(record.get('kind'))}"
        raise _Refused(DamageReason.MALFORMED_CHUNK, message) from error
    payload = record.get("payload")
    if not isinstance(payload, dict):
        message = f"a chunk's payload is a JSON object, not {type(payload).__name__}"
        raise _Refused(DamageReason.MALFORMED_CHUNK, message)
    return Chunk(kind=kind, payload=payload, index=_integer(record.get("index")))


def _trailer(record: dict[str, Any]) -> Trailer:
    try:
        usage = _usage(record.get("cumulative_usage"))
    except _UNTAKEABLE as error:
        raise _malformed(DamageReason.MALFORMED_TRAILER, "cumulative_usage", error) from error
    return Trailer(
        closed_at=_time(record.get("closed_at")),
        final_chunk_count=_integer(record.get("final_chunk_count")),
        cumulative_usage=usage,
        raw=record,
    )


def _malformed(reason: DamageReason, what: str, error: Exception) -> _Refused:
    try:
        detail = f"no {error}" if isinstance(error, KeyError) else f"{error}"
    except Exception:  # noqa: BLE001 - of a registered migration, somebody's code
        detail = type(error).__name__
    return _Refused(reason, f"malformed {reason.value.split('-')[1]}: {what}: {detail}")


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except RecursionError:
        text = type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."


def _uuids(raw: Any) -> tuple[UUID, ...]:
    if not raw:
        return ()
    found = []
    for entry in raw:
        try:
            found.append(_uuid(entry))
        except ValueError:
            continue
    return tuple(found)


def _uuid(raw: Any) -> UUID:
    try:
        return msgspec.convert(raw, UUID)  # a tenth of the time, for the usual spellings
    except msgspec.ValidationError:
        return UUID(str(raw))


def _pairs(raw: Any) -> tuple[tuple[str, Any], ...]:
    if not raw:
        return ()
    return tuple(
        (entry[0], entry[1])
        for entry in raw
        if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)
    )


def _lineage_kind(raw: Any) -> LineageKind:
    try:
        return LineageKind(raw)
    except (RecursionError, ValueError):  # the enum shows the value in its error
        return LineageKind.UNKNOWN


def _sandbox_spec(raw: Any) -> SandboxSpec | None:
    if raw is None:
        return None
    entrypoint, env, seconds = raw.get("entrypoint"), raw.get("env"), raw.get("timeout_seconds")
    return SandboxSpec(
        image=raw.get("image"),
        entrypoint=None if entrypoint is None else tuple(entrypoint),
        env=None if env is None else dict(env),
        timeout=None if seconds is None else timedelta(seconds=float(seconds)),
        working_dir=raw.get("working_dir"),
    )


def _usage(raw: Any) -> TokenUsage | None:
    if raw is None:
        return None
    return TokenUsage(
        prompt_tokens=int(raw.get("prompt_tokens", 0) or 0),
        completion_tokens=int(raw.get("completion_tokens", 0) or 0),
        total_tokens=int(raw.get("total_tokens", 0) or 0),
    )


def _integer(raw: Any) -> int | None:
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else None


def _time(raw: Any) -> datetime | None:
    try:
        return as_utc(datetime.fromisoformat(raw))
    except (TypeError, ValueError):
        return None

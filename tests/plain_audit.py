"""A slow, plain audit: each line by itself, each session compared with each before it.

It shares with the real one how a line is decided about (``RecordDecoder.decode_line``), and nothing else.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.findings import FINDINGS
from sessiontail.format.inheritance import may_inherit
from sessiontail.format.records import Chunk, Damage, Header, Record, Trailer

__all__ = ["comparable", "plain_audits"]

ENDINGS = (".jsonl.__partial__", ".jsonl")


class Plain:
    """One file, read to its last whole line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path.read_bytes()
        whole = self.data[: self.data.rfind(b"\n") + 1]
        self.torn = len(self.data) - len(whole)
        self.lines = whole.split(b"\n")[:-1]
        self.stem = next(path.name.removesuffix(e) for e in ENDINGS if path.name.endswith(e))
        self.is_wal = path.name.endswith(ENDINGS[0])
        decoder = RecordDecoder()
        #: Number, offset, line and record of each line that is not blank.
        self.records: list[tuple[int, int, bytes, Record]] = []
        offset = 0
        for number, line in enumerate(self.lines, 1):
            raw = line + b"\n"
            record = decoder.decode_line(raw, line=number, offset=offset)
            if record is not None:
                self.records.append((number, offset, raw, record))
            offset += len(raw)
        headers = [record for *_, record in self.records if isinstance(record, Header)]
        self.header = headers[0] if headers else None

    @property
    def first_rows(self) -> list[bytes]:
        """The chunks behind the header, up to the first line that is none."""
        rows: list[bytes] = []
        for *_, raw, record in self.records[1:]:
            if not isinstance(record, Chunk):
                break
            rows.append(raw.lstrip())
        return rows

    @property
    def order(self) -> Any:
        status = self.path.stat()
        assert self.header is not None
        return self.header.created_at, status.st_mtime_ns, status.st_size, str(self.path)


def says_failed(payload: dict[str, Any]) -> bool:
    if payload.get("is_error") is True or payload.get("isError") is True:
        return True
    try:
        value = json.loads(payload["content"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return False
    if not isinstance(value, dict):
        return False
    code = value.get("exit_code", 0)
    failed = isinstance(code, (int, float)) and not isinstance(code, bool) and code != 0
    return value.get("ok") is False or failed or bool(value.get("error"))


def tally(chunks: list[tuple[bytes, Chunk]], open_from: list[int]) -> dict[str, Any]:
    """Count chunks; ``open_from`` gets the rows, from 1, of the calls that nobody answers."""
    rows, sizes, called, answered, failed = (Counter[str]() for _ in range(5))
    waiting: list[tuple[str, str, int]] = []
    unasked = 0
    for number, (raw, chunk) in enumerate(chunks, 1):
        rows[chunk.kind.value] += 1
        sizes[chunk.kind.value] += len(raw)
        if chunk.kind.value == "assistant":
            for call in chunk.tool_calls:
                called[call.name] += 1
                waiting.append((call.id, call.name, number))
        if chunk.kind.value == "tool_result":
            call_id, name = chunk.payload.get("tool_call_id"), chunk.payload.get("name")
            call_id = call_id if isinstance(call_id, str) else ""
            asked = next((one for one in waiting if one[0] == call_id), None)
            if asked is None:
                unasked += 1
            else:
                waiting.remove(asked)
            name = (name if isinstance(name, str) else "") or (asked[1] if asked else "")
            answered[name] += 1
            failed[name] += says_failed(chunk.payload)
    open_from[:] = [number for *_, number in waiting]
    return {
        "rows": len(chunks),
        "rows_by_kind": dict(rows),
        "bytes_by_kind": dict(sizes),
        "tool_calls": dict(called),
        "tool_results": dict(answered),
        "tool_errors": {name: count for name, count in failed.items() if count},
        "unanswered_calls": len(waiting),
        "unasked_results": unasked,
    }


def findings(one: Plain, everything: list[Plain]) -> list[tuple[str, int | None, int | None]]:
    """Reason, line and offset of each."""
    found: list[tuple[str, int | None, int | None]] = []
    expected, restart, chunks, before = 0, False, 0, 0
    trailer: tuple[int, int, Trailer] | None = None
    told = False
    for number, offset, raw, record in one.records:
        if isinstance(record, Damage):
            found.append((str(record.reason), number, offset))
            if b'"record_type": "header"' in raw:
                restart, before = True, chunks
        elif isinstance(record, Chunk):
            chunks += 1
            if trailer is not None and not told:
                told = True
                found.append(("after-trailer", number, offset))
            if record.index is None:
                expected += 1
                continue
            if record.index == 0 and restart:
                expected = 0
            if record.index != expected:
                reason = "index-gap" if record.index > expected else "index-repeat"
                found.append((reason, number, offset))
            expected, restart = record.index + 1, False
        elif isinstance(record, Trailer):
            if trailer is not None:
                found.append(("second-trailer", number, offset))
            trailer, told = (number, offset, record), False
    if one.header is None:
        found.append(("no-header", None, None))
    else:
        count = trailer[2].final_chunk_count if trailer else None
        if trailer and count is not None and count not in {chunks, chunks - before}:
            found.append(("count-mismatch", *trailer[:2]))
        if not one.is_wal and trailer is None:
            found.append(("no-trailer", None, None))
        if one.stem.lower() != str(one.header.id):
            found.append(("name-differs", None, None))
    if one.torn:
        found.append(("torn-tail", len(one.lines) + 1, len(one.data) - one.torn))
    if any(other.stem == one.stem and other is not one for other in everything):
        found.append(("two-files", None, None))
    if one.header is not None:
        ids = {str(other.header.id) for other in everything if other.header}
        parents = dict.fromkeys(map(str, one.header.parent_session_ids))
        found += [("missing-parent", None, None) for parent in parents if parent not in ids]
        if parents and in_cycle(one, everything):
            found.append(("lineage-cycle", None, None))
    return found


def in_cycle(one: Plain, everything: list[Plain]) -> bool:
    """Whether its id is met on a way up from it."""
    parents: dict[str, set[str]] = {}
    for other in everything:
        if other.header is not None:
            mine = parents.setdefault(str(other.header.id), set())
            mine.update(map(str, other.header.parent_session_ids))
    assert one.header is not None
    met: set[str] = set()
    way = [*parents[str(one.header.id)]]
    while way:
        name = way.pop()
        if name not in met:
            met.add(name)
            way += parents.get(name, ())
    return str(one.header.id) in met


def in_utc(moment: datetime | None) -> datetime | None:
    """What can be said in UTC: a day at each end of the calendar cannot."""
    try:
        return moment and moment.astimezone(UTC)
    except OverflowError:
        assert moment is not None
        ends = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        return ends[moment.year != 1]


def same(one: list[bytes], other: list[bytes]) -> int:
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def inherited(one: Plain, everything: list[Plain]) -> int:
    """How many of its first rows are an earlier session's."""
    if one.header is None or not may_inherit(one.header):
        return 0
    mine = one.first_rows
    earlier = [other for other in everything if other.header and other.order < one.order]
    first = str(one.header.parent_session_ids[0]) if one.header.parent_session_ids else None
    parents = [other for other in earlier if other.stem == first]
    if parents:
        return max(same(mine, other.first_rows) for other in parents)
    shared = [same(mine, other.first_rows) for other in earlier]
    most = max(shared, default=0)
    answers = [
        i
        for i, (*_, record) in enumerate(one.records[1 : most + 1], 1)
        if isinstance(record, Chunk) and record.kind.value == "assistant"
    ]
    if not answers:  # a summary needs none: what it says is nobody else's
        return max(
            (
                count
                for count, other in zip(shared, earlier, strict=True)
                if other.header and other.header.lineage_kind == "op_session_compress"
                if count == len(other.first_rows)
            ),
            default=0,
        )
    ends = [
        count
        for count, other in zip(shared, earlier, strict=True)
        if answers[-1] <= count == len(other.first_rows)
    ]
    return max(ends, default=most)


def plain_audits(directory: Path) -> dict[str, dict[str, Any]]:
    """Each file's audit, as ``comparable`` has the real one."""
    paths = [path for path in directory.iterdir() if path.name.endswith(ENDINGS)]
    everything = [Plain(path) for path in sorted(paths)]
    return {str(one.path): plain_audit(one, everything) for one in everything}


def plain_audit(one: Plain, everything: list[Plain]) -> dict[str, Any]:
    chunks = [(raw, record) for *_, raw, record in one.records if isinstance(record, Chunk)]
    trailers = [record for *_, record in one.records if isinstance(record, Trailer)]
    open_rows: list[int] = []
    whole = tally(chunks, open_rows)
    count = inherited(one, everything)
    first = tally(chunks[:count], [])
    first["unanswered_calls"] = sum(row <= count for row in open_rows)
    found = findings(one, everything)
    header = one.header
    return {
        "id": str(header.id) if header else None,
        "size_bytes": len(one.data),
        "created_at": in_utc(header.created_at) if header else None,
        "closed": bool(trailers),
        "closed_at": in_utc(trailers[-1].closed_at) if trailers else None,
        "torn_bytes": one.torn,
        "parents": [str(parent) for parent in header.parent_session_ids] if header else [],
        "lines": len(one.lines),
        "tally": whole,
        "inherited": first,
        "usage": trailers[-1].cumulative_usage if trailers else None,
        "findings": sorted(found, key=str),
        "by_reason": dict(Counter(reason for reason, *_ in found)),
        "severities": sorted(str(FINDINGS[reason]) for reason, *_ in found),
    }


def comparable(audit: Any) -> dict[str, Any]:
    """What of a real audit the plain one has."""

    def counts(tally: Any) -> Any:
        return tally and {name: getattr(tally, name) for name in tally.__struct_fields__}

    return {
        "id": audit.id_text if audit.created_at else None,
        "size_bytes": audit.size_bytes,
        "created_at": audit.created_at,
        "closed": audit.closed,
        "closed_at": audit.closed_at,
        "torn_bytes": audit.torn_bytes,
        "parents": [*audit.parent_texts],
        "lines": audit.lines,
        "tally": counts(audit.tally),
        "inherited": counts(audit.inherited),
        "usage": audit.usage,
        "findings": sorted(((f.reason, f.line, f.offset) for f in audit.findings), key=str),
        "by_reason": audit.findings_by_reason,
        "severities": sorted(str(f.severity) for f in audit.findings),
    }

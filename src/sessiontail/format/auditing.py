"""blocks of lines, or batches of records -> the audit of a session, so far.

Append-only: fed in two goes, with the state in between kept as bytes, the fold is the same as fed in one;
so it also follows a session that is being written. The usual block is skimmed (``skimming``); any
other is decoded. Both count the same (``tests/test_format_auditing.py`` compares them).
Nothing here opens, waits or logs.
"""

from __future__ import annotations

from collections import Counter

from msgspec.structs import astuple

from sessiontail.format.audit_state import AuditState, HeaderFacts, in_utc
from sessiontail.format.batch import Batch
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.findings import damage_finding
from sessiontail.format.framing import Block, LongLine
from sessiontail.format.inheritance import sums_up
from sessiontail.format.marks import WINDOW_BYTES
from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.records import Chunk, ChunkKind, Damage, Header, Record, Trailer
from sessiontail.format.rows_read import RowsKept, RowsRead
from sessiontail.format.skimming import SkimmedRow, skim_lines
from sessiontail.format.tally import count_tool
from sessiontail.format.tool_errors import raw_says_failed, says_failed
from sessiontail.format.usual import TRAILER_START

__all__ = ["AuditFold"]

_HEADER = b'"record_type": "header"'
_KINDS = tuple(map(str, ChunkKind))
# A number in a file has any size; one in a state has 64 bits.
_MOST = 2**62


class AuditFold:
    """Folds the lines of one file, in order.

    Args:
        state: what is known behind the lines that were folded before; by default none were.
    """

    def __init__(self, state: AuditState | None = None) -> None:
        self.state = state or AuditState()
        # What stands for its rows, where the file is folded from its start, and may have another's.
        self._rows = RowsRead() if state is None else None

    def rows(self) -> RowsKept | None:
        """Return what stands for the session's rows, all of the file being folded; None: unknown."""
        header, rows = self.state.header, self._rows
        if rows is None or header is None:
            return None
        return RowsKept(
            header.id_text,
            header.parent_texts[0] if header.parent_texts else None,
            header.created_at,
            header.may_inherit,
            rows.finished,
            True,
            self.state.mark,
            bytes(rows.digests),
            rows.ends.tolist(),
            rows.answers.tolist(),
            sums_up(header.lineage_kind),
        )

    def add_lines(self, item: Block | LongLine) -> None:
        """Take the next whole lines of the file."""
        if not (isinstance(item, Block) and self._skim(item)):
            self.add_batch(RecordDecoder(start=self.state.mark).decode(item))

    def add_batch(self, batch: Batch) -> None:
        """Take the next records, as a reader hands them over."""
        block = batch.block
        for record, (end, line) in zip(batch.records, batch.places, strict=True):
            start = block.offset
            if isinstance(block, Block) and line > block.line:
                start += block.ends[line - block.line - 1]
            self._add(record, end - start, line, start)
            if self._rows is not None:
                if isinstance(record, Chunk) and isinstance(block, Block):
                    text = block.data[start - block.offset : end - block.offset]
                    self._rows.add(text, end, str(record.kind))
                elif not isinstance(record, Header):
                    self._rows.finished = True
        self.state.mark = batch.end

    def _add(self, record: Record, length: int, line: int, offset: int) -> None:
        state = self.state
        if isinstance(record, Chunk):
            self._add_chunk(record, length, line, offset)
        elif isinstance(record, Damage):
            state.add_finding(damage_finding(record))
            if _HEADER in record.raw:  # a writer that came back, perhaps behind a torn line
                state.may_restart = True
                state.rows_before_writer = state.tally.rows
        elif isinstance(record, Header):
            self._add_header(record)
        else:
            self._add_trailer(record, line, offset)

    def _add_header(self, header: Header) -> None:
        self.state.header = HeaderFacts.of(header)
        if not self.state.header.may_inherit:
            self._rows = None

    def _add_chunk(self, chunk: Chunk, length: int, line: int, offset: int) -> None:
        self._check_trailer(line, offset)
        self._check_index(chunk.index, line, offset)
        self._count(str(chunk.kind), 1, length)
        tally, calls = self.state.tally, self.state.calls
        for call in chunk.tool_calls if chunk.kind is ChunkKind.ASSISTANT else ():
            count_tool(tally.tool_calls, call.name)
            calls.ask(call.id, call.name, tally.rows)
        if chunk.kind is ChunkKind.TOOL_RESULT:
            asked = calls.answer(_text(chunk.payload.get("tool_call_id")))
            if asked is None:
                tally.unasked_results += 1
            name = _text(chunk.payload.get("name")) or asked or ""
            count_tool(tally.tool_results, name)
            if says_failed(chunk.payload):
                count_tool(tally.tool_errors, name)

    def _add_trailer(self, trailer: Trailer, line: int, offset: int) -> None:
        state = self.state
        if state.trailer_line is not None:
            message = f"a second trailer; the one before is on line {state.trailer_line}"
            state.tell("second-trailer", message, line, offset)
        state.closed_at = trailer.closed_at and in_utc(trailer.closed_at)
        count, usage = trailer.final_chunk_count, trailer.cumulative_usage
        state.final_chunk_count = None if count is None else _bounded(count)
        if usage is not None and any(one != _bounded(one) for one in astuple(usage)):
            state.tell("malformed-trailer", "tokens of more than 64 bits", line, offset)
            usage = None
        state.usage = usage
        state.trailer_line, state.trailer_offset = line, offset
        state.behind_trailer = False

    def _skim(self, block: Block) -> bool:
        """Take chunks between perhaps a header and a trailer the fast way; else take nothing."""
        data, ends, mark = block.data, block.ends, self.state.mark
        decoder = RecordDecoder(start=mark)
        header: Header | None = None
        begun = 0
        if mark.header_version is None:
            first = decoder.decode_line(data[: ends[0]])
            if not isinstance(first, Header):
                return False
            header, begun = first, 1
        if decoder.header_version != CURRENT_SCHEMA_VERSION:
            return False
        trailer: Trailer | None = None
        until = len(ends)
        last = ends[-2] if until > 1 else 0
        if until > begun and data.startswith(TRAILER_START, last):
            record = decoder.decode_line(data[last:])
            if not isinstance(record, Trailer):
                return False
            trailer = record
            until -= 1
        chunks = ends[begun:until]
        start = ends[0] if begun else 0
        rows = skim_lines(data, start, chunks) if chunks else []
        if rows is None:
            return False
        if header is not None:
            self._add_header(header)
        if rows:
            self._add_rows(rows, block, begun, start)
        if trailer is not None:
            self._add_trailer(trailer, block.line + until, block.offset + last)
            if self._rows is not None:
                self._rows.finished = True
        self.state.mark = mark.behind(
            data[:WINDOW_BYTES],
            data[-WINDOW_BYTES:],
            length=len(data),
            lines=len(ends),
            header_version=CURRENT_SCHEMA_VERSION,
        )
        return True

    def _add_rows(self, rows: list[SkimmedRow], block: Block, begun: int, start: int) -> None:
        """Take the rows of a block's lines.

        Args:
            rows: one a line.
            block: has the lines.
            begun: how many lines it has before them.
            start: where in it the first of them begins.
        """
        state, ends, first_byte = self.state, block.ends, start
        self._check_trailer(block.line + begun, block.offset + start)
        first = state.next_index
        indexes = [row.index for row in rows]
        if indexes == [*range(first, first + len(rows))]:
            state.next_index, state.may_restart = first + len(rows), False
        else:
            starts = [start, *ends[begun:]]
            for i, index in enumerate(indexes):
                self._check_index(index, block.line + begun + i, block.offset + starts[i])
        self._count_tools(rows)
        kinds: list[str] = [row.kind for row in rows]
        sizes: dict[str, int] = dict.fromkeys(_KINDS, 0)
        for kind, end in zip(kinds, ends[begun:], strict=False):  # a trailer may follow
            sizes[kind] += end - start
            start = end
        for kind, size in sizes.items():
            if size:
                self._count(kind, kinds.count(kind), size)
        if self._rows is not None:
            until = begun + len(rows)
            self._rows.add_lines(block.data, block.offset, first_byte, ends[begun:until], kinds)

    def _count_tools(self, rows: list[SkimmedRow]) -> None:
        """Count calls and results; most are answered by one of the next rows."""
        tally, calls = self.state.tally, self.state.calls
        called: list[str] = []
        answered: list[str] = []
        # Asked in these rows, and not answered so far: by id, the tool's name and the row.
        fresh: dict[str, tuple[str, int]] = {}
        open_before = calls.count
        for number, row in enumerate(rows, tally.rows + 1):
            kind = row.kind
            if kind == "assistant":
                for call in row.payload.tool_calls or ():
                    name, call_id = call.function.name, call.id
                    called.append(name)
                    if open_before or call_id in fresh:
                        # It may have been asked before under the same id: the oldest goes first.
                        calls.ask_all(fresh)
                        fresh.clear()
                        calls.ask(call_id, name, number)
                        open_before = calls.count
                    else:
                        fresh[call_id] = name, number
            elif kind == "tool_result":
                payload = row.payload
                call_id = payload.tool_call_id
                asked = fresh.pop(call_id)[0] if call_id in fresh else calls.answer(call_id)
                open_before = calls.count
                if asked is None:
                    tally.unasked_results += 1
                answered.append(payload.name or asked or "")
                if payload.is_error or payload.isError or raw_says_failed(payload.content):
                    count_tool(tally.tool_errors, answered[-1])
        calls.ask_all(fresh)
        for name, count in Counter(called).items():
            count_tool(tally.tool_calls, name, count)
        for name, count in Counter(answered).items():
            count_tool(tally.tool_results, name, count)

    def _check_index(self, index: int | None, line: int, offset: int) -> None:
        """Compare a chunk's index with the one that should come."""
        state = self.state
        expected = state.next_index
        if index is None:  # no integer there: it says nothing
            state.next_index = _bounded(expected + 1)
            return
        index = _bounded(index)
        if index == 0 and state.may_restart:
            expected = 0
        if index != expected:
            reason = "index-gap" if index > expected else "index-repeat"
            state.tell(reason, f"index {index}, expected {expected}", line, offset)
        state.next_index, state.may_restart = index + 1, False

    def _check_trailer(self, line: int, offset: int) -> None:
        """Tell the first chunk behind a trailer."""
        state = self.state
        if state.trailer_line is not None and not state.behind_trailer:
            state.behind_trailer = True
            message = f"chunks behind the trailer on line {state.trailer_line}"
            state.tell("after-trailer", message, line, offset)

    def _count(self, kind: str, count: int, length: int) -> None:
        tally = self.state.tally
        tally.rows += count
        tally.rows_by_kind[kind] = tally.rows_by_kind.get(kind, 0) + count
        tally.bytes_by_kind[kind] = tally.bytes_by_kind.get(kind, 0) + length


def _bounded(number: int) -> int:
    """Return a number, or the nearest one that fits into 64 bits, whatever is added to it."""
    return max(-_MOST, min(number, _MOST))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

"""records -> lines for people, JSON for programs, messages for models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sessiontail.cli.colors import session_style
from sessiontail.cli.cutting import Cut
from sessiontail.cli.drawing import Piece, chunk_pieces
from sessiontail.cli.escaping import one_line
from sessiontail.cli.highlighting import Highlighter
from sessiontail.cli.terminal import Output
from sessiontail.cli.wrapping import wrapped
from sessiontail.format.dumping import dump
from sessiontail.format.kinds import kind_of
from sessiontail.format.records import Chunk, Header, Record, TokenUsage, Trailer

__all__ = [
    "EXCERPT",
    "Renderer",
    "age",
    "as_json",
    "kind_of",
    "pieces_of",
    "text_of",
    "tokens",
]

_STYLES = {
    "system": "dim",
    "user": "cyan",
    "assistant": "green",
    "tool_result": "yellow",
    "header": "bold",
    "trailer": "bold",
    "damage": "red",
    "torn": "red",
}
_LABEL_WIDTH = max(map(len, _STYLES)) + 1
# Of a damaged line, so much is shown; -o raw shows it all.
EXCERPT = 200


class Renderer:
    """Prints records as text: a label, then the text, continued under itself.

    Args:
        output: where to.
        max_lines: so many lines of a record; None: all.
        pattern: what is highlighted, where there are colours.
    """

    def __init__(
        self,
        output: Output,
        *,
        max_lines: int | None = None,
        pattern: re.Pattern[str] | None = None,
    ) -> None:
        self._output = output
        self._max_lines = max_lines
        self._pattern = pattern

    def record(self, record: Record, prefix: str = "", session: str = "") -> None:
        """Print a record, each of its lines behind ``prefix``, in the colour of its session."""
        self._put(kind_of(record), pieces_of(record), prefix, session or prefix)

    def block(self, label: str, text: str, prefix: str = "") -> None:
        """Print a text under a label."""
        self._put(label, [Piece(text, _STYLES[label])], prefix, prefix)

    def aside(self, text: str, prefix: str = "", session: str = "") -> None:
        """Print a line about a session, dim."""
        name = self._output.styled(one_line(prefix), session_style(session)) if prefix else ""
        self._line(name, "", " " * _LABEL_WIDTH, [self._output.styled(text, "dim")])

    def _put(self, kind: str, pieces: list[Piece], prefix: str, session: str) -> None:
        """Print pieces under a label."""
        output = self._output
        # A path may be called anything; in front of a line it is one line.
        name = output.styled(one_line(prefix), session_style(session)) if prefix else ""
        margin = len(prefix) + 1 if prefix else 0
        width = output.width and output.width - margin - _LABEL_WIDTH
        cut = Cut(self._max_lines, output.width, margin + _LABEL_WIDTH)
        marks = Highlighter(output, self._pattern, _text(pieces))
        label: str = output.styled(kind, _STYLES[kind])
        gap = " " * (_LABEL_WIDTH - len(kind))
        matching = 0
        for text, style in pieces:
            # "\n" only: other line ends are data.
            for line in text.split("\n"):
                shown = cut.take(line)
                if shown is None:
                    matching += marks.meets(line)
                    marks.skip(len(line) + 1)
                    continue
                for part in wrapped(shown, width):
                    self._line(name, label, gap, marks.line(part, style))
                    label, gap = "", " " * _LABEL_WIDTH
                    marks.skip(len(part))
                marks.skip(len(line) + 1 - len(shown))
        if rest := cut.rest(matching):
            self._line(name, label, gap, [output.styled(rest, "dim")])

    def _line(self, name: str, label: str, gap: str, parts: Sequence[str]) -> None:
        """Print a line, without the spaces that nothing follows."""
        text = parts if any(parts) else ()
        beside = (" ",) if name and (label or text) else ()
        self._output.line(name, *beside, label, *((gap, *text) if text else ()))


def text_of(record: Record) -> str:
    """Return a record as text for people."""
    return _text(pieces_of(record))


def pieces_of(record: Record) -> list[Piece]:
    """Return a record as lines for people, and how they are shown."""
    try:
        return list(_pieces(record))
    except RecursionError:
        return [Piece("(nested too deeply for text; -o raw shows it)")]


def _text(pieces: list[Piece]) -> str:
    return "\n".join(piece.text for piece in pieces)


def _pieces(record: Record) -> Iterator[Piece]:
    if isinstance(record, Chunk):
        yield from chunk_pieces(record)
    elif isinstance(record, Header):
        words = [str(record.id), f"{record.lineage_operator}/{record.lineage_kind}"]
        words.append(f"created {_moment(record.created_at)}")
        if record.sandbox_backend is not None:
            words.append(f"sandbox {record.sandbox_backend}")
        yield Piece("  ".join(words))
        if record.parent_session_ids:
            parents = (str(parent)[:8] for parent in record.parent_session_ids)
            yield Piece(f"child of {', '.join(parents)}")
    elif isinstance(record, Trailer):
        when = record.closed_at
        count = record.final_chunk_count
        yield Piece(
            (f"closed {_moment(when)}" if when else "closed")
            + f"  {'?' if count is None else count} chunk{'' if count == 1 else 's'}  {_usage(record.cumulative_usage)}"
        )
    else:
        place = "a line" if record.line is None else f"line {record.line}"
        where = f"{place} (byte {record.offset}), {record.length} bytes: {record.message}"
        yield Piece(where, "red")
        more = "..." if len(record.text) > EXCERPT else ""
        yield Piece(record.text[:EXCERPT] + more, "red")


def _moment(moment: datetime) -> str:
    try:
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
    except OverflowError:  # within a day of the year 1 or 9999
        return str(moment)


def _usage(usage: TokenUsage | None) -> str:
    if usage is None:
        return "tokens unknown"
    parts = f"{usage.prompt_tokens} prompt, {usage.completion_tokens} completion"
    return f"{usage.total_tokens} tokens ({parts})"


def as_json(record: Record, session_id: UUID | str | None = None) -> str:
    """Return a record as one line of JSON, as the library's ``to_dict`` has it.

    Args:
        record: the record.
        session_id: whose it is, where that is known.
    """
    return dump(record.to_dict(session_id))


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago: 12s, 5m, 3h, 2d; "-" for what lies ahead."""
    seconds = (now - moment).total_seconds()
    if seconds < -1:
        return "-"
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"


def tokens(usage: TokenUsage | None) -> str:
    """Return a session's tokens; what is unknown is "?", never 0."""
    return "?" if usage is None else str(usage.total_tokens)

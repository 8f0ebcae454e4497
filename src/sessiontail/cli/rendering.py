"""records -> lines for people, JSON for programs, messages for models."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sessiontail.cli.terminal import Output
from sessiontail.format.records import Chunk, Header, Record, TokenUsage, Trailer

__all__ = ["EXCERPT", "Renderer", "age", "as_json", "dump", "kind_of", "size", "text_of", "tokens"]

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
# JSON that was taken can be nested about as deep as the interpreter's limit; so can its output.
_DEEP = 20_000


def kind_of(record: Record) -> str:
    """Return what ``-k`` calls a record."""
    if type(record) is Chunk:
        return record.kind.value
    return type(record).__name__.lower()


class Renderer:
    """Prints records as text: a label, then the text, continued under itself."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def record(self, record: Record, prefix: str = "") -> None:
        """Print a record, each of its lines behind ``prefix``."""
        self.block(kind_of(record), text_of(record), prefix)

    def block(self, label: str, text: str, prefix: str = "") -> None:
        """Print a text under a label."""
        output = self._output
        style = _STYLES[label]
        head = output.styled(label.ljust(_LABEL_WIDTH), style)
        margin = output.styled(f"{prefix} ", "dim") if prefix else ""
        # "\n" only: other line ends are data (and control characters).
        for line in output.text(text).split("\n"):
            shown = output.styled(line, style) if label in {"damage", "torn"} else line
            output.line(f"{margin}{head}{shown}".rstrip(" "))
            head = " " * _LABEL_WIDTH


def text_of(record: Record) -> str:
    """Return a record as text for people."""
    try:
        return "\n".join(_lines(record))
    except RecursionError:
        return "(nested too deeply for text; -o raw shows it)"


def _lines(record: Record) -> Iterator[str]:
    if isinstance(record, Chunk):
        text = record.text
        name = record.payload.get("name") if record.kind.value == "tool_result" else None
        if name is not None:
            yield f"[{name}] {text or ''}"
        elif text is not None:
            yield text
        calls = record.tool_calls
        for call in calls:
            yield f"-> {call.name}({call.arguments})"
        if text is None and name is None and not calls:
            yield "(empty)"
    elif isinstance(record, Header):
        words = [str(record.id), f"{record.lineage_operator}/{record.lineage_kind}"]
        words.append(f"created {_moment(record.created_at)}")
        if record.sandbox_backend is not None:
            words.append(f"sandbox {record.sandbox_backend}")
        yield "  ".join(words)
        for parent in record.parent_session_ids:
            yield f"child of {parent}"
    elif isinstance(record, Trailer):
        when = record.closed_at
        count = record.final_chunk_count
        yield (
            (f"closed {_moment(when)}" if when else "closed")
            + f"  {'?' if count is None else count} chunk{'' if count == 1 else 's'}  {_usage(record.cumulative_usage)}"
        )
    else:
        place = "a line" if record.line is None else f"line {record.line}"
        yield f"{place} (byte {record.offset}), {record.length} bytes: {record.message}"
        yield record.text[:EXCERPT] + ("..." if len(record.text) > EXCERPT else "")


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


def dump(value: Any) -> str:
    """Return JSON on one line; NaN and lone surrogates stay what the log had."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(_DEEP)
        try:
            return json.dumps(value, ensure_ascii=False, default=str)
        finally:
            sys.setrecursionlimit(limit)


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago: 12s, 5m, 3h, 2d; "-" for what lies ahead."""
    seconds = (now - moment).total_seconds()
    if seconds < -1:
        return "-"
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"


def size(count: int) -> str:
    """Return a number of bytes in three digits: 512 B, 1.4 K, 230 M."""
    if count < 1024:
        return f"{count} B"
    amount, units = count / 1024, "KMGTP"
    while amount >= 999.5 and len(units) > 1:
        amount, units = amount / 1024, units[1:]
    unit = units[0]
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"


def tokens(usage: TokenUsage | None) -> str:
    """Return a session's tokens; what is unknown is "?", never 0."""
    return "?" if usage is None else str(usage.total_tokens)

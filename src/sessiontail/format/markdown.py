"""records of a session -> a page in Markdown, piece by piece.

What an agent wrote stands in fences that it cannot close, so that none of it poses as a heading, a
link or another row; a name stands in a code span. What commands or hides is shown (``inert``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from sessiontail.format.brief import counted, short
from sessiontail.format.facts import Facts, closed_text, moment_text, state_text
from sessiontail.format.inert import inert_json
from sessiontail.format.laid_out import (
    arguments_text,
    damage_place,
    damage_text,
    page_text,
    row_text,
    tool_name,
)
from sessiontail.format.records import Damage, Header, Record, Trailer
from sessiontail.format.turns import Asked, Item, Turn, Turns

__all__ = ["Markdown"]


class Markdown:
    """Writes the page of one session."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._facts = Facts(name="")

    def begin(self, header: Header | None, facts: Facts) -> Iterator[str]:
        """Yield the front matter and the title."""
        self._facts = facts
        name = facts.name if header is None else str(header.id)
        fields = {"id": name} if header is not None else {"file": name}
        fields["state"] = state_text(facts.state)
        if header is not None:
            fields["created_at"] = moment_text(header.created_at)
        if facts.closed_at is not None:
            fields["closed_at"] = moment_text(facts.closed_at)
        if header is not None:
            fields["lineage"] = f"{header.lineage_operator}/{header.lineage_kind}"
        lines = [f"{key}: {_scalar(value)}" for key, value in fields.items()]
        if header is not None and header.parent_session_ids:
            lines.append(f"parents: [{', '.join(map(str, header.parent_session_ids))}]")
        usage = facts.usage
        if usage is None:
            lines.append("tokens: unknown")
        else:
            lines.append(f"tokens: {usage.total_tokens}")
            lines.append(f"prompt_tokens: {usage.prompt_tokens}")
            lines.append(f"completion_tokens: {usage.completion_tokens}")
        title = f"Session {short(name)}" if header is not None else f"No session: {_span(name)}"
        yield "---\n" + "\n".join(lines) + f"\n---\n\n# {title}\n"

    def left_out(self, rows: int, origin: str) -> Iterator[str]:
        """Say that the first rows are another session's, and left out."""
        self._turns.rows += rows
        yield f"\n*{counted(rows, 'row')} from {origin} left out: they are copies.*\n"

    def take(self, records: Iterable[Record]) -> Iterator[str]:
        """Yield the next rows."""
        for record in records:
            for item in self._turns.take(record):
                yield from self._item(item)

    def end(self, torn_bytes: int) -> Iterator[str]:
        """Yield what waits, and what the file ends with."""
        for item in self._turns.end():
            yield from self._item(item)
        if torn_bytes:
            yield f"\n## Torn end\n\n{counted(torn_bytes, 'byte')} after the last whole line, no record.\n"

    def _item(self, item: Item) -> Iterator[str]:
        if isinstance(item, Turn):
            yield from self._turn(item)
        elif isinstance(item, Damage):
            what = f"{item.reason}: {_span(item.message)}"
            yield f"\n## Damage: {damage_place(item)}\n\n{what}\n\n{_fence(damage_text(item))}"
        elif isinstance(item, Trailer):
            yield f"\n## Closed\n\n{closed_text(item)}\n"

    def _turn(self, turn: Turn) -> Iterator[str]:
        chunk = turn.chunk
        name = tool_name(chunk)
        inherited = self._facts.inherited
        copied = " (inherited)" if inherited is not None and turn.row < inherited else ""
        beside = f" of {_span(name)}, which no call before it asks for" if name else ""
        yield f"\n## {chunk.kind}{beside}, row {turn.row}{copied}\n"
        if chunk.reasoning is not None:
            yield f"\nThought:\n\n{_fence(page_text(chunk.reasoning))}"
        text = row_text(chunk)
        if text:
            yield f"\n{_fence(text)}"
        elif not turn.calls and chunk.reasoning is None:
            yield "\n*Empty.*\n"
        for asked in turn.calls:
            yield from _call(asked)


def _call(asked: Asked) -> Iterator[str]:
    arguments, is_json = arguments_text(asked.call)
    yield f"\n### Call of {_span(asked.call.name)}\n"
    yield f"\n{_fence(arguments, 'json' if is_json else 'text')}"
    if asked.result is None:
        yield "\n*No result follows.*\n"
        return
    yield f"\nResult:\n\n{_fence(row_text(asked.result))}"


def _scalar(value: str) -> str:
    """Return a text as YAML has it: plain where nothing in it means anything, else as JSON."""
    if re.fullmatch(r"[\w/+-][\w:.+/-]*", value, re.ASCII) and not value.endswith(":"):
        return value
    return inert_json(json.dumps(value, ensure_ascii=False))


def _fence(text: str, kind: str = "text") -> str:
    """Return a text between fences that are longer than any in it."""
    ticks = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{ticks}{kind}\n{text.removesuffix(chr(10))}\n{ticks}\n"


def _span(text: str) -> str:
    """Return a text as code within a line."""
    line = page_text(text).replace("\n", "\\n").replace("\t", "\\t") or " "
    ticks = "`" * (1 + max(map(len, re.findall(r"`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"

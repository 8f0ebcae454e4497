"""a chunk -> what people read of it, in pieces: what was thought, said, called and answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from sessiontail.format.content import as_text
from sessiontail.format.records import Chunk, ChunkKind, ToolCall

__all__ = ["Piece", "call_text", "chunk_pieces"]

# What is longer stands beneath its call.
_BESIDE = 72


class Piece(NamedTuple):
    """Some lines of a record."""

    text: str
    style: str | None = None


def chunk_pieces(chunk: Chunk) -> Iterator[Piece]:
    """Yield what a chunk says, in the order in which it came to be."""
    text, thought, calls = chunk.text, chunk.reasoning, chunk.tool_calls
    name = chunk.payload.get("name") if chunk.kind is ChunkKind.TOOL_RESULT else None
    if thought is not None:
        yield Piece(f"(thought) {thought}", "dim")
    if name is not None:
        yield Piece(f"[{as_text(name)}] {text or ''}")
    elif text is not None:
        yield Piece(text)
    for call in calls:
        yield Piece(call_text(call))
    if text is None and name is None and thought is None and not calls:
        other = {key: value for key, value in chunk.payload.items() if value}
        yield Piece(as_text(other) if other else "(empty)")


def call_text(call: ToolCall) -> str:
    """Return a call as a program would write it: ``-> run_tests(path="tests/test_dates.py")``.

    A value of several lines, or a long one, stands beneath. Arguments that are no JSON object stand
    as the model wrote them.
    """
    values = call.parsed()
    if not isinstance(values, dict):
        return f"-> {call.name}({call.arguments})"
    beside, beneath = [], []
    for name, value in values.items():
        word = name if name.isidentifier() else _quoted(name)
        shown = _quoted(value) if isinstance(value, str) else as_text(value)
        if len(shown) <= _BESIDE and "\n" not in shown:
            beside.append(f"{word}={shown}")
            continue
        beside.append(f"{word}=...")
        beneath.append(f"   {word}:")
        beneath += (f"     {line}" for line in _laid_out(value).split("\n"))
    return "\n".join([f"-> {call.name}({', '.join(beside)})", *beneath])


def _quoted(text: str) -> str:
    """Return a text in quotes; what a terminal may not get is escaped where it is shown."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _laid_out(value: Any) -> str:
    if isinstance(value, str):
        return value.removesuffix("\n")  # a file ends so; the call does not
    try:
        return json.dumps(value, ensure_ascii=False, indent=2, default=str)
    except (RecursionError, ValueError):
        return as_text(value)

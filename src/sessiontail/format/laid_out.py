"""what a message says -> text for a page: arguments laid out, damage by its beginning."""

from __future__ import annotations

from sessiontail.format.content import as_text
from sessiontail.format.dumping import dump
from sessiontail.format.inert import inert
from sessiontail.format.records import Chunk, ChunkKind, Damage, ToolCall

__all__ = ["arguments_text", "damage_place", "damage_text", "page_text", "row_text", "tool_name"]

# Of a damaged line, so many bytes are shown: what it was is seen, and a page stays one.
_EXCERPT_BYTES = 2_000


def page_text(text: str) -> str:
    """Return text that commands nothing and hides nothing; a line ends as pages end theirs."""
    return inert(text.replace("\r\n", "\n"))


def row_text(chunk: Chunk) -> str:
    """Return what a row says; where it has neither text nor calls, all that it has."""
    text = chunk.text
    if text is not None:
        return page_text(text)
    if chunk.tool_calls or chunk.reasoning:
        return ""
    other = {key: value for key, value in chunk.payload.items() if value}
    return page_text(as_text(other)) if other else ""


def arguments_text(call: ToolCall) -> tuple[str, bool]:
    """Return a call's arguments laid out, and whether they are JSON; else as the model wrote them."""
    values = call.parsed()
    if values is None and call.arguments.strip() != "null":
        return page_text(call.arguments), False
    return page_text(dump(values, indent=2)), True


def tool_name(chunk: Chunk) -> str:
    """Return the name that a result has; empty where it has none."""
    name = chunk.payload.get("name") if chunk.kind is ChunkKind.TOOL_RESULT else None
    return "" if name is None else page_text(as_text(name))


def damage_place(damage: Damage) -> str:
    """Say where a damaged line lies."""
    line = "a line" if damage.line is None else f"line {damage.line}"
    return f"{line} (byte {damage.offset}), {damage.length:,} bytes"


def damage_text(damage: Damage) -> str:
    """Return the beginning of a damaged line, what is no UTF-8 escaped."""
    raw = damage.raw[:_EXCERPT_BYTES]
    more = "..." if len(damage.raw) > len(raw) or damage.length > len(damage.raw) + 1 else ""
    return inert(raw.decode("utf-8", "backslashreplace")) + more

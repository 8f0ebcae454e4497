"""a record -> what a model is to read of it: few fields, long texts cut. Nothing here opens or waits.

What is unknown is left out. A text that is cut says so: its record has ``cut``, and how many
``characters`` the longest of them has.
"""

from __future__ import annotations

from typing import Any

from sessiontail.format.content import as_text
from sessiontail.format.kinds import kind_of
from sessiontail.format.plain import plain
from sessiontail.format.records import Chunk, ChunkKind, Header, Record, Trailer

__all__ = ["as_lines", "condensed", "sound", "weight"]

# Calls of one message; what is more is counted.
_CALLS = 50
# Of a name, an id, an operator.
_NAME = 200


def condensed(record: Record, *, most: int, start: int = 0) -> dict[str, Any]:
    """Return what a record says.

    Args:
        record: the record.
        most: so many characters of each of its texts, and as many of the arguments of all its calls.
        start: begin with this character of each text, from 0.

    Returns:
        ``kind``, and of a chunk ``text``, ``reasoning``, ``tool_calls`` (``id``, ``name``,
        ``arguments``), ``tool``, ``call_id``; of the others what they have; ``cut`` and
        ``characters`` where a text is longer.
    """
    cut = _Cut(most, start)
    shown: dict[str, Any] = {"kind": kind_of(record)}
    if isinstance(record, Chunk):
        shown |= _of_chunk(record, cut)
    elif isinstance(record, Header):
        shown |= {
            "created_at": plain(record.created_at),
            "lineage_operator": _name(record.lineage_operator),
            "lineage_kind": record.lineage_kind.value,
            "parent_session_ids": [*map(str, record.parent_session_ids[:_CALLS])],
        }
    elif isinstance(record, Trailer):
        shown |= {
            "closed_at": plain(record.closed_at),
            "final_chunk_count": record.final_chunk_count,
            "cumulative_usage": plain(record.cumulative_usage),
        }
    else:
        shown |= {
            "reason": record.reason.value,
            "message": _name(record.message),
            "text": cut(record.text),
        }
    if cut.longest is not None:
        shown |= {"cut": True, "characters": cut.longest}
    return {name: value for name, value in shown.items() if value is not None}


def _of_chunk(chunk: Chunk, cut: _Cut) -> dict[str, Any]:
    shown: dict[str, Any] = {"reasoning": cut(chunk.reasoning), "text": cut(chunk.text)}
    if chunk.kind is ChunkKind.TOOL_RESULT:
        shown["tool"] = _name(chunk.payload.get("name"))
        shown["call_id"] = _name(chunk.payload.get("tool_call_id"))
    calls = chunk.tool_calls
    if calls:
        left = cut.most
        told = shown["tool_calls"] = []
        for call in calls[:_CALLS]:
            arguments = cut(call.arguments, most=left)
            assert arguments is not None
            left -= len(arguments)
            told.append({"id": _name(call.id), "name": _name(call.name), "arguments": arguments})
        if len(calls) > _CALLS:
            shown["more_tool_calls"] = len(calls) - _CALLS
    return shown


class _Cut:
    """Cuts texts, and knows the length of the longest of those that were cut."""

    def __init__(self, most: int, start: int) -> None:
        self.most = most
        self.longest: int | None = None
        self._start = start

    def __call__(self, text: str | None, *, most: int | None = None) -> str | None:
        if text is None:
            return None
        part = text[self._start : self._start + (self.most if most is None else most)]
        if len(part) < len(text):
            self.longest = max(self.longest or 0, len(text))
        return sound(part)


def sound(text: str) -> str:
    r"""Return text that UTF-8 has bytes for: halves of a character are shown as ``\ud800``."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _name(value: object) -> str | None:
    if value is None:
        return None
    text = as_text(value)
    return sound(text if len(text) <= _NAME else f"{text[:_NAME]}…")


def weight(shown: dict[str, Any]) -> int:
    """Return how many characters what is shown of a record has, names and signs left out."""
    calls = shown.get("tool_calls", ())
    texts = (shown.get("text", ""), shown.get("reasoning", ""))
    return sum(map(len, texts)) + sum(len(call["name"] + call["arguments"]) for call in calls)


def as_lines(shown: dict[str, Any]) -> list[str]:
    """Return what is shown of a record as lines of text: what it is, then what it says.

    Each line of a text begins with ``| ``, and no other line does: a text cannot pose as a line of ours.
    """
    kind = shown["kind"]
    lines: list[str] = []
    if kind == "header":
        parents = shown["parent_session_ids"]
        lines.append(f"created {shown['created_at']}" + (", a child" if parents else ""))
    elif kind == "trailer":
        usage = shown.get("cumulative_usage")
        lines.append(f"closed, {usage['total_tokens'] if usage else '?'} tokens")
    elif kind == "damage":
        lines.append(f"no record: {shown['reason']}")
    if "reasoning" in shown:
        lines += ["thinks:", *_quoted(shown["reasoning"])]
    lines += _quoted(shown.get("text", ""))
    for call in shown.get("tool_calls", ()):
        lines += [f"calls {_on_one_line(call['name'])}", *_quoted(call["arguments"])]
    if "more_tool_calls" in shown:
        lines.append(f"calls {shown['more_tool_calls']} more")
    if "cut" in shown:
        lines.append(f"cut: its longest text has {shown['characters']:,} characters")
    tool = shown.get("tool")
    return [kind if tool is None else f"{kind} of {_on_one_line(tool)}", *lines]


def _quoted(text: str) -> list[str]:
    return [f"| {line}" for line in text.split("\n")] if text else []


def _on_one_line(name: str) -> str:
    return name if name.isprintable() else repr(name)[1:-1]

"""values -> one short line: what a debugger, a log or a failed test shows of them."""

from __future__ import annotations

from os import PathLike, fsdecode
from typing import Any
from uuid import UUID

__all__ = ["brief", "counted", "place", "quoted", "short"]

# With a name, an index, an id and two counts beside it, a line is about 120 characters.
_WIDTH = 60


def brief(value: object, *parts: str) -> str:
    """Return a type's name, and in brackets what is known; parts that are empty are left out."""
    return f"{type(value).__name__}({', '.join(filter(None, parts))})"


def short(session_id: UUID | str) -> str:
    """Return the beginning of an id."""
    return str(session_id)[:8]


def quoted(text: Any, width: int = _WIDTH) -> str:
    """Return the beginning of a text on one line, in quotes; of what is no text, what it is."""
    if not isinstance(text, str):
        return counted(len(text), "part") if isinstance(text, list) else type(text).__name__
    cut = text[:width]
    while len(shown := repr(cut)) > width:
        cut = cut[: len(cut) * 3 // 4]
    return shown if cut == text else f"{shown[:-1]}…{shown[-1]}"


def place(path: str | PathLike[str]) -> str:
    """Return the end of a path on one line."""
    text = fsdecode(path)
    text = text if len(text) <= _WIDTH else f"…{text[-_WIDTH:]}"
    return text if text.isprintable() else repr(text)[1:-1][-_WIDTH:]


def counted(count: int, noun: str) -> str:
    """Return how many there are of something."""
    return f"{count:,} {noun}" + "s" * (count != 1)

r"""a record and a pattern -> the lines of its texts that match.

Searched are what a message says (``text``), what an assistant thought (``reasoning``), what a tool was
given (``arguments``) and gave (``result``), each text by itself; and of a damaged line its bytes
(``raw``). The arguments of a call are JSON as a rule, text in which ``"`` is ``\"`` and a newline
``\n``: they are searched as they were written, and where they have a backslash and do not match so,
the texts in them are, as the tool got them. Numbers with a fraction that stand outside of a text are
not searched: in a file they have many spellings.
Nothing here opens, waits or logs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any, NamedTuple

import msgspec

from sessiontail.format.content import as_text, strings_in, texts_of
from sessiontail.format.patterns import MOST_SECONDS, TextPattern
from sessiontail.format.records import Chunk, ChunkKind, Damage

__all__ = ["MOST_SPANS", "Hit", "hits_in"]

#: So many places of one line are told; a line of 60 MB can have millions.
MOST_SPANS = 1000

# 4 MiB: longer arguments are searched as written only: to decode 60 MB is one step of 100 ms, in
# which no other thread runs.
_INNER_CHARS = 4 * 1024 * 1024


class Hit(NamedTuple):
    """A line of a text that matches; several, where one match goes over them."""

    #: "text", "reasoning", "arguments", "result" or "raw".
    field: str
    #: The tool's name, of arguments and results.
    tool: str | None
    #: The line or lines, without the last newline.
    text: str
    #: Where in ``text`` the matches are, begin and end; ``MOST_SPANS`` at most. Empty ones are not
    #: among them.
    spans: tuple[tuple[int, int], ...]
    #: Which line of the field's text it is, from 1.
    text_line: int
    #: The lines before and behind it, as many as were asked for.
    before: tuple[str, ...]
    after: tuple[str, ...]


class _Text(NamedTuple):
    field: str
    tool: str | None
    text: str
    #: What it is in other words, asked for where it does not match.
    inner: Callable[[], Iterator[str]] | None = None


def hits_in(
    record: Chunk | Damage,
    pattern: TextPattern,
    *,
    tools: Collection[str] = (),
    context: int = 0,
    most_s: float = MOST_SECONDS,
) -> Iterator[Hit]:
    """Yield the lines of a record's texts that match, in order.

    Args:
        record: the record.
        pattern: what is searched for.
        tools: only arguments and results of tools that are called so; none: everything.
        context: so many lines of the same text before and behind.
        most_s: how long the pattern may take for one of the texts.

    Raises:
        TooSlow: the pattern took too long for one of the texts.
    """
    texts = _damaged(record, tools) if isinstance(record, Damage) else _texts(record, tools)
    for one in texts:
        found = False
        for hit in _hits(one, one.text, pattern, context, most_s):
            found = True
            yield hit
        if not found and one.inner is not None:
            for text in one.inner():
                yield from _hits(one, text, pattern, context, most_s)


def _damaged(damage: Damage, tools: Collection[str]) -> Iterator[_Text]:
    if not tools:
        yield _Text("raw", None, damage.text)


def _texts(chunk: Chunk, tools: Collection[str]) -> Iterator[_Text]:
    payload = chunk.payload
    if chunk.kind is ChunkKind.TOOL_RESULT:
        name = payload.get("name")
        tool = None if name is None else as_text(name)
        if not tools or tool in tools:
            for text in texts_of(payload.get("content")):
                yield _Text("result", tool, text)
        return
    if not tools:
        for text in texts_of(payload.get("reasoning_content") or payload.get("reasoning")):
            yield _Text("reasoning", None, text)
        for text in texts_of(payload.get("content")):
            yield _Text("text", None, text)
    calls = payload.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            continue
        tool = as_text(function.get("name", ""))
        if tools and tool not in tools:
            continue
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            yield _Text("arguments", tool, arguments, partial(_inner, arguments))
        else:
            for text in strings_in(arguments):
                yield _Text("arguments", tool, text)


def _inner(arguments: str) -> Iterator[str]:
    """Yield the texts in arguments that are JSON with escapes."""
    if "\\" not in arguments or len(arguments) > _INNER_CHARS:
        return
    try:
        values: Any = msgspec.json.decode(arguments)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        try:
            values = json.loads(arguments)
        except (ValueError, RecursionError):
            return
    yield from strings_in(values)


def _hits(
    one: _Text, text: str, pattern: TextPattern, context: int, most_s: float
) -> Iterator[Hit]:
    """Yield the lines of a text that match."""
    find = pattern.finder(text, most_s)
    lines = _Lines(text)
    found = find(0)
    while found is not None:
        start, end = text.rfind("\n", 0, found[0]) + 1, -1
        spans: list[tuple[int, int]] = []
        told = 0
        while found is not None and (found[0] <= end or end < 0) and told < MOST_SPANS:
            first, last = found
            if last > end:
                # A match that ends with a newline ends in the line before.
                end = text.find("\n", max(first, last - 1))
                end = len(text) if end < 0 else end
            told += 1
            if last > first:
                spans.append((first - start, min(last, end) - start))
            at = last if last > first else last + 1
            found = find(at) if at <= len(text) else None
        if told == MOST_SPANS and found is not None and found[0] <= end:
            found = find(end + 1) if end < len(text) else None
        yield Hit(
            one.field,
            one.tool,
            text[start:end],
            tuple(spans),
            lines.number(start),
            lines.before(start, context),
            lines.after(end, context),
        )


class _Lines:
    """The lines of a text, counted as they are come by."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at, self._number = 0, 1

    def number(self, start: int) -> int:
        """Return which line begins at a place; places must not go back."""
        self._number += self._text.count("\n", self._at, start)
        self._at = start
        return self._number

    def before(self, start: int, most: int) -> tuple[str, ...]:
        """Return the lines before the one that begins at a place."""
        found: list[str] = []
        while start and len(found) < most:
            end = start - 1
            start = self._text.rfind("\n", 0, end) + 1
            found.append(self._text[start:end])
        return tuple(reversed(found))

    def after(self, end: int, most: int) -> tuple[str, ...]:
        """Return the lines behind the one that ends at a place."""
        found: list[str] = []
        while end < len(self._text) and len(found) < most:
            start = end + 1
            end = self._text.find("\n", start)
            end = len(self._text) if end < 0 else end
            found.append(self._text[start:end])
        return tuple(found)

"""a record, and what is waited for -> whether it is that. Nothing here opens or waits."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sessiontail.format.content import as_text, strings_in
from sessiontail.format.kinds import KINDS, kind_of
from sessiontail.format.matching import hits_in
from sessiontail.format.patterns import TextPattern
from sessiontail.format.records import Chunk, Damage, Record

__all__ = ["Awaited"]

# 256 Ki characters: a text without case is searched through in 4 ms.
_LIGHT_CHARS = 256 * 1024


class Awaited:
    """What a record must be to end a wait: all that is given here.

    Args:
        kinds: one of these, as ``KINDS`` has them; None: any.
        tools: a message that calls one of these tools, or the result of one; none: any.
        pattern: it has this in what was said, thought, or what a tool was given or gave.

    Raises:
        ValueError: there is no such kind.
    """

    def __init__(
        self,
        *,
        kinds: Iterable[str] | None = None,
        tools: Collection[str] = (),
        pattern: TextPattern | None = None,
    ) -> None:
        self._kinds = None if kinds is None else frozenset(kinds)
        unknown = sorted((self._kinds or frozenset()) - {*KINDS})
        if unknown:
            raise ValueError(f"no kind of record is called {unknown[0]!r}: {', '.join(KINDS)}")
        self._tools = frozenset(tools)
        self._pattern = pattern

    def heavy(self, record: Record) -> bool:
        """Say whether ``takes`` may take longer than the event loop can be held."""
        if self._pattern is None or not isinstance(record, (Chunk, Damage)):
            return False
        value: Any = record.payload if isinstance(record, Chunk) else record.text
        left = _LIGHT_CHARS
        for text in strings_in(value):
            left -= len(text)
            if left < 0:
                return True
        return False

    def takes(self, record: Record) -> bool:
        """Say whether the wait is over.

        Raises:
            TooSlow: the pattern took too long.
        """
        if self._kinds is not None and kind_of(record) not in self._kinds:
            return False
        if self._tools and not (isinstance(record, Chunk) and self._tools & _tools_of(record)):
            return False
        if self._pattern is None:
            return True
        if not isinstance(record, (Chunk, Damage)):
            return False
        return any(True for _ in hits_in(record, self._pattern, tools=self._tools))


def _tools_of(chunk: Chunk) -> set[str]:
    """Return the tools that a message calls, or the one whose result it is."""
    called = {call.name for call in chunk.tool_calls}
    name = chunk.payload.get("name") if chunk.kind == "tool_result" else None
    return called if name is None else {*called, as_text(name)}

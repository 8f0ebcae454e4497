"""records -> turns: what was said, and each call with its result, as soon as both are there.

A turn that asks for tools waits for their results, which follow it; nothing else is held, so that a
session of any length passes through. What is no record keeps its place, but that it does not come
between a call and its result. Nothing here opens, waits or logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

from sessiontail.format.content import as_text
from sessiontail.format.records import Chunk, ChunkKind, Damage, Header, Record, ToolCall, Trailer

__all__ = ["Asked", "Item", "Turn", "Turns", "asked_id"]

# What comes between a call and a result that never comes is shown behind so many others.
_MOST_HELD = 64


class Asked(Struct, gc=False):
    """A call, and what came of it."""

    call: ToolCall
    #: None: no result follows.
    result: Chunk | None = None


class Turn(Struct, frozen=True, gc=False):
    """One row, and the results of what it asks for."""

    #: Which row of the session it is, from 0.
    row: int
    chunk: Chunk
    #: The calls of an assistant's turn, in order.
    calls: tuple[Asked, ...] = ()


Item: TypeAlias = Turn | Header | Trailer | Damage


class Turns:
    """Joins the records of one session, in file order."""

    def __init__(self) -> None:
        #: Rows so far.
        self.rows = 0
        self._open: Turn | None = None
        # What came while it waits for results.
        self._held: list[Item] = []

    def take(self, record: Record) -> Iterator[Item]:
        """Take the next record; yield what is whole with it."""
        if isinstance(record, Damage):
            if self._open is None:
                yield record
            else:
                yield from self._hold(record)
            return
        if not isinstance(record, Chunk):
            yield from self.end()
            yield record
            return
        row, self.rows = self.rows, self.rows + 1
        if record.kind is ChunkKind.TOOL_RESULT:
            yield from self._result(row, record)
            return
        yield from self.end()
        calls = record.tool_calls if record.kind is ChunkKind.ASSISTANT else ()
        turn = Turn(row, record, tuple(Asked(call) for call in calls))
        if calls:
            self._open = turn
        else:
            yield turn

    def end(self) -> Iterator[Item]:
        """Yield what waits: no more results follow."""
        turn, self._open = self._open, None
        held, self._held = self._held, []
        if turn is not None:
            yield turn
        yield from held

    def _result(self, row: int, result: Chunk) -> Iterator[Item]:
        turn = self._open
        if turn is None:
            yield Turn(row, result)
            return
        wanted = asked_id(result)
        for asked in turn.calls:
            if asked.result is None and asked.call.id == wanted:
                asked.result = result
                break
        else:
            yield from self._hold(Turn(row, result))
            return
        if all(asked.result is not None for asked in turn.calls):
            yield from self.end()

    def _hold(self, item: Item) -> Iterator[Item]:
        self._held.append(item)
        if len(self._held) >= _MOST_HELD:
            yield from self.end()


def asked_id(result: Chunk) -> str:
    """Return the id of the call that a result answers, as calls have theirs."""
    return as_text(result.payload.get("tool_call_id", ""))

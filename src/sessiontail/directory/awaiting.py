"""records as they come, and what is waited for -> the record that is it, or why there is none.

A wait that is cut off loses nothing: it is begun again with the cursor that it was begun with.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import anyio

from sessiontail.directory.tail import DirectoryTail
from sessiontail.format.awaited import Awaited
from sessiontail.format.lifecycle import Outcome
from sessiontail.format.records import Record
from sessiontail.session.tail import SessionTail
from sessiontail.system.files import in_thread

__all__ = ["Waited", "await_in_any", "await_in_session"]

# Is told, while it is waited, how many seconds have gone by, and the cursor.
OnWait: TypeAlias = Callable[[float, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Waited:
    """How a wait ended: with a record, with the session's outcome, or else with its time."""

    #: Where to go on: behind the record, or behind all that was looked at.
    cursor: str
    #: The record that was waited for, whose it is, and in which line; None: there was none.
    record: Record | None = None
    session_id: UUID | None = None
    line: int | None = None
    #: How the session ended, where it did; its records were not it.
    outcome: Outcome | None = None
    #: Records that were not it.
    passed: int = 0


async def _say_nothing(_seconds: float, _cursor: str) -> None:
    pass


async def await_in_session(
    tail: SessionTail,
    awaited: Awaited,
    *,
    timeout: float,
    every_s: float = math.inf,
    on_wait: OnWait = _say_nothing,
) -> Waited:
    """Return the first record of a session that is waited for; the tail is closed.

    Args:
        tail: gives the records.
        awaited: what is waited for.
        timeout: seconds at most.
        every_s: while it is waited, ``on_wait`` is called each time so many seconds have gone.
        on_wait: is told the seconds that have gone by, and where it stands.

    Raises:
        PersistenceError: the session cannot be read.
        TooSlow: the pattern took too long for a text.
    """
    begun_s, passed = anyio.current_time(), 0
    async with tail:
        for deadline_s in _ticks(begun_s, timeout, every_s):
            with anyio.CancelScope(deadline=deadline_s):
                async for record in tail:
                    if await _takes(awaited, record):
                        line, whose = tail.place[0], tail.session_id
                        return Waited(tail.cursor, record, whose, line, passed=passed)
                    passed += 1
                break
            await on_wait(anyio.current_time() - begun_s, tail.cursor)
    return Waited(tail.cursor, session_id=tail.session_id, outcome=tail.outcome, passed=passed)


async def await_in_any(
    tail: DirectoryTail,
    awaited: Awaited,
    *,
    timeout: float,
    every_s: float = math.inf,
    on_wait: OnWait = _say_nothing,
) -> Waited:
    """Return the first record of any session that is waited for; the tail is closed.

    The arguments are those of ``await_in_session``.

    Raises:
        PersistenceError: the directory cannot be read.
        TooSlow: the pattern took too long for a text.
    """
    begun_s, passed = anyio.current_time(), 0
    async with tail:
        await tail.begin()
        await on_wait(0.0, tail.cursor)  # from here on nothing is missed
        for deadline_s in _ticks(begun_s, timeout, every_s):
            with anyio.CancelScope(deadline=deadline_s):
                async for session_id, record in tail:
                    if await _takes(awaited, record):
                        line, _ = tail.place
                        return Waited(tail.cursor, record, session_id, line, passed=passed)
                    passed += 1
            await on_wait(anyio.current_time() - begun_s, tail.cursor)
        return Waited(tail.cursor, passed=passed)


def _ticks(begun_s: float, timeout: float, every_s: float) -> Iterator[float]:
    """Yield the moments up to which it is waited, the end of it all last."""
    end_s = begun_s + timeout
    while (next_s := anyio.current_time() + every_s) < end_s:
        yield next_s
    yield end_s


async def _takes(awaited: Awaited, record: Record) -> bool:
    if not awaited.heavy(record):
        return awaited.takes(record)
    # It was handed over: a wait that is cancelled here would stand behind what it never told.
    with anyio.CancelScope(shield=True):
        return await in_thread(awaited.takes, record)
    raise AssertionError("a shielded scope is not cancelled")

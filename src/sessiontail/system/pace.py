"""many tails that wake together -> turns, so that other tasks have theirs between."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from anyio.lowlevel import RunVar, checkpoint

from sessiontail.system.signals import Home, finish

__all__ = ["Pace", "pace"]


class Pace:
    """Lets many tails that wake together take turns, so that other tasks have theirs between.

    asyncio runs all tasks that are ready before it looks at anything else: 1,500 tails that are
    told something at once would hold the loop for 200 ms.
    """

    __slots__ = ("_began_s", "_loop", "_waiting")

    def __init__(self) -> None:
        self._loop = Home().loop
        self._began_s: float | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def crowded(self) -> bool:
        """Whether tails have had their time in this turn of the loop."""
        now_s = time.monotonic()
        if self._began_s is None:
            if self._loop is None:
                return False
            self._began_s = now_s
            self._loop.call_soon(self._next_turn)
        return now_s - self._began_s > _TURN_S

    async def turn(self) -> None:
        """Wait for a turn in which there is time."""
        await checkpoint()
        while self.crowded:
            assert self._loop is not None
            waiter = self._loop.create_future()
            self._waiting.append(waiter)
            await waiter

    def _next_turn(self) -> None:
        self._began_s = None
        for _ in range(min(_WOKEN_A_TURN, len(self._waiting))):
            finish(self._waiting.popleft())
        if self._waiting:
            assert self._loop is not None
            self._began_s = time.monotonic()
            self._loop.call_soon(self._next_turn)


# 5 ms of a turn of the loop are for tails; then the loop looks at everything else.
_TURN_S = 0.005


_WOKEN_A_TURN = 100


_pace: RunVar[Pace] = RunVar("sessiontail_pace")


def pace() -> Pace:
    """Return the one of this event loop."""
    try:
        return _pace.get()
    except LookupError:
        found = Pace()
        _pace.set(found)
        return found

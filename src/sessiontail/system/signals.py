"""something happened -> the task that waits for it goes on.

What anyio gives for this, a wait with a deadline costs 20 us of: a cancel scope and its timer. A
tail that waits for ever, and is woken by a bare future, goes on 5 us after the event.
Works in tasks of asyncio and of trio; ``soon`` comes from any thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

__all__ = ["Home", "Signal", "finish", "on_asyncio"]


def on_asyncio() -> bool:
    """Say whether the running task is asyncio's; else it is trio's."""
    # Not "is a loop running": trio can run as a guest of asyncio's loop, but not in its tasks.
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


class Home:
    """The event loop of the task that makes this; calls from elsewhere are sent to it."""

    __slots__ = ("_soon", "_thread", "loop")

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._soon: Callable[..., Any]
        #: asyncio's loop; None on trio.
        self.loop: asyncio.AbstractEventLoop | None = None
        if on_asyncio():
            self.loop = asyncio.get_running_loop()
            self._soon = self.loop.call_soon_threadsafe
        else:
            import trio  # noqa: PLC0415 - only where it runs

            self._soon = trio.lowlevel.current_trio_token().run_sync_soon

    def soon(self, function: Callable[[], object]) -> bool:
        """Call a function on the loop soon, from any thread; say whether there is one still."""
        try:
            self._soon(function)
        except RuntimeError:  # trio.RunFinishedError is one too
            return False
        return True

    @property
    def closed(self) -> bool:
        """Whether the loop is closed, as far as one can see."""
        return self.loop is not None and self.loop.is_closed()

    @property
    def here(self) -> bool:
        """Whether this is the loop's own thread: the collector may run in any."""
        return self._thread == threading.get_ident()


class Signal:
    """What one task waits for. Set twice is set once; a wait clears it."""

    __slots__ = ("_event", "_set", "_waiter")

    def __init__(self) -> None:
        self._set = False
        self._waiter: asyncio.Future[None] | None = None
        self._event: anyio.Event | None = None

    def set(self) -> None:
        """Wake who waits, or who comes to wait; on the loop only."""
        self._set = True
        if self._waiter is not None:
            finish(self._waiter)
        elif self._event is not None:
            self._event.set()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Wait until it is set, or for so long."""
        if self._set:
            self._set = False
            await checkpoint()
            return
        if on_asyncio():
            await self._wait_on_asyncio(timeout_s)
        else:
            event = self._event = anyio.Event()
            try:
                with anyio.move_on_after(timeout_s):
                    await event.wait()
            finally:
                self._event = None
        self._set = False

    async def _wait_on_asyncio(self, timeout_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = None if timeout_s is None else loop.call_later(timeout_s, finish, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()


def finish(waiter: asyncio.Future[None]) -> None:
    """Wake who waits for it, if it does still."""
    if not waiter.done():
        waiter.set_result(None)

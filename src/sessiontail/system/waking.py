"""something happened -> the task that waits for it goes on.

What anyio gives for this, a wait with a deadline costs 20 us of: a cancel scope and its timer. A
tail that waits for ever, and is woken by a bare future, goes on 5 us after the event.
Works in tasks of asyncio and of trio; ``soon`` comes from any thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

import anyio
from anyio.lowlevel import RunVar, checkpoint

from sessiontail.system.threads import threads

__all__ = ["Background", "Call", "Home", "Pace", "Signal", "on_asyncio", "pace"]

_T = TypeVar("_T")


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
            _finish(self._waiter)
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
        timer = None if timeout_s is None else loop.call_later(timeout_s, _finish, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Call(Generic[_T]):
    """A blocking call in a thread, which goes on whether or not somebody waits for it.

    Whoever is cancelled while it waits asks again, and gets the same result; so does another task,
    and one of another event loop.

    Args:
        place: what it hangs with, usually the directory.
        function: the call.
        args: of the call.
        done: called on the loop of ``home`` when it is over.
        home: the loop, where ``done`` is given.
    """

    __slots__ = ("_future", "_left", "_waiting")

    def __init__(
        self,
        place: str,
        function: Callable[..., _T],
        *args: Any,
        done: Callable[[], object] | None = None,
        home: Home | None = None,
    ) -> None:
        self._left = False
        waiting = self._waiting = set[tuple[Home, Signal]]()

        def tell(_: object) -> None:
            for where, signal in tuple(waiting):
                where.soon(signal.set)
            if done is not None and home is not None:
                home.soon(done)

        self._future: Future[_T] = threads().submit_at(place, function, *args)
        self._future.add_done_callback(tell)

    @property
    def over(self) -> bool:
        """Whether the result is there."""
        return self._future.done()

    def result(self) -> _T:
        """Return the result, or raise what the call raised; only when it is over."""
        return self._future.result(0)

    async def wait(self) -> _T:
        """Wait for the result."""
        await self.settled()
        return self._future.result(0)

    async def settled(self) -> None:
        """Wait until it is over, whatever came of it; or left."""
        if self._future.done() or self._left:
            return
        me = Home(), Signal()
        self._waiting.add(me)
        try:
            while not (self._future.done() or self._left):
                await me[1].wait()
        finally:
            self._waiting.discard(me)

    def leave(self, function: Callable[[], object]) -> None:
        """Wait no longer; call a function when it is over, in whatever thread."""
        self._left = True
        self._future.add_done_callback(lambda _: function())
        for _, signal in tuple(self._waiting):
            signal.set()


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
            _finish(self._waiting.popleft())
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


class Background:
    """A task beside all others, for as long as somebody needs it: neither it nor they own each other.

    Args:
        function: what it does until it is cancelled; it raises nothing.
    """

    __slots__ = ("_home", "_scope", "_task")

    def __init__(self, function: Callable[[], Awaitable[None]]) -> None:
        self._home = Home()
        self._scope = anyio.CancelScope()
        self._task: asyncio.Task[None] | None = None

        async def run() -> None:
            try:
                with self._scope:
                    await function()
            finally:
                # What ended it leads to the frames of the loop that was shut down (3.12): who
                # holds this for that loop would hold the loop, and all of its tasks.
                self._task = None

        if self._home.loop is not None:
            self._task = self._home.loop.create_task(run(), name="sessiontail")
        else:
            import trio  # noqa: PLC0415 - only where it runs

            trio.lowlevel.spawn_system_task(run, name="sessiontail")

    def stop(self) -> None:
        """Cancel it; on the loop only."""
        if self._home.loop is None:
            self._scope.cancel()
        elif self._task is not None and not self._home.closed:
            self._task.cancel()

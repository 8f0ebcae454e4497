"""what goes on whether or not somebody waits for it: a call in a thread, a task in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

import anyio

from sessiontail.system.signals import Home, Signal
from sessiontail.system.threads import threads

__all__ = ["Background", "Call"]


_T = TypeVar("_T")


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
            for where, signal in waiting.copy():  # in one step: others come and go
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
        """Wait no longer; call a function when it is over, in whatever thread. From any thread."""
        self._left = True
        self._future.add_done_callback(lambda _: function())
        for where, signal in tuple(self._waiting):
            where.soon(signal.set)


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

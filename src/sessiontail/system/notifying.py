"""one inotify instance -> events, told to whoever watches, on one event loop.

On asyncio its descriptor stays registered and its callback passes events on at once: to add and
remove it at each wait takes a turn of the loop and 20 us. On trio a task of its own pumps.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Protocol

import anyio
from anyio.lowlevel import RunVar, checkpoint

from sessiontail.system import inotify
from sessiontail.system.calls import Background
from sessiontail.system.inotify import Inotify
from sessiontail.system.signals import Home

__all__ = ["Notifier", "Sink", "hold_notifier"]

# A pause of 4 ms before each wake, once eight in a row came within 1 ms of the one before, until
# nothing comes for 4 ms.
RUSH_PAUSE_S = 0.004
_RUSH_GAP_S = 0.001
_RUSH_WAKES = 8


class Sink(Protocol):
    """Who watches."""

    def told(self, watch: int, name: str, mask: int) -> None:
        """Take an event: of which watch, of which file in it, and what happened."""

    def overflowed(self) -> None:
        """Take note that the kernel dropped events."""


def hold_notifier() -> Notifier:
    """Return the notifier of this event loop, held.

    Raises:
        OSError: there is none, and no instance is to be had.
    """
    try:
        here = _notifiers.get()
    except LookupError:
        here = []
        _notifiers.set(here)
    if not here:
        here.append(Notifier(here))
    here[0].hold()
    return here[0]


class Notifier:
    """The inotify instance of an event loop; it goes with its last holder.

    Args:
        loop: the one of the loop, where it is found.
    """

    def __init__(self, loop: list[Notifier]) -> None:
        self._home = Home()
        self._loop = loop
        self._inotify = Inotify()
        self._holders = 0
        self._sinks: dict[int, list[Sink]] = {}
        self._background: Background | None = None
        self._rush = 0
        self._drained_s = 0.0
        if self._home.loop is not None:
            self._home.loop.add_reader(self._inotify.fd, self._wake)
        else:
            self._background = Background(self._read)

    def hold(self) -> None:
        """Keep it until ``release``."""
        self._holders += 1

    def release(self) -> None:
        """Hold it no longer."""
        self._holders -= 1
        if self._holders:
            return
        self._loop.remove(self)
        loop = self._home.loop
        if self._background is not None:
            with suppress(RuntimeError):  # trio has ended
                anyio.notify_closing(self._inotify.fd)
            self._background.stop()
        elif loop is not None and not loop.is_closed():
            loop.remove_reader(self._inotify.fd)
        self._inotify.close()

    def watch(self, path: str, mask: int, sink: Sink) -> int:
        """Watch a file or a directory for somebody; return the watch.

        Raises:
            OSError: it cannot be watched.
        """
        watch = self._inotify.add(path, mask)
        sinks = self._sinks.setdefault(watch, [])
        if sink not in sinks:
            sinks.append(sink)
        return watch

    def unwatch(self, watch: int, sink: Sink) -> None:
        """Watch it no longer for somebody; again is no error."""
        sinks = self._sinks.get(watch)
        if sinks is None or sink not in sinks:
            return
        sinks.remove(sink)
        if not sinks:
            del self._sinks[watch]
            self._inotify.remove(watch)

    def drain(self) -> bool:
        """Pass the events on that are there; return whether there are more."""
        if self._inotify.fd < 0:
            return False
        events, more = self._inotify.read()
        # One mark is enough for all that happened to a name.
        told: dict[tuple[int, str], int] = {}
        for watch, mask, name in events:
            told[watch, name] = told.get((watch, name), 0) | mask
        for (watch, name), mask in told.items():
            if mask & inotify.Q_OVERFLOW:
                for one in {id(s): s for sinks in self._sinks.values() for s in sinks}.values():
                    one.overflowed()
                continue
            for sink in tuple(self._sinks.get(watch, ())):
                sink.told(watch, name, mask)
            if mask & inotify.IGNORED:
                self._sinks.pop(watch, None)
        return more

    def _wake(self) -> None:
        """Pass events on; in an unbroken rush, gather them first, so that sessions share a wake."""
        loop = self._home.loop
        assert loop is not None
        now_s = time.monotonic()
        gap_s = RUSH_PAUSE_S if self._rush >= _RUSH_WAKES else _RUSH_GAP_S
        self._rush = self._rush + 1 if now_s - self._drained_s < gap_s else 0
        if self._rush >= _RUSH_WAKES:
            loop.remove_reader(self._inotify.fd)
            loop.call_later(RUSH_PAUSE_S, self._go_on)
            return
        self.drain()
        self._drained_s = time.monotonic()

    def _go_on(self) -> None:
        if self._inotify.fd < 0:
            return
        loop = self._home.loop
        assert loop is not None
        loop.add_reader(self._inotify.fd, self._wake)
        self.drain()
        self._drained_s = time.monotonic()

    async def _read(self) -> None:
        while self._inotify.fd >= 0:
            try:
                await anyio.wait_readable(self._inotify.fd)
            except anyio.ClosedResourceError:
                return
            now_s = time.monotonic()
            gap_s = RUSH_PAUSE_S if self._rush >= _RUSH_WAKES else _RUSH_GAP_S
            self._rush = self._rush + 1 if now_s - self._drained_s < gap_s else 0
            if self._rush >= _RUSH_WAKES:
                await anyio.sleep(RUSH_PAUSE_S)
            with suppress(OSError):  # closed meanwhile
                while self.drain():
                    await checkpoint()
            self._drained_s = time.monotonic()


# Not the notifier itself: it leads to its loop, which would then never go.
_notifiers: RunVar[list[Notifier]] = RunVar("sessiontail_notifiers")

"""looks that would have to wait -> threads beside the line, a few at a time.

A slow, cold or huge file delays itself alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sessiontail.directory.lane import Lane
from sessiontail.system.calls import Call
from sessiontail.system.descriptors import budget
from sessiontail.system.signals import Home, Signal
from sessiontail.system.threads import NoThread

__all__ = ["Beside"]

# Lanes that threads work for at once: as many as a place has threads, and some to go on with.
MOST_BESIDE = 16
# What one of them may open: both names, and one of them again.
MOST_FILES = 3


class Beside:
    """The lanes that threads work for.

    Nothing that a thread holds leads to who made this: a stream that is dropped is gone at once.

    Args:
        place: what the calls hang with.
        home: the event loop.
        signal: is set when a thread is done.
    """

    __slots__ = ("_back", "_home", "_out", "_place", "_signal", "_waiting")

    def __init__(self, place: str, home: Home, signal: Signal) -> None:
        self._place = place
        self._home = home
        self._signal = signal
        self._waiting: deque[Lane] = deque()
        self._out = 0
        self._back: deque[Lane] = deque()

    def lend(self, lane: Lane, function: Callable[..., Any], then: Callable[..., None]) -> None:
        """Have ``function(block=True)`` called in a thread; ``start`` begins it.

        Args:
            lane: whose look it is.
            function: the look.
            then: takes its result; kept for who asks for it.
        """
        lane.work = function, then
        self._waiting.append(lane)

    def start(self) -> Iterator[tuple[Lane, NoThread]]:
        """Give threads what waits for them; yield those for which there is none to be had."""
        while self._waiting and self._out < MOST_BESIDE:
            # Each result may hold a file.
            if self._out and budget.spare < MOST_FILES * (self._out + 1):
                return
            lane = self._waiting.popleft()
            assert lane.work is not None
            work = partial(lane.work[0], block=True)
            done = partial(_come_back, lane, self._back, self._signal)
            try:
                lane.call = Call(self._place, work, done=done, home=self._home)
            except NoThread as error:
                lane.work = None
                yield lane, error
            else:
                self._out += 1

    def come_back(self) -> Iterator[Lane]:
        """Yield the lanes that threads are done with."""
        while self._back:
            yield self._back.popleft()

    def take(self, lane: Lane) -> tuple[Call[Any], Callable[..., Any], Callable[..., None]]:
        """Return the call that is over, what it called, and what takes its result."""
        call, lane.call = lane.call, None
        work, lane.work = lane.work, None
        assert call is not None
        assert work is not None
        self._out -= 1
        return call, *work


def _come_back(lane: Lane, back: deque[Lane], signal: Signal) -> None:
    back.append(lane)
    signal.set()

"""looks that would have to wait -> threads beside the queue, a few at a time.

A slow, cold or huge file delays itself alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sessiontail.directory.holding import OpenFiles
from sessiontail.directory.lane import Lane
from sessiontail.directory.schedule import Rest
from sessiontail.system.calls import Call
from sessiontail.system.signals import Home, Signal
from sessiontail.system.threads import NoThread

__all__ = ["Beside"]

# Lanes that threads work for at once: as many as a place has threads, and some to go on with.
MOST_BESIDE = 16


class Beside:
    """The lanes that threads work for.

    Nothing that a thread holds leads to who made this: a stream that is dropped is gone at once.

    Args:
        place: what the calls hang with.
        home: the event loop.
        signal: is set when a thread is done.
        files: says who may open one.
    """

    __slots__ = ("_files", "_home", "_opens", "_out", "_place", "_reads", "_signal", "back")

    def __init__(self, place: str, home: Home, signal: Signal, files: OpenFiles) -> None:
        self._place = place
        self._home = home
        self._signal = signal
        self._files = files
        # Wait for a thread: to read on, and to open their files.
        self._reads: deque[Lane] = deque()
        self._opens: deque[Lane] = deque()
        self._out = 0
        #: Those that threads are done with.
        self.back: deque[Lane] = deque()

    def lend(self, lane: Lane, function: Callable[..., Any], then: Callable[..., Rest]) -> None:
        """Have ``function(block=True)`` called in a thread; ``start`` begins it.

        Args:
            lane: whose look it is.
            function: the look.
            then: takes its result; kept for who asks for it.
        """
        lane.work = function, then
        if lane.is_open:
            self._files.lent(lane, opens=False)
            self._reads.append(lane)
        else:
            self._opens.append(lane)

    def start(self) -> Iterator[tuple[Lane, NoThread]]:
        """Give threads what waits for them; yield those for which there is none to be had."""
        while self._out < MOST_BESIDE:
            lane = self._next()
            if lane is None:
                return
            assert lane.work is not None
            work = partial(lane.work[0], block=True)
            done = partial(_come_back, lane, self.back, self._signal)
            try:
                lane.call = Call(self._place, work, done=done, home=self._home)
            except NoThread as error:
                lane.work = None
                self._files.is_back(lane)
                yield lane, error
            else:
                self._out += 1

    def _next(self) -> Lane | None:
        # In turns: neither who reads nor who opens puts the other off.
        opens = self._files.opening * 2 < self._out or not self._reads
        if opens and self._opens and self._files.may_open(self._opens[0], beside=True):
            lane = self._opens.popleft()
            self._files.lent(lane, opens=True)
            return lane
        return self._reads.popleft() if self._reads else None

    @property
    def waits(self) -> bool:
        """Whether some wait for a thread."""
        return bool(self._reads or self._opens)

    def take(self, lane: Lane) -> tuple[Call[Any], Callable[..., Any], Callable[..., Rest]]:
        """Return the call that is over, what it called, and what takes its result."""
        call, lane.call = lane.call, None
        work, lane.work = lane.work, None
        assert call is not None
        assert work is not None
        self._out -= 1
        self._files.is_back(lane)
        return call, *work


def _come_back(lane: Lane, back: deque[Lane], signal: Signal) -> None:
    back.append(lane)
    signal.set()

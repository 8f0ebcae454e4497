"""blocking calls -> results, in threads of our own.

Never in the event loop's default executor, nor under anyio's default limiter: a program may fill
both with blocking calls of its own, and reading must go on. The threads are bounded, for each place
too, so that a server that hangs holds up its own directory and no other. They are daemons: a call
that hangs does not keep the program from ending. They end when nothing was to do for a while.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

from sessiontail.errors import PersistenceError

__all__ = [
    "MOST_AT_A_PLACE",
    "MOST_LONG",
    "MOST_THREADS",
    "NoThread",
    "Threads",
    "cores",
    "long_place",
    "threads",
]

# 64: eight directories whose server hangs, and the next one still has its eight.
MOST_THREADS = 64
# 8: more only wait for each other (cold ends of 1,000 files: 150 / 79 / 104 ms with 1 / 4 / 16).
MOST_AT_A_PLACE = 8
# 2: what reads a whole file may take a minute of a processor; whoever asks for a page does not wait for it.
MOST_LONG = 2
_LONG = "\0long"

# A thread that had nothing to do for so long ends; to start one takes 60 us.
_IDLE_S = 5.0

_T = TypeVar("_T")
_P = ParamSpec("_P")


class NoThread(PersistenceError, OSError):
    """No thread can be started now, and none is there: the user's or the group's are used up."""

    def __init__(self) -> None:
        super().__init__("no thread can be started: raise `ulimit -u`, or the group's pids.max")


class _Place:
    """The calls that one directory, or another thing that can hang, has under way."""

    __slots__ = ("running", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.waiting: deque[_Call] = deque()


class _Call:
    __slots__ = ("args", "function", "future", "kwargs", "place")

    def __init__(
        self, place: str, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]
    ) -> None:
        self.place = place
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.future: Future[Any] = Future()

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.function(*self.args, **self.kwargs)
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits for it
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class Threads(Executor):
    """A bounded pool of daemon threads, with a bound for each place.

    Args:
        most: threads at most.
        most_at_a_place: calls of one place that run at once; the others wait for these.
    """

    def __init__(self, most: int = MOST_THREADS, most_at_a_place: int = MOST_AT_A_PLACE) -> None:
        self._most = most
        self._most_at_a_place = most_at_a_place
        self._changed = threading.Condition()
        self._places: dict[str, _Place] = {}
        # May run now; those that their place holds back wait there.
        self._ready: deque[_Call] = deque()
        self._count = 0
        self._idle = 0

    @property
    def busy(self) -> bool:
        """Whether a call is under way, or waits to be."""
        return bool(self._places)

    def submit(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> Future[_T]:
        """Run a call that belongs to no place."""
        return self._submit(_Call("", function, args, kwargs))

    def submit_at(self, place: str, function: Callable[..., _T], /, *args: Any) -> Future[_T]:
        """Run a call that can hang with its place, usually a directory."""
        return self._submit(_Call(place, function, args, {}))

    def at(self, place: str) -> Executor:
        """Return an executor whose calls belong to a place."""
        return _At(self, place)

    def _submit(self, call: _Call) -> Future[Any]:
        with self._changed:
            place = self._places.setdefault(call.place, _Place())
            most = MOST_LONG if call.place.endswith(_LONG) else self._most_at_a_place
            if call.place and place.running >= most:
                place.waiting.append(call)
                return call.future
            place.running += 1
            self._ready.append(call)
            if self._idle >= len(self._ready):
                self._changed.notify()
            elif self._count < self._most:
                self._start(call)
        return call.future

    def _start(self, call: _Call) -> None:
        """Start a thread for a call; where there is none to be had, the next free one takes it."""
        try:
            threading.Thread(target=self._work, name="sessiontail", daemon=True).start()
        except RuntimeError as error:
            if self._count:
                return
            self._ready.remove(call)
            self._leave(call.place)
            raise NoThread from error
        self._count += 1

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._ready:
                    self._idle += 1
                    told = self._changed.wait(_IDLE_S)
                    self._idle -= 1
                    if not (told or self._ready):
                        self._count -= 1
                        return
                call = self._ready.popleft()
            call.run()
            with self._changed:
                self._leave(call.place)
            del call  # and the files that it holds

    def _leave(self, name: str) -> None:
        place = self._places[name]
        if place.waiting:
            self._ready.append(place.waiting.popleft())
            return
        place.running -= 1
        if not place.running:
            del self._places[name]


class _At(Executor):
    def __init__(self, pool: Threads, place: str) -> None:
        self._pool = pool
        self._place = place

    def submit(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> Future[_T]:
        return self._pool._submit(_Call(self._place, function, args, kwargs))  # noqa: SLF001 - its other half


_pool = Threads()


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def long_place(place: str) -> str:
    """Return where the calls of a place go that take long: ``MOST_LONG`` at once, beside all others."""
    return place + _LONG


def threads() -> Threads:
    """Return the process's pool."""
    return _pool


def _forget() -> None:
    # A forked child has none of the threads.
    global _pool  # noqa: PLW0603 - one a process
    _pool = Threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

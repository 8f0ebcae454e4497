"""files to fold -> what came of them, from threads, processes or other machines.

Batches go out as executors have room, so that a consumer who is slow is waited for. A batch whose worker
dies is tried again, a file at a time; a file that fails twice is told, and stops nothing else. What
workers have died of is not brought to this process; what they cannot be started for is.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import NamedTuple

from sessiontail.errors import PersistenceError
from sessiontail.session.auditing import Folded, ToFold, answer_of, fold_batch, request_of
from sessiontail.system.paths import WAL_ENDING
from sessiontail.system.workers import CannotStart

__all__ = ["FoldingOut", "Lane"]

# A batch is a share of what is left, so that all lanes end at once; 2 MiB or 16 files are the least: 4 ms of
# work, 40 times what it costs to send it. In batches of 4 MiB, 231 MB take a thread 0.76 s of its
# processor, of 16 MiB and more 0.60 s: it stays where its caches are.
_LEAST_BYTES, _MOST_BYTES = 2 * 1024 * 1024, 32 * 1024 * 1024
_LEAST_FILES, _MOST_FILES = 16, 1024
# Batches that came back and were not taken: while so many wait, no more are sent.
_MOST_BACK = 64
# How often a file is tried: among others, then twice alone.
_TRIES = 3


class Lane(NamedTuple):
    """Where batches go."""

    executor: Executor
    #: How many of them are there at once.
    most: int


class _Batch(NamedTuple):
    files: Sequence[ToFold]
    tries: int = 0
    # The lane that it is for, where a worker has died of it; None: any.
    lane: int | None = None


class FoldingOut:
    """The files that are to be folded, and where they are.

    Args:
        files: in the order in which they are to go out.
        sizes: by file, how many bytes are to be read.
        lanes: take the batches.
        max_line_bytes: a longer line is one ``Damage``.
        came: called, in any thread, when something came back.
    """

    def __init__(
        self,
        files: Iterable[ToFold],
        sizes: Mapping[str, int],
        lanes: Sequence[Lane],
        *,
        max_line_bytes: int,
        came: Callable[[], object],
    ) -> None:
        self._files = deque(files)
        self._sizes = sizes
        self._bytes_left = sum(sizes.get(one.file, 0) for one in self._files)
        # Twice as many as are out at once.
        self._shares = max(1, 2 * sum(lane.most for lane in lanes))
        self._lanes = lanes
        self._out = [0] * len(lanes)
        # Those that take nothing new: their workers cannot be started.
        self._given_up: set[int] = set()
        self._max_line_bytes = max_line_bytes
        self._came = came
        self._again: deque[_Batch] = deque()
        self._back: deque[tuple[int, _Batch, Future[bytes]]] = deque()
        # Of a future that is over at once, the callback comes within the call that made it.
        self._lock = threading.RLock()
        self._closed = False

    @property
    def over(self) -> bool:
        """Whether all came back, and was taken."""
        with self._lock:
            return not (self._files or self._again or self._back or any(self._out))

    @property
    def some_back(self) -> bool:
        """Whether there is something to take."""
        return bool(self._back)

    def close(self) -> None:
        """Send nothing more."""
        self._closed = True

    def send(self) -> None:
        """Send out as much as there is room for; what came back is sent after by itself."""
        with self._lock:
            for number, lane in enumerate(self._lanes):
                while self._out[number] < lane.most and len(self._back) < _MOST_BACK:
                    batch = None if self._closed else self._next(number)
                    if batch is None:
                        break
                    self._send(number, lane, batch)

    def _next(self, number: int) -> _Batch | None:
        given_up = number in self._given_up
        for batch in self._again:
            if batch.lane == number or (batch.lane is None and not given_up):
                self._again.remove(batch)
                return batch
        if given_up:
            return None
        files: list[ToFold] = []
        size = 0
        most_bytes = _within(_LEAST_BYTES, self._bytes_left // self._shares, _MOST_BYTES)
        most_files = _within(_LEAST_FILES, len(self._files) // self._shares, _MOST_FILES)
        while self._files and len(files) < most_files and (not files or size < most_bytes):
            one = self._files.popleft()
            size += self._sizes.get(one.file, 0)
            files.append(one)
        self._bytes_left -= size
        return _Batch(files) if files else None

    def _send(self, number: int, lane: Lane, batch: _Batch) -> None:
        request = request_of(batch.files, max_line_bytes=self._max_line_bytes)
        self._out[number] += 1
        try:
            future = lane.executor.submit(fold_batch, request)
        except Exception as error:  # noqa: BLE001 - of whatever executor: as if it had died
            future = Future()
            future.set_exception(error)

        def done(over: Future[bytes]) -> None:
            with self._lock:
                self._out[number] -= 1
                if isinstance(_error_of(over), CannotStart):
                    self._give_up(number)
                self._back.append((number, batch, over))
                self.send()
            self._came()

        future.add_done_callback(done)

    def take(self) -> list[Folded]:
        """Return what came back since this was last called; then more may be to ``send``.

        Raises:
            PersistenceError: nothing can be folded there: no file is at fault.
        """
        folded: list[Folded] = []
        while self._back:
            number, batch, future = self._back.popleft()
            error = _error_of(future)
            if error is None:
                try:
                    folded += _checked(batch.files, future.result())
                    continue
                except (ValueError, TypeError) as wrong:
                    error = wrong
            if isinstance(error, PersistenceError):
                raise error
            if isinstance(error, CannotStart) and batch.lane is None and number in self._given_up:
                again = [batch]
            elif batch.tries + 1 < _TRIES or len(batch.files) > 1:
                lane = number if isinstance(error, BrokenExecutor) else batch.lane
                again = [_Batch([one], batch.tries + 1, lane) for one in batch.files]
            else:
                again = []
                why = f"what read it failed, {_TRIES} times: {str(error) or type(error).__name__}"
                folded += [Folded(one.file, error=why) for one in batch.files]
            with self._lock:
                self._again += again
        return folded

    def _give_up(self, number: int) -> None:
        """Give a lane nothing new, where there is another one."""
        if {*range(len(self._lanes))} - self._given_up - {number}:
            self._given_up.add(number)


def _error_of(over: Future[bytes]) -> BaseException | None:
    return RuntimeError("the executor was shut down") if over.cancelled() else over.exception()


def _checked(files: Sequence[ToFold], answer: bytes) -> list[Folded]:
    """Return what came of files.

    Raises:
        TypeError, ValueError: it is no answer, or one to something else.
    """
    folded = answer_of(answer)
    for asked, one in zip(files, folded, strict=True):
        if one.file not in (asked.file, asked.file.removesuffix(WAL_ENDING)):
            raise ValueError("an answer about another file")
    return folded


def _within(least: int, value: int, most: int) -> int:
    return max(least, min(value, most))

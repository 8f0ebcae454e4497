"""files to fold -> what came of them, from threads, processes or other machines.

Batches go out as executors have room, so that a consumer who is slow is waited for. A batch whose worker
dies is tried again, a file at a time; a file that fails twice is told, and stops nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import NamedTuple

from sessiontail.errors import PersistenceError
from sessiontail.session.auditing import Folded, ToFold, answer_of, fold_batch, request_of

__all__ = ["FoldingOut", "Lane"]

# 4 MiB or 64 files a batch: 4 ms of work, 40 times what it costs to send it.
_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_FILES = 64
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


class FoldingOut:
    """The files that are to be folded, and where they are.

    Args:
        files: in the order in which they are to go out.
        sizes: by file, how many bytes are to be read.
        lanes: take the batches.
        max_line_bytes: a longer line is one ``Damage``.
        came: called, in any thread, when something came back.
        function: what is called with a request; ``fold_batch``, or one that reads elsewhere.
    """

    def __init__(
        self,
        files: Iterable[ToFold],
        sizes: Mapping[str, int],
        lanes: Sequence[Lane],
        *,
        max_line_bytes: int,
        came: Callable[[], object],
        function: Callable[[bytes], bytes] = fold_batch,
    ) -> None:
        self._files = deque(files)
        self._sizes = sizes
        self._lanes = lanes
        self._out = [0] * len(lanes)
        self._max_line_bytes = max_line_bytes
        self._came = came
        self._function = function
        self._again: deque[_Batch] = deque()
        self._back: deque[tuple[_Batch, Future[bytes]]] = deque()
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
                    batch = None if self._closed else self._next()
                    if batch is None:
                        break
                    self._send(number, lane, batch)

    def _next(self) -> _Batch | None:
        if self._again:
            return self._again.popleft()
        files: list[ToFold] = []
        size = 0
        while self._files and len(files) < _BATCH_FILES and (not files or size < _BATCH_BYTES):
            one = self._files.popleft()
            size += self._sizes.get(one.file, 0)
            files.append(one)
        return _Batch(files) if files else None

    def _send(self, number: int, lane: Lane, batch: _Batch) -> None:
        request = request_of(batch.files, max_line_bytes=self._max_line_bytes)
        self._out[number] += 1
        try:
            future = lane.executor.submit(self._function, request)
        except Exception as error:  # noqa: BLE001 - of whatever executor: as if it had died
            future = Future()
            future.set_exception(error)

        def done(over: Future[bytes]) -> None:
            with self._lock:
                self._out[number] -= 1
                self._back.append((batch, over))
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
            batch, future = self._back.popleft()
            if future.cancelled():
                error: BaseException | None = RuntimeError("the executor was shut down")
            else:
                error = future.exception()
            if isinstance(error, PersistenceError):
                raise error
            if error is None:
                folded += answer_of(future.result())
            elif batch.tries + 1 < _TRIES or len(batch.files) > 1:
                with self._lock:
                    self._again += [_Batch([one], batch.tries + 1) for one in batch.files]
            else:
                why = f"what read it failed, {_TRIES} times: {str(error) or type(error).__name__}"
                folded += [Folded(one.file, error=why) for one in batch.files]
        return folded

"""directory -> one meta a file, streamed as found.

A listing reads the first line and the last block of each file, whatever its length. Only a file
without a trailer is counted, and without decoding. Files that do not start with a header are
skipped and kept as errors, each with a logged warning, once for as long as the file stays as it is;
one bad file never stops the rest.
"""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Self

from anyio.lowlevel import checkpoint

from sessiontail.directory.gathering import (
    FILES_PER_HOP,
    MAX_FILES_PER_HOP,
    Found,
    begin_scan,
    end_scan,
    read_metas,
)
from sessiontail.directory.remembered import Remembered
from sessiontail.errors import PersistenceError
from sessiontail.format.brief import place
from sessiontail.session.meta import PersistedSessionMeta, judged
from sessiontail.session.pulling import AsyncPulled, OneTask
from sessiontail.session.summary import Detail
from sessiontail.system.calls import Call
from sessiontail.system.files import MAX_THREADS
from sessiontail.system.locks import LockTable, table_for

__all__ = [
    "Scan",
    "by_age",
]

logger = logging.getLogger("sessiontail")

# Warnings between two turns of the event loop.
_TOLD_AT_ONCE = 64
# How many metas are sorted in one go: 2 ms, in which no other thread runs.
_RUN = 2048


class Scan(AsyncPulled, AsyncIterator[PersistedSessionMeta]):
    """The sessions of a directory, in no order, as they are found.

    A pull-only iterator: threads work only while it is asked. A step that is cancelled can be
    retried; its threads go on meanwhile.
    """

    def __init__(
        self, directory: Path, *, detail: Detail = Detail.LINES, cache: bool = False
    ) -> None:
        """Prepare; nothing is read before the first is asked for.

        Args:
            directory: where the files lie.
            detail: as for ``read_meta``.
            cache: whether what earlier processes have read is taken from the user's cache, where
                there are many files, and what is read is kept there.
        """
        self.directory = directory
        #: Files that are no sessions, with the reason; complete when the scan is.
        self.skipped: list[PersistenceError] = []
        #: Session files in the directory; None before the scan began.
        self.total: int | None = None
        self._detail = detail
        # What was verified, or believed of the ends only, is not what is kept.
        self._earlier = Remembered(directory) if cache and detail is Detail.LINES else None
        # Names of the files that are still to be read, the next one last.
        self._names: list[str] = []
        self._found: deque[PersistedSessionMeta] = deque()
        # Device and inode in one number: nothing for the collector.
        self._seen: set[int] = set()
        self._locks = LockTable(None)
        self._threads = 1
        self._one_task = OneTask("Scan")
        # What threads do for the step that was begun.
        self._calls: list[Call[Any]] = []
        # Those of ``skipped`` that are still to be warned of.
        self._untold: deque[PersistenceError] = deque()
        self._looked_aside = False

    def __repr__(self) -> str:
        done = "not begun" if self.total is None else f"{self.total - len(self._names)} read"
        return f"<Scan {place(self.directory)}, {done}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PersistedSessionMeta:
        """Return the next session's meta.

        Raises:
            StopAsyncIteration: that was all.
            PersistenceError: the directory cannot be read; one that is absent is empty.
            StreamBusy: another task waits for the next one.
        """
        if not self._found:
            with self._one_task:
                await self._find()
        return self._found.popleft()

    async def _find(self) -> None:
        while not self._found:
            if self.total is None:
                await self._begin()
            elif self._names:
                await self._read_some()
            else:
                await self._look_aside()
                await self._tell()
                raise StopAsyncIteration
            await self._tell()

    async def rest(self) -> list[PersistedSessionMeta]:
        """Return all that were not handed over; cancelled, it hands over none of them.

        Raises:
            PersistenceError: the directory cannot be read.
            StreamBusy: another task waits for the next one.
        """
        with self._one_task:
            if self.total is None:
                await self._begin()
            await self._tell()
            while self._names:
                await self._read_some()
                await self._tell()
            await self._look_aside()
            await self._tell()
        metas = [*self._found]
        self._found.clear()
        return metas

    async def _begin(self) -> None:
        if not self._calls:
            # At once: to open the lock table takes the kernel 8 ms without any work (it waits
            # until all processors have looked), 1,000 files take 16.
            self._calls = [
                Call("", table_for, self.directory),
                self._call(begin_scan, self._detail, self._earlier),
            ]
        table, first = await self._results()
        self._locks = table
        self._names = first.names
        self.total = len(first.names)
        metas = [judged(meta, table) for meta in first.found.metas]
        self._take([first.found._replace(metas=metas)])
        if first.left_aside is not None:
            self._take_aside(first.left_aside, first.untold)

    def _call(self, function: Callable[..., Any], *args: Any) -> Call[Any]:
        return Call(str(self.directory), function, self.directory, *args)

    async def _results(self) -> list[Any]:
        """Wait for the threads; cut short again and again, it still sees the end of it."""
        for call in self._calls:
            await call.settled()
        calls, self._calls = self._calls, []
        return [call.result() for call in calls]

    async def _read_some(self) -> None:
        """Read the next files: many at once in one thread while the cache has them."""
        if not self._calls:
            few = self._detail is Detail.RECORDS or self._threads > 1
            size = FILES_PER_HOP if few else MAX_FILES_PER_HOP
            # What one thread does not take, another does.
            shared = iter(self._names[: -size * self._threads - 1 : -1])
            ahead = self._threads > 1
            read = partial(read_metas, earlier=self._earlier)
            self._calls = [
                self._call(read, shared, self._locks, self._detail, ahead)
                for _ in range(self._threads)
            ]
        self._take(await self._results())

    def _take(self, results: list[Found]) -> None:
        taken = sum(found.taken for found in results)
        cold = sum(found.cold for found in results)
        # Freed bit by bit: 100,000 at once take 10 ms.
        del self._names[len(self._names) - taken :]
        for found in results:
            self._add(found)
        self._threads = MAX_THREADS if cold * 10 > taken else 1

    async def _look_aside(self) -> None:
        """Skip, once and aloud, what a deletion that was killed has left under no session's name."""
        if not self._looked_aside:
            if not self._calls:
                self._calls = [self._call(end_scan, self._earlier)]
            (aside,) = await self._results()
            self._take_aside(*aside)

    def _take_aside(
        self, errors: list[PersistenceError], untold: Iterable[PersistenceError]
    ) -> None:
        self.skipped += errors
        self._untold += untold
        self._looked_aside = True

    def _add(self, found: Found) -> None:
        for meta in found.metas:
            # During the rename of a close, one file can be met under both of its names.
            key = meta.file_id.device << 64 | meta.file_id.inode
            if key not in self._seen:
                self._seen.add(key)
                self._found.append(meta)
        self.skipped += found.skipped
        self._untold += found.untold

    async def _tell(self) -> None:
        """Warn of what was skipped, a few at a time: a warning takes a logger 20 us and more."""
        while self._untold:
            logger.warning("skipped %s", self._untold.popleft())
            if not len(self._untold) % _TOLD_AT_ONCE:
                await checkpoint()


def by_age(metas: Iterable[PersistedSessionMeta]) -> list[PersistedSessionMeta]:
    """Return metas sorted by ``created_at``, then by file; never long without letting others run.

    One sort of 100,000 holds the GIL, and with it the event loop, for 130 ms.
    """
    metas = [*metas]
    runs = [sorted(metas[i : i + _RUN], key=_age) for i in range(0, len(metas), _RUN)]
    return runs[0] if len(runs) == 1 else [*heapq.merge(*runs, key=_age)]


_age = attrgetter("created_at", "file")

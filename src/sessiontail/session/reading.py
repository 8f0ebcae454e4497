"""path -> records, up to the end of the file as it is now.

Whole sessions are ``loading``'s, growing files ``tail``'s.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path

from anyio.lowlevel import checkpoint

from sessiontail.errors import PersistenceError
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.needles import Needles
from sessiontail.format.passing import Passing
from sessiontail.session.blocks import FileReplaced
from sessiontail.session.feed import RecordFeed
from sessiontail.session.generations import Fitting, not_found, open_fitting
from sessiontail.session.sieve import Find
from sessiontail.session.stream import RecordStream
from sessiontail.system.files import explain, in_thread
from sessiontail.system.mounts import mount_of
from sessiontail.system.paths import SessionPaths
from sessiontail.system.stats import StoreStats
from sessiontail.urls import as_path

__all__ = ["SessionReader"]


class SessionReader(RecordFeed):
    """Reads one session file up to the end that it has when reading begins.

    Made by ``read_session``.
    """

    def __init__(
        self,
        paths: SessionPaths,
        *,
        only: Path | None = None,
        search: Callable[[], SessionPaths | None] | None = None,
        after: str | None = None,
        last: int | None = None,
        find: Find | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
        stats: StoreStats | None = None,
    ) -> None:
        """Prepare; nothing is opened before the first record is asked for.

        Args:
            paths: both names of the file; the WAL is tried first.
            only: this one is meant and no other.
            search: finds the session under another name; may block.
            after: a cursor to go on from.
            last: begin so many lines before the end instead.
            find: says what is inherited, and is left out; None: nothing is.
            max_line_bytes: a longer line is one ``Damage``.
            stats: counts into these.

        Raises:
            CursorInvalid: ``after`` is no cursor.
        """
        super().__init__(after, find)
        self._last = last
        self._names = paths.newest_first if only is None else (str(only),)
        self._place = str(paths.directory if only is None else only.parent)
        self._search = search
        self._max_line_bytes = max_line_bytes
        self._stats = stats or StoreStats()

    @property
    def path(self) -> Path:
        """The file that is read, or would be."""
        return self._reader.file.path if self._reader else as_path(self._names[0])

    async def _fill(self) -> None:
        place = self._place
        if self._reader is None:
            remote = (await mount_of(place)).remote
            opened = await self._look(place, partial(self._open, remote=remote))
            if opened is None:
                raise await in_thread(not_found, self._names, place=place)
            self._begin(*opened)
        assert self._reader is not None
        while True:
            try:
                batch = await self._look(place, self._reader.next_batch)
            except FileReplaced:
                raise _rewritten(self.path) from None
            except OSError as error:
                raise explain(error, self.path) from error
            if batch is None:
                raise StopAsyncIteration
            self._stream.put(batch)
            if batch.records:
                return
            await checkpoint()  # blank lines

    def streamed(self, needles: Needles | None = None) -> Generator[RecordStream, None, None]:
        """Yield a stream of the same records, blocking: for a thread, instead of iterating.

        It is always the same stream: first with none, then with each batch; all that wait in it are
        to be taken before the next step. Closing the generator closes the file.

        Args:
            needles: records in whose lines is none of these may be left out: most are. None: none is.

        Raises:
            PersistenceError: the file is not there or cannot be read.
        """
        opened = self._open(remote=False, block=True)
        if opened is None:
            raise not_found(self._names)
        reader, stream = opened.reader, RecordStream(opened.position)
        # What is inherited is told by whole batches.
        if needles is not None and reader.sieve is None:
            reader.passing = Passing(needles)
        try:
            yield stream
            while True:
                try:
                    batch = reader.next_batch(block=True)
                except BlockingIOError:
                    continue  # a long line, a step of which is done
                if batch is None:
                    return
                stream.put(batch)
                yield stream
        except FileReplaced:
            raise _rewritten(reader.file.path) from None
        except OSError as error:
            raise explain(error, reader.file.path) from error
        finally:
            reader.close()

    def _open(self, *, remote: bool, block: bool) -> Fitting | None:
        def open_one() -> Fitting | None:
            return open_fitting(
                self._names,
                self._after,
                last=self._last,
                whole=False,
                max_line_bytes=self._max_line_bytes,
                stats=self._stats,
                remote=remote,
                block=block,
            )

        opened = open_one()
        if opened is None and self._search is not None:
            if not block:
                raise BlockingIOError(errno.EAGAIN, "to be searched in a thread")
            found = self._search()
            if found is not None:
                self._names = found.newest_first
                opened = open_one()
        if opened is not None:
            self._sift(opened.reader, finite=True)
        return opened


def _rewritten(path: Path) -> PersistenceError:
    return PersistenceError("cut or rewritten while it was read; read it again", path=path)

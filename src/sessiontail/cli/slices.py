"""records of a reader -> each with the bytes of the file that it was read from."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

from sessiontail.format.records import Record
from sessiontail.session.feed import RecordFeed
from sessiontail.system.objects import BucketObject
from sessiontail.urls import is_url

__all__ = ["FileSlices", "entries"]


class FileSlices:
    """Bytes of the file that a reader has open, also after the reader has let it go.

    A context manager; it holds a descriptor of its own as soon as the file is open.
    """

    def __init__(self, feed: RecordFeed) -> None:
        self._feed = feed
        self._fd = -1
        # Instead, where the file is in a bucket.
        self._object: BucketObject | None = None
        #: Where the first record begins.
        self.start = feed.offset
        feed.on_open = self._hold

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _hold(self) -> None:
        # Not opened by name, which could lead to another file by now.
        if self._fd < 0 and self._feed.fd is not None:
            self._fd = os.dup(self._feed.fd)
            self.start = self._feed.offset
        elif is_url(str(self._feed.path)):
            self._object = BucketObject(str(self._feed.path))
            self.start = self._feed.offset

    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes; fewer where the file was cut since, none if it was never open."""
        if self._object is not None:
            return self._object.read(offset, size)
        return os.pread(self._fd, size, offset) if self._fd >= 0 else b""


async def entries(
    feed: RecordFeed, file: FileSlices, *, raw: bool
) -> AsyncGenerator[list[tuple[Record | None, bytes]], None]:
    """Yield lists of records with their bytes; without ``raw`` the bytes are empty.

    All slices together are the file: blank lines belong to the record beside them, and those that
    stand alone to None.
    """
    if not raw:
        async for records in feed.batches():
            yield [(record, b"") for record in records]
        return
    start: int | None = None
    async for record in feed:
        start = file.start if start is None else start
        end = feed.offset
        yield [(record, file.read(start, end - start))]
        start = end
    start = file.start if start is None else start
    if feed.offset > start:
        yield [(None, file.read(start, feed.offset - start))]

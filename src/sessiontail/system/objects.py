"""a URL -> an object in a bucket whose bytes are read in ranges, a few MB at a time. Blocks.

A request takes some 30 ms, whatever it brings: more is asked for than is wanted, and who reads on is
given twice as much each time. What was read of an object's begin and end is kept for a while.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Self, TypeVar

from sessiontail.system.buckets import bucket_of, split_url
from sessiontail.system.kept import Kept
from sessiontail.system.statuses import object_status
from sessiontail.urls import is_url

__all__ = ["BucketObject", "ask_for_ends", "begun_ahead", "opened_ahead"]

# 64 KiB: takes as long as 4 KiB, and has the whole of a short session.
_BLOCK_BYTES = 64 * 1024
# What is asked for at most at once, and at once by who reads all.
_BULK_BYTES = 4 * 1024 * 1024
# Of reads that are not longer, the blocks are kept, so many at least: 16 to 32 MB.
_SHORT_BYTES = 256 * 1024
_MOST_KEPT = 256
# Requests under way at once; of who reads all, they are for 4 MiB of short sessions, or for one.
_AT_ONCE = 16

# Objects whose begins are read ahead.
_AHEAD = 64

_T = TypeVar("_T")

#: By URL, ETag, and where they begin.
_kept: Kept[tuple[str, str | None, int], bytes] = Kept(_MOST_KEPT)


class BucketObject:
    """An object, as it was when this was made: a ``Source``. One thread at a time.

    Args:
        url: where it is.
        want: how many bytes are asked for at once, at first.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be asked for.
    """

    __slots__ = ("_bucket", "_chunk", "_first", "_listed", "_name", "_start", "_url", "_want", "size",
                 "status")  # fmt: skip

    def __init__(self, url: str, want: int = _BLOCK_BYTES) -> None:
        directory, self._name = split_url(url)
        self._url = url
        self._bucket = bucket_of(directory)
        self._listed = self._bucket.find(self._name)
        #: As if it were a file's.
        self.status = object_status(directory, self._name, self._listed)
        self.size = self._listed.size
        # What was read last, and where it begins.
        self._chunk, self._start = b"", 0
        self._first = self._want = want

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def now(self) -> os.stat_result:
        """Return its status: it does not change, or cannot be read any more."""
        return self.status

    def read_into(self, view: memoryview, offset: int) -> int:
        """Read into all of a buffer; return how many bytes there were, fewer only at the end.

        Raises:
            OSError: it cannot be read, or is another one by now (``ESTALE``).
        """
        data = self.read(offset, len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes, fewer only at the end.

        Raises:
            OSError: it cannot be read, or is another one by now (``ESTALE``).
        """
        end = min(offset + size, self._listed.size)
        if offset < 0:
            raise OSError(errno.EINVAL, "before the begin", self._url)
        if end <= offset:
            return b""
        at = offset - self._start
        if at < 0 or end - self._start > len(self._chunk):
            self._fetch(offset, end)
            at = offset - self._start
        return self._chunk[at : at + end - offset]

    def _fetch(self, offset: int, end: int) -> None:
        """Have some bytes in the chunk, and more: those behind them, or those around them."""
        size = self._listed.size
        if self._chunk and 0 <= offset - self._start <= len(self._chunk):
            self._want = min(2 * self._want, _BULK_BYTES)
            self._chunk = self._ask(offset, min(max(end, offset + self._want), size))
            self._start = offset
            return
        self._want = self._first
        # Whole blocks: who reads a little further next time has them.
        self._start = offset // _BLOCK_BYTES * _BLOCK_BYTES
        key = self._url, self._listed.etag
        kept = [_kept.get((*key, at)) for at in range(self._start, end, _BLOCK_BYTES)]
        if None not in kept:
            self._chunk = b"".join(block for block in kept if block is not None)
            return
        end = max(end, self._start + self._want)
        self._chunk = self._ask(self._start, min(-(-end // _BLOCK_BYTES) * _BLOCK_BYTES, size))
        if len(self._chunk) <= _SHORT_BYTES:
            for at in range(0, len(self._chunk), _BLOCK_BYTES):
                _kept.put((*key, self._start + at), self._chunk[at : at + _BLOCK_BYTES])

    def _ask(self, start: int, end: int) -> bytes:
        data = self._bucket.read(self._name, self._listed, start, end)
        if len(data) != end - start:
            raise OSError(errno.EIO, "fewer bytes came than are there", self._url)
        return data


def ask_for_ends(urls: Sequence[str], end_bytes: int) -> None:
    """Read both ends of some objects, several at once, so that they are there when asked for."""

    def ask(url: str) -> None:
        one = BucketObject(url)
        one.read(0, end_bytes)
        one.read(max(0, one.size - end_bytes), end_bytes)

    _for_each(ask, urls)


def begun_ahead(items: Iterable[_T], url_of: Callable[[_T], str]) -> Iterator[_T]:
    """Yield items; if they are of objects, the begins of these are read before, several at once."""
    left = iter(items)
    while some := [*islice(left, _AHEAD)]:
        urls = [url for url in map(url_of, some) if is_url(url)]
        if urls:
            _for_each(lambda url: BucketObject(url).read(0, 1), urls)
        yield from some


def _for_each(ask: Callable[[str], object], urls: Sequence[str]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done in [pool.submit(ask, url) for url in urls]:
            done.exception()  # who asks for it then is told


def opened_ahead(urls: Iterable[str]) -> Generator[Callable[[str], BucketObject]]:
    """Yield what gives each object, the first of its bytes read; a few are under way at once.

    It is called with a name, as what opens files is, and raises what came of this object.
    """

    def begin(url: str) -> BucketObject:
        one = BucketObject(url, _BULK_BYTES)
        one.read(0, _BULK_BYTES)
        return one

    left = iter(urls)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        under_way: list[Future[BucketObject]] = []
        under_way += (pool.submit(begin, url) for url in islice(left, _AT_ONCE))
        while under_way:
            first = under_way.pop(0)
            yield lambda _, first=first: first.result()  # type: ignore[misc] # a default is typed
            under_way += (pool.submit(begin, url) for url in islice(left, 1))

"""a line without an end, larger than one read -> where it ends, once it does.

What was searched for a newline is not searched again: a line of 60 MB that comes in drops stays
linear. Nothing of it is kept but its last bytes, which tell whether it is still the line it was.
"""

from __future__ import annotations

import errno
from enum import Enum

from sessiontail.format.marks import WINDOW_BYTES
from sessiontail.system.files import SessionFile
from sessiontail.system.stamps import FileStamp
from sessiontail.system.stats import StoreStats

__all__ = ["LongLineSearch", "NoEnd"]

# 16 MiB of an unfinished line are searched in one go in a thread, so that it can be left.
SEARCH_BYTES = 16 * 1024 * 1024

_NEVER = 2**63


class NoEnd(Enum):
    """Why a search gives no end."""

    #: The end of the file was met.
    AT_END = "at end"
    #: It is no longer the line that it was: cut off, and perhaps begun anew.
    CHANGED = "changed"


class LongLineSearch:
    """How far such a line was searched.

    Args:
        searched: the offset up to which it has no newline.
        last: the bytes before that, ``WINDOW_BYTES`` at most.
    """

    __slots__ = ("_last", "_rescan_at", "_stamp", "searched")

    def __init__(self, searched: int, last: bytes) -> None:
        self.searched = searched
        self._last = last
        # The size at which to search it all again, and the file's stamp when its end was met.
        self._rescan_at = _NEVER
        self._stamp: FileStamp | None = None

    def rest(self, torn_bytes: int, stamp: FileStamp) -> None:
        """Note that the end of the file was met, so many bytes into the line."""
        self._rescan_at = self.searched + torn_bytes
        self._stamp = stamp

    def is_stale(self, stamp: FileStamp, *, thorough: bool) -> bool:
        """Say whether to search it all again: it has doubled; or it changed, with ``thorough``."""
        return stamp.size >= self._rescan_at or (thorough and stamp != self._stamp)

    def find_end(
        self,
        file: SessionFile,
        *,
        read_bytes: int,
        limit: int | None,
        block: bool,
        stats: StoreStats,
    ) -> int | NoEnd:
        """Search on from where the search stopped; return the offset behind the newline.

        Args:
            file: the open file.
            read_bytes: how much is read at once.
            limit: where the file is taken to end; None: where it does.
            block: whether it may wait and take its time: in a thread.
            stats: counts into these.

        Raises:
            BlockingIOError: there is more to search than ``block`` allows in one go.
            OSError: the file cannot be read.
        """
        most = self.searched + (SEARCH_BYTES if block else read_bytes)
        while True:
            last = self._last
            start, size = self.searched - len(last), len(last) + read_bytes
            if limit is not None:
                size = min(size, limit - start)
            data = file.look(start, size, block=block)
            if not data.startswith(last):
                return NoEnd.CHANGED
            stats.reads += 1
            stats.bytes += len(data) - len(last)
            at = data.find(b"\n", len(last)) + 1
            if at:
                return start + at
            end = start + len(data)
            self.searched, self._last = end, data[-WINDOW_BYTES:]
            if len(data) < size or end == limit:
                return NoEnd.AT_END
            if end >= most:
                raise BlockingIOError(errno.EAGAIN, "a long line, to be searched on")

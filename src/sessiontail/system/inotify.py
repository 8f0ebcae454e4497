"""watched inodes -> events, by inotify(7).

Sixty lines instead of a package: its own search for libc started ``ldconfig``, which takes 5 ms and
fails without descriptors. Linux only; nothing here waits.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Final, NamedTuple

__all__ = ["Inotify", "InotifyEvent"]

MODIFY: Final = 0x2
ATTRIB: Final = 0x4
CLOSE_WRITE: Final = 0x8
MOVED_FROM: Final = 0x40
MOVED_TO: Final = 0x80
CREATE: Final = 0x100
DELETE: Final = 0x200
DELETE_SELF: Final = 0x400
MOVE_SELF: Final = 0x800
UNMOUNT: Final = 0x2000
Q_OVERFLOW: Final = 0x4000
IGNORED: Final = 0x8000
ONLYDIR: Final = 0x1000000

# struct inotify_event: wd, mask, cookie, len; the name follows, padded with NULs.
_HEAD = struct.Struct("iIII")
# 64 KiB: some 800 events, 1 ms to dispatch.
_READ_BYTES = 64 * 1024
_LARGEST_BYTES = _HEAD.size + 256


class InotifyEvent(NamedTuple):
    """One event; ``name`` is empty for a watched file itself."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One inotify instance; a user has 128 of them.

    Raises:
        OSError: there is none left (``EMFILE``), or no descriptor.
    """

    __slots__ = ("_libc", "fd")

    def __init__(self) -> None:
        self.fd = -1
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._check(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def __del__(self) -> None:
        self.close()

    def add(self, path: str, mask: int) -> int:
        """Watch what a path leads to; return its watch, the same for the same inode.

        Raises:
            OSError: it is not there, may not be read, or no watch is left (``ENOSPC``).
        """
        return self._check(self._libc.inotify_add_watch(self.fd, os.fsencode(path), mask))

    def remove(self, watch: int) -> None:
        """Stop watching; what is no longer watched is no error."""
        self._libc.inotify_rm_watch(self.fd, watch)

    def read(self) -> tuple[list[InotifyEvent], bool]:
        """Return the events that are there, 64 KiB at most, and whether there may be more."""
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return [], False
        events = []
        at, end, head = 0, len(data), _HEAD.size
        while at < end:
            watch, mask, _, length = _HEAD.unpack_from(data, at)
            at += head
            name = os.fsdecode(data[at : at + length].rstrip(b"\0")) if length else ""
            at += length
            events.append(InotifyEvent(watch, mask, name))
        return events, end > _READ_BYTES - _LARGEST_BYTES

    def close(self) -> None:
        """Give the instance back; again is no error."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    @staticmethod
    def _check(result: int) -> int:
        if result < 0:
            code = ctypes.get_errno() or errno.EIO
            raise OSError(code, os.strerror(code))
        return result

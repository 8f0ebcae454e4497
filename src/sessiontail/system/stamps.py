"""stat -> which file this is, and what it was like: what the kernel tells a file by."""

from __future__ import annotations

import os
from struct import Struct

import msgspec

from sessiontail.system.statuses import status_of

__all__ = [
    "OLD_NS",
    "SETTLED_S",
    "FileId",
    "FileStamp",
    "id_of_name",
    "lasting_stamp",
    "stamp_bytes",
]


class FileId(msgspec.Struct, frozen=True, gc=False):
    """Which file this is, whatever it is called: a rename keeps it.

    Once a file is gone, the next one may get its number.
    """

    device: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileId:
        """Return the file's of a status."""
        return cls(status.st_dev, status.st_ino)


class FileStamp(msgspec.Struct, frozen=True, gc=False):
    """What a file was like: where all are the same, nothing was written meanwhile, nearly always.

    Two changes within one tick of the file system's clock, 4 to 10 ms, leave one stamp.
    """

    size: int
    #: When its content changed last, by the clock of who has the file; ``touch`` sets it.
    mtime_ns: int
    #: When anything of it changed last.
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileStamp:
        """Return the stamp of a status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def id_of_name(name: str) -> FileId | None:
    """Return which file has a name, not followed if it is a link; None where none has. Blocks."""
    try:
        return FileId.of(status_of(name))
    except OSError:
        return None


# What was read is believed once the same times were there so long before it was read: a change
# within one tick of the file system's clock leaves no other trace. 2.5 s: FAT counts in twos,
# Linux in 4 or 10 ms.
SETTLED_S = 2.5


# Or once they are so old that no clock is that wrong.
OLD_NS = 600 * 10**9


_STAMP = Struct("<QQqqq")


def stamp_bytes(status: os.stat_result) -> bytes:
    """Return ``FileId`` and ``FileStamp`` of a status as bytes, 40 of them."""
    return _STAMP.pack(
        status.st_dev & _64_BITS,
        status.st_ino & _64_BITS,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


_64_BITS = (1 << 64) - 1


def lasting_stamp(status: os.stat_result, looked_ns: int, *, same_clock: bool) -> bytes | None:
    """Return the stamp of a file that is read after this look; None where it proves nothing yet.

    A file that has this stamp later, in whatever process, has what was read: its last change was so
    long before the look that each one since shows.

    Args:
        status: of the look, which was before the read.
        looked_ns: when, by ``time.time_ns()``, taken before the status.
        same_clock: whether the file's times are by this clock (``mounts.look_up``).
    """
    unchanged_ns = looked_ns - max(status.st_ctime_ns, status.st_mtime_ns)
    settled_ns = int(SETTLED_S * 1e9) if same_clock else OLD_NS
    return stamp_bytes(status) if unchanged_ns >= settled_ns else None

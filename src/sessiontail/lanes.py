"""One session of a directory: where it stands, what it waits for, and which file is its.

``following`` gives the turns; here a lane is opened and hands over its records.
"""

from __future__ import annotations

import errno
import os
from uuid import UUID

from sessiontail.cursor import Position
from sessiontail.decoding import Batch
from sessiontail.delivery import Delivery
from sessiontail.files import SessionFile
from sessiontail.records import Record
from sessiontail.surveying import ended_key
from sessiontail.tailing import Follower

__all__ = [
    "Lane",
    "descriptor_limit",
    "file_key",
    "open_generation",
    "open_generations",
    "stem_uuid",
]

# Descriptors that are left to the rest of the program.
RESERVE_DESCRIPTORS = 32


class Lane(Delivery):
    """One session of a directory: where it stands, and what it waits for."""

    __slots__ = (
        "abandoned",
        "after",
        "closed_before",
        "ending",
        "follower",
        "is_new",
        "judge",
        "last",
        "queued",
        "stem",
        "swept",
    )

    def __init__(self, stem: str, after: Position) -> None:
        super().__init__()
        self.stem = stem
        #: Where it is to begin.
        self.after = after
        #: Begin with so many records before the end, instead.
        self.last: int | None = None
        #: Whether a file under the final name beside its WAL is done with.
        self.closed_before = False
        self.follower: Follower | None = None
        #: Whether it stands in the queue.
        self.queued = False
        #: Whether its first mark said that it may have ended.
        self.ending = False
        #: Whether a verdict is due when it meets its end.
        self.judge = True
        #: Whether its writer was found gone; it may come back.
        self.abandoned = False
        #: Whether its first record is the session's first sign of life.
        self.is_new = True
        #: The file's size and time when a sweep last saw it.
        self.swept = (0, 0)

    @property
    def session_id(self) -> UUID | None:
        """The header's id, else the one that the file is named after."""
        return self._session_id or stem_uuid(self.stem)

    @property
    def is_open(self) -> bool:
        """Whether it holds a descriptor."""
        return self.follower is not None and self.follower.reader.file.fd >= 0

    def begin(self, follower: Follower, position: Position) -> None:
        """Follow an open file from a position."""
        self.follower = follower
        self._begin(follower.reader, position)

    def put(self, batch: Batch, before: bytes) -> None:
        """Take a batch to hand over."""
        self._put(batch, before)

    def take_one(self) -> Record:
        """Hand one record over."""
        record = self._take_one()
        if not self._waiting:
            self._batch = None  # an idle lane holds no records
            self._header = None
        return record

    def take_rest(self) -> None:
        """Hand over all that wait."""
        self._take_rest()
        self._batch = self._header = None

    @property
    def waiting(self) -> int:
        """Records that wait to be handed over."""
        return self._waiting

    @property
    def at(self) -> Position:
        """Where the next record begins."""
        return self.position if self.follower is not None else self.after


def descriptor_limit() -> int:
    """Return how many session files may be open: the soft limit less what others need."""
    try:
        import resource  # noqa: PLC0415 - not on Windows

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    except (ImportError, OSError):
        return 200
    if soft == resource.RLIM_INFINITY:
        soft = 65536
    return max(4, soft - used - RESERVE_DESCRIPTORS)


def open_generation(
    wal: str, final: str, known: tuple[int, int]
) -> tuple[SessionFile | None, bool]:
    """Open the file that is known, under either name, blocking.

    Returns:
        The file, if it is there; and whether another one is.

    Raises:
        OSError: a file is there and cannot be opened.
    """
    others = False
    # The WAL again at the end: it is made anew when a closed session is reopened.
    for path in (wal, final, wal):
        file = _open_regular(path)
        if file is None:
            continue
        if file_key(file) == known:
            return file, others
        others = True
        file.close()
    return None, others


def open_generations(
    wal: str,
    final: str,
    ended: bytes | None,
) -> list[SessionFile]:
    """Open all files of a session that are not done with, the oldest first, blocking.

    Args:
        wal: one of its names.
        final: the other.
        ended: stands for the closed file that is done with.

    Raises:
        OSError: a file is there and cannot be opened.
    """
    files: list[SessionFile] = []
    # The final name again at the end: the WAL may be renamed in between.
    for path in (final, wal, final):
        file = _open_regular(path)
        if file is None or any(file_key(file) == file_key(other) for other in files):
            continue
        status = file.stat()
        if path == final and ended == ended_key(status.st_size, status.st_mtime_ns):
            continue
        files.append(file)
    return files


def _open_regular(path: str) -> SessionFile | None:
    try:
        return SessionFile(path)
    except OSError as error:
        # Not there, or no regular file: not a session.
        if error.errno in (errno.ENOENT, errno.EINVAL, errno.ELOOP, errno.ENXIO):
            return None
        raise


def file_key(file: SessionFile) -> tuple[int, int]:
    """Return (st_dev, st_ino): which file this is, whatever it is called."""
    status = file.stat()
    return status.st_dev, status.st_ino


def stem_uuid(stem: str) -> UUID | None:
    """Return the id that a file is named after; None where its name is no id."""
    try:
        return UUID(stem)
    except ValueError:
        return None

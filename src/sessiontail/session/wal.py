"""lines -> a WAL that one writer has open and locked, then its final name. Blocks: for threads.

The lock is an exclusive ``flock``, held from the open to the release; a line is one ``write``.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable

from sessiontail.errors import PersistenceError
from sessiontail.session.blocks import READ_BYTES
from sessiontail.system.flocks import lock, unlock
from sessiontail.system.paths import SessionPaths

__all__ = ["WalFile"]

_FLAGS = (
    os.O_RDWR
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)


def _no_gate(moment: str) -> None:
    pass


class WalFile:
    """The file that a writer writes.

    Args:
        paths: its name while it is written, and the one that it gets.
    """

    __slots__ = ("fd", "gate", "paths")

    def __init__(self, paths: SessionPaths) -> None:
        self.paths = paths
        #: Its descriptor; -1: not open.
        self.fd = -1
        #: Called with the name of each moment that a race could hit; tests act there.
        self.gate: Callable[[str], None] = _no_gate

    def __del__(self) -> None:
        self.release()

    @property
    def is_open(self) -> bool:
        """Whether it is open, and nobody else may write it."""
        return self.fd >= 0

    def open(self) -> None:
        """Open or create it, and lock it.

        Raises:
            SessionBusy: another writer holds it.
            PersistenceError: it is no regular file.
            OSError: it cannot be opened.
        """
        wal = self.paths.wal
        wal.parent.mkdir(parents=True, exist_ok=True)
        while True:
            self.fd = os.open(wal, _FLAGS, 0o600)
            if not stat.S_ISREG(os.fstat(self.fd).st_mode):
                raise PersistenceError("not a regular file", path=wal)
            self.gate("opened")
            lock(self.fd, wal)
            if self._has_name():
                return
            self.release()  # renamed or deleted before the lock was ours

    def read(self, offset: int) -> bytes:
        """Return some bytes from an offset on; none at the end."""
        return os.pread(self.fd, READ_BYTES, offset)

    def cut(self, size: int) -> None:
        """Drop what is behind so many bytes."""
        os.ftruncate(self.fd, size)

    def append(self, line: bytes) -> None:
        """Write a line at the end, whole or not at all.

        Raises:
            OSError: it cannot be written. The file is as it was; where not even that can be had
                it is released, and the next writer cuts it.
        """
        rest = memoryview(line)
        end = os.fstat(self.fd).st_size
        self.gate("writing")
        try:
            while rest:
                rest = rest[os.write(self.fd, rest) :]
        except OSError:
            try:
                self.cut(end)
            except OSError:
                self.release()
                raise
            raise

    def rename(self) -> None:
        """Give it its final name.

        Raises:
            PersistenceError: its name leads to another file, or to none.
            OSError: it cannot be renamed.
        """
        if not self._has_name():
            raise PersistenceError(
                "deleted or replaced while it was written: nothing is left to close",
                path=self.paths.wal,
            )
        if sys.platform == "win32":
            self.release()  # an open file cannot be renamed there
        self.paths.wal.replace(self.paths.final)

    def release(self) -> None:
        """Unlock and close it; again is no error."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            try:
                unlock(fd)
            finally:
                os.close(fd)

    def _has_name(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self.fd), self.paths.wal.lstat())
        except FileNotFoundError:
            return False

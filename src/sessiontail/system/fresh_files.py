"""bytes -> a file under a name, whole or not at all. Blocks: for threads.

They are written beside the target under a name that no listing takes, and renamed when all is there
and on the disk. What is killed in between leaves that file (``.sessiontail-*.part``) and nothing else.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from sessiontail.errors import PersistenceError, SessionBusy
from sessiontail.system.files import explain
from sessiontail.system.locks import LockTable
from sessiontail.system.renaming import rename_new
from sessiontail.system.stamps import FileId

__all__ = ["FreshFile"]

_PREFIX, _SUFFIX = ".sessiontail-", ".part"


class FreshFile:
    """A file that comes to be.

    Args:
        target: its name; a link is replaced by it, not followed.
        replace: whether a file of that name may go.
        source: what it is made from: never replaced.
        mode: its permission bits.

    Raises:
        PersistenceError: there is such a file and it may not go, or it is no file; the directory is
            not there or cannot be written.
        SessionBusy: somebody writes that file.
    """

    def __init__(
        self, target: Path, *, replace: bool, source: FileId | None = None, mode: int = 0o600
    ) -> None:
        self.target = target
        #: Bytes written so far.
        self.size = 0
        self._replace = replace
        self._fd = -1
        self._look(source)
        try:
            self._fd, name = tempfile.mkstemp(_SUFFIX, _PREFIX, target.parent)
        except FileNotFoundError as error:
            raise PersistenceError(
                "no such directory; make it first", path=target.parent
            ) from error
        except OSError as error:
            raise explain(error, target.parent) from error
        self._part = Path(name)
        try:
            os.fchmod(self._fd, mode)
        except OSError as error:
            self.discard()
            raise explain(error, target) from error

    def __del__(self) -> None:
        self.discard()

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            PersistenceError: they cannot be written: the disk is full.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            raise explain(error, self.target) from error
        self.size += len(data)

    def commit(self) -> None:
        """Give it its name; it is there now, whole.

        Raises:
            PersistenceError: it cannot be, or there is another file of that name by now.
        """
        try:
            os.fsync(self._fd)
            if self._replace:
                self._part.replace(self.target)
            else:
                rename_new(self._part, self.target)
        except FileExistsError as error:
            raise _exists(self.target) from error
        except OSError as error:
            raise explain(error, self.target) from error
        fd, self._fd = self._fd, -1
        os.close(fd)

    def discard(self) -> None:
        """Leave nothing; after ``commit`` it does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
            with suppress(OSError):
                self._part.unlink()

    def _look(self, source: FileId | None) -> None:
        """Refuse a target that is not to be replaced."""
        target = self.target
        try:
            found = target.lstat()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno == errno.ENOTDIR:
                raise PersistenceError("no directory", path=target.parent) from error
            raise explain(error, target) from error
        if stat.S_ISDIR(found.st_mode):
            raise PersistenceError("a directory; give the name of a file", path=target)
        if source is not None and FileId.of(found) == source:
            raise PersistenceError("the session's own file is never overwritten", path=target)
        if not stat.S_ISREG(found.st_mode):
            raise PersistenceError("no regular file; it is not replaced", path=target)
        if not self._replace:
            raise _exists(target)
        pid = LockTable.read().holder(found)
        if pid is not None:
            raise SessionBusy(f"process {pid} is writing it; it is not replaced", path=target)


def _exists(target: Path) -> PersistenceError:
    return PersistenceError(
        "there is such a file; --force, or force=True, replaces it", path=target
    )

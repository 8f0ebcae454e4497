"""open file -> ours to delete, or refused: the lease, the lock, the directory's turn.

A file is deleted only while nobody has it open for writing, and under the writer's own lock. The
lease, which tells the one, comes before the other: who opens the file meanwhile waits for the
lease, and so does not meet our lock, which would refuse it for good.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sessiontail.errors import PersistenceError, SessionBusy
from sessiontail.system.files import SessionFile
from sessiontail.system.mounts import filesystem_type
from sessiontail.system.paths import path_paths

__all__ = ["DirectoryBusy", "is_written", "lock", "refuse_writers", "release", "turn"]


_TURN_POLL_S = 0.0005


class DirectoryBusy(SessionBusy):
    """Another deletion has had the directory for all the time that was waited."""


if sys.platform == "win32":

    @contextmanager
    def turn(directory: Path, wait_s: float) -> Iterator[None]:  # noqa: ARG001 - as elsewhere
        """Windows puts nothing aside."""
        yield

    def lock(fd: int, path: Path) -> None:
        """Windows itself refuses to delete a file that is open."""

    def release(file: SessionFile) -> None:
        """Close it."""
        file.close()

    def refuse_writers(fd: int, path: Path) -> None:
        """Windows itself refuses to delete a file that is open."""

    def is_written(wal: Path) -> bool:  # noqa: ARG001 - as elsewhere
        """Windows has neither lease nor lock."""
        return False

else:
    import fcntl

    # A file system without locks, or one whose server has none to give. EBADF: NFS wants the file
    # open for writing, which would look like a writer.
    _SERVED = {"nfs", "nfs4", "cifs", "smb3"}
    _NO_LOCKS = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}

    @contextmanager
    def turn(directory: Path, wait_s: float) -> Iterator[None]:
        """Hold the directory against other deletions; the kernel lets go for who is killed."""
        try:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            yield  # absent, or not to be read: what follows says so
            return
        try:
            until_s = time.monotonic() + wait_s
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    # Not a blocking flock: a cancelled prune would wait for a stopped one.
                    if time.monotonic() >= until_s:
                        raise DirectoryBusy(
                            "another deletion in the directory does not end; it is kept",
                            path=directory,
                        ) from error
                    time.sleep(_TURN_POLL_S)
                except OSError:
                    break  # no locks on directories here (NFS): every rename is checked anyway
            yield
        finally:
            _unlock(fd)
            os.close(fd)

    def lock(fd: int, path: Path) -> None:
        """Take the writer's lock; the file is then nobody's.

        Raises:
            SessionBusy: somebody else has it.
            PersistenceError: it is a WAL, and this file system has no locks.
        """
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SessionBusy("another process holds it; it is kept", path=path) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            if error.errno == errno.EBADF:
                _let_go(fd)  # our own lease would stop us
                free = _lock_for_writing(path)
                refuse_writers(fd, path)
                if free:
                    return
            _refuse_unlockable(path, error)

    def _lock_for_writing(path: Path) -> bool:
        """Try the lock on NFS, where it is given to who may write; say whether it is free."""
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SessionBusy("another process holds it; it is kept", path=path) from error
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    def _refuse_unlockable(path: Path, error: OSError) -> None:
        # A closed file is not written: it needs no lock. Whether a WAL is, nobody can say.
        if path == path_paths(path).wal:
            raise PersistenceError(
                "this file system has no locks, so a writer would not show; it is kept: "
                "delete it by hand if nobody writes it",
                path=path,
            ) from error

    def release(file: SessionFile) -> None:
        """Let go of the lock and the lease, said: a forked child may still have the file."""
        if file.fd >= 0:
            _let_go(file.fd)
        file.close()

    def _let_go(fd: int) -> None:
        # The lock before the lease: a writer that waits for the lease locks as soon as it is gone.
        _unlock(fd)
        if sys.platform == "linux":
            with suppress(OSError):
                fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def _unlock(fd: int) -> None:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)

    def is_written(wal: Path) -> bool:
        """Say whether somebody has a WAL open for writing, or its lock."""
        try:
            file = SessionFile(wal)
        except OSError:
            return False
        try:
            written = _lease(file.fd, wal)
            if written is not None:
                return written  # without a lock, which a writer that is about to take it would meet
            fcntl.flock(file.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            release(file)
        return False

    def refuse_writers(fd: int, path: Path) -> None:
        """Take the lease: who opens the file for writing waits until it is let go."""
        if _lease(fd, path):
            raise SessionBusy("somebody has it open for writing", path=path)

    def _lease(fd: int, path: Path) -> bool | None:
        """Take a lease; say whether somebody has the file open for writing, None if none can."""
        # A read lease is given only while nobody has the file open for writing (fcntl(2)).
        if sys.platform != "linux":
            return None
        try:
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # SIGIO would end this process
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            # EACCES: another owner's; EINVAL: a file system without leases. The lock stands.
            # A server that delegates no lease says EAGAIN too, whoever has the file.
            if error.errno == errno.EAGAIN and filesystem_type(path.parent) not in _SERVED:
                return True
            return None
        return False

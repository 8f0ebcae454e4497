"""path -> bytes at an offset, without stalling the event loop.

Reads come from the page cache on the loop where the system can say that they will not block
(``RWF_NOWAIT``); everything else goes to a thread of our own, through aiofiles on asyncio.
Files are opened read-only, never followed through a symlink, never waited for (a FIFO), and only
if they are regular. The descriptor is closed at the latest when the object goes.
The only module that imports aiofiles.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from aiofiles.os import wrap
from anyio.lowlevel import RunVar

from sessiontail.errors import PersistenceError, SessionNotFound
from sessiontail.system.calls import Call
from sessiontail.system.mounts import mount_of
from sessiontail.system.objects import BucketObject
from sessiontail.system.signals import on_asyncio
from sessiontail.system.slices import NOWAIT, OPEN_FLAGS
from sessiontail.system.stamps import FileId
from sessiontail.system.threads import threads
from sessiontail.urls import as_path, is_url

__all__ = [
    "MAX_THREADS",
    "NOWAIT",
    "OPEN_FLAGS",
    "SessionFile",
    "change",
    "explain",
    "in_thread",
    "open_file",
]

# Four: 1,000 cold headers and trailers take 150 / 118 / 79 / 104 ms with 1 / 2 / 4 / 16 threads.
MAX_THREADS = 4

# 257 KiB: what a reader asks for at once, with the bytes that it compares.
_BUFFER_BYTES = 257 * 1024
_buffers = threading.local()

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")


class SessionFile:
    """An open session file, read at explicit offsets; or an object in a bucket, as it was listed.

    Args:
        path: the file, or a URL.
        cached: only if the kernel can look the name up without waiting for a disk.
        remote: whether any call on it may block, so that none is for the event loop.

    Raises:
        BlockingIOError: ``cached``, and it would have to wait, or cannot say.
        OSError: it cannot be opened, or is no regular file (``EINVAL``).
    """

    __slots__ = ("__weakref__", "_name", "_nowait", "_object", "fd", "remote")

    #: The descriptors of all that are open in this process.
    open_now: ClassVar[set[int]] = set()

    def __init__(self, path: Path | str, *, cached: bool = False, remote: bool = False) -> None:
        self.fd = -1
        self.remote = remote
        self._name = str(path)
        self._object: BucketObject | None = None
        if is_url(self._name):
            if cached:
                raise BlockingIOError(errno.EAGAIN, "in a bucket")
            self._object = BucketObject(self._name)
            self.remote, self._nowait = True, False
            return
        self.fd = _open_cached(path) if cached else os.open(path, OPEN_FLAGS)
        self.open_now.add(self.fd)
        self._nowait = NOWAIT is not None and not remote
        if not stat.S_ISREG(os.fstat(self.fd).st_mode):
            self.close()
            raise OSError(errno.EINVAL, "not a regular file", str(path))

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor; again is no error."""
        fd, self.fd = self.fd, -1
        if fd < 0:
            return
        self.open_now.discard(fd)
        if self.remote:  # there even this may hang
            with suppress(RuntimeError):  # no new threads while the program ends
                threads().submit_at(self.place, os.close, fd)
                return
        os.close(fd)

    @property
    def path(self) -> Path:
        """The name that it was opened by."""
        return as_path(self._name)

    @property
    def place(self) -> str:
        """Its directory, as a place for threads: what hangs with it hangs there."""
        return os.path.dirname(self._name)  # noqa: PTH120 - a tenth of the time, for every file

    def stat(self) -> os.stat_result:
        """Return the open file's status: where it is linked does not matter."""
        return os.fstat(self.fd) if self._object is None else self._object.status

    @property
    def id(self) -> FileId:
        """Which file this is."""
        return FileId.of(self.stat())

    @property
    def never_changes(self) -> bool:
        """Whether it is an object in a bucket: it stays as it is, or cannot be read any more."""
        return self._object is not None

    def look(self, offset: int, size: int, *, block: bool) -> bytes:
        """Return ``size`` bytes at ``offset``, fewer only at the end of the file.

        Args:
            offset: bytes from 0.
            size: bytes at most.
            block: whether it may wait: in a thread. On the event loop it may not.

        Raises:
            BlockingIOError: it would have to wait.
            OSError: the device failed, or the file is closed.
        """
        if block:
            return self.read_now(offset, size)
        data = self.read_cached(offset, size)
        # A short read can be the end of the page cache only; the size tells.
        if data is None or (len(data) < size and offset + len(data) < self.stat().st_size):
            raise BlockingIOError(errno.EAGAIN, "not in the page cache")
        return data

    async def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes at ``offset``, fewer only at the end of the file.

        Raises:
            OSError: the device failed, or the file is closed.
        """
        data = self.read_cached(offset, size)
        # A short read can be the end of the page cache only; the size tells.
        if data is None or (len(data) < size and offset + len(data) < self.stat().st_size):
            return await in_thread(self.read_now, offset, size, place=self.place)
        return data

    def read_cached(self, offset: int, size: int) -> bytes | None:
        """Return what the page cache has of these bytes; None where a read would block."""
        if not self._nowait:
            return None
        assert NOWAIT is not None
        # One buffer a thread: to clear a new one takes as long as to read into it.
        buffer = getattr(_buffers, "buffer", None)
        if buffer is None or len(buffer) < size:
            buffer = _buffers.buffer = memoryview(bytearray(max(size, _BUFFER_BYTES)))
        try:
            count = os.preadv(self.fd, [buffer[:size]], offset, NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                raise
            self._nowait = False  # this file system cannot say
            return None
        return bytes(buffer[:count])

    def read_now(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes at ``offset``, blocking: for threads."""
        if self._object is not None:
            return self._object.read(offset, size)
        return os.pread(self.fd, size, offset)

    def read_into(self, view: memoryview, offset: int) -> int:
        """Read into a buffer, blocking: for threads; return how many bytes that were."""
        if self._object is not None:
            return self._object.read_into(view, offset)
        return os.preadv(self.fd, [view], offset)


async def open_file(path: Path) -> SessionFile:
    """Open a session file: here if the kernel has the name at hand, else in a thread.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    place = os.path.dirname(path)  # noqa: PTH120 - a third of the time, for every file
    mount = await mount_of(place)
    try:
        if not mount.remote:
            return SessionFile(path, cached=True)
    except BlockingIOError:
        pass
    return await in_thread(partial(SessionFile, path, remote=mount.remote), place=place)


async def in_thread(function: Callable[[*_Args], _T], *args: *_Args, place: str = "") -> _T:
    """Run a function that only looks in a thread of ours.

    A cancelled caller goes at once; the thread's result is dropped.

    Args:
        function: what may block.
        args: of the function.
        place: what it would hang with: usually a directory, whose calls have their own bound.
    """
    if on_asyncio():
        result: _T = await wrap(function)(*args, executor=threads().at(place))
        return result
    return await Call(place, function, *args).wait()


async def change(function: Callable[[*_Args], _T], *args: *_Args) -> _T:
    """Run a function that changes something in a thread; a cancelled caller sees it end.

    Not among the threads that read: a lock that is waited for holds up nobody who reads.
    """
    return await anyio.to_thread.run_sync(function, *args, limiter=_changes())


_limiter: RunVar[anyio.CapacityLimiter] = RunVar("sessiontail_changes")


def _changes() -> anyio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(MAX_THREADS)
        _limiter.set(limiter)
        return limiter


def explain(error: OSError, path: Path) -> PersistenceError:
    """Return the error that the user reads for a failed system call."""
    if isinstance(error, FileNotFoundError):
        return SessionNotFound("no such session file", path=path)
    if isinstance(error, PermissionError):
        return PersistenceError("permission denied: look at its owner and mode", path=path)
    if error.errno == errno.ELOOP:
        return PersistenceError("a symbolic link; give the file that it points to", path=path)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return PersistenceError("too many open files: raise `ulimit -n`", path=path)
    return PersistenceError(error.strerror or str(error), path=path)


if sys.platform == "linux":
    import ctypes

    class _OpenHow(ctypes.Structure):
        """``struct open_how`` of openat2(2)."""

        _fields_ = (
            ("flags", ctypes.c_uint64),
            ("mode", ctypes.c_uint64),
            ("resolve", ctypes.c_uint64),
        )

    _SYS_OPENAT2 = 437  # the same on every architecture
    _AT_FDCWD = -100
    _RESOLVE_CACHED = 0x20  # since Linux 5.12: EAGAIN where the lookup would block
    _how = _OpenHow(OPEN_FLAGS, 0, _RESOLVE_CACHED)
    _syscall = ctypes.CDLL(None, use_errno=True).syscall

    def _open_cached(path: Path | str) -> int:
        name = os.fsencode(path)
        if b"\0" in name:
            raise ValueError("embedded null byte")
        size = ctypes.sizeof(_how)
        fd: int = _syscall(_SYS_OPENAT2, _AT_FDCWD, name, ctypes.byref(_how), size)
        if fd >= 0:
            return fd
        code = ctypes.get_errno()
        if code in _CANNOT_SAY:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(path))
        raise OSError(code, os.strerror(code), str(path))

    # An older kernel, or a sandbox that does not know the call.
    _CANNOT_SAY = {errno.EAGAIN, errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EINTR}

else:

    def _open_cached(path: Path | str) -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(path))

"""a file of a mirror -> how much of it is what came; its whole lines; another one in its place.

All of it blocks: for threads.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sessiontail.errors import PersistenceError
from sessiontail.relay.entries import Hole
from sessiontail.relay.journal import UNFINISHED
from sessiontail.system.flocks import lock

__all__ = ["cut_torn", "put_new", "same_lines"]

_READ_BYTES = 1024 * 1024


def same_lines(path: Path, at: int, lines: Sequence[bytes | Hole]) -> tuple[int, int]:
    """Return how many lines a file has from an offset on, and the offset behind them."""
    same = 0
    with path.open("rb") as file:
        for line in lines:
            file.seek(at)
            if isinstance(line, bytes):
                length, equal = len(line), file.read(len(line)) == line
            else:
                length, equal = line.length, file.read(len(line.head)) == line.head
                file.seek(at + length - len(line.tail))
                equal = equal and file.read(len(line.tail)) == line.tail
            if not equal:
                break
            at += length
            same += 1
    return same, at


def cut_torn(path: Path) -> int:
    """Cut off what is behind the last newline: a mirror was killed there; return the lines."""
    lines = size = end = 0
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(fd, "r+b") as file:
        while data := file.read(_READ_BYTES):
            lines += data.count(b"\n")
            last = data.rfind(b"\n")
            end = end if last < 0 else size + last + 1
            size += len(data)
        if end < size:
            file.truncate(end)
    return lines


def put_new(name: Path, path: Path | None, size: int) -> int:
    """Put a new file under a name, in one step; return its descriptor, open to append, and locked.

    Args:
        name: which.
        path: whose first bytes it has; None: it is empty.
        size: how many of them.

    Raises:
        OSError, PersistenceError: it cannot be written; nothing has changed.
    """
    new = name.with_name(f".{os.getpid()}{UNFINISHED}")
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(new, flags, 0o600)
    try:
        lock(fd, new)
        if path is not None:
            _copy(path, fd, size)
        new.rename(name)
    except BaseException:
        os.close(fd)
        new.unlink(missing_ok=True)
        raise
    return fd


def _copy(path: Path, fd: int, size: int) -> None:
    """Write the first bytes of a file to another one."""
    with path.open("rb") as file:
        while size:
            data = memoryview(file.read(min(size, _READ_BYTES)))
            if not data:
                raise PersistenceError("it was cut while it was copied", path=path)
            size -= len(data)
            while data:
                data = data[os.write(fd, data) :]

"""path -> the meta of a file that is as the real writer leaves it, in half the time.

15 us where ``summary``, which takes whatever there is, takes 35. Blocks, but not for a disk.
"""

from __future__ import annotations

import os
import stat
import threading

from sessiontail.format.records import Trailer
from sessiontail.format.usual import usual_header, usual_trailer
from sessiontail.session.counting import counted_before
from sessiontail.session.ends import END_BYTES
from sessiontail.session.known import keep
from sessiontail.session.meta import PersistedSessionMeta, as_meta
from sessiontail.system.files import NOWAIT, OPEN_FLAGS
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import WAL_ENDING

__all__ = ["usual_meta"]

_NEWLINE = 0x0A


class _Buffers(threading.local):
    """Where a thread reads a file's two ends into."""

    def __init__(self) -> None:
        self.head = bytearray(END_BYTES)
        self.tail = bytearray(END_BYTES)


_buffers = _Buffers()


def usual_meta(path: str, locks: LockTable) -> PersistedSessionMeta | None:
    """Read the meta of a file in the page cache that is as the real writer leaves it; else None.

    A closed one, or a WAL that was counted before. 15 us where ``_meta``, which takes whatever
    there is, takes 35.
    """
    if NOWAIT is None:
        return None
    head, tail = _buffers.head, _buffers.tail
    try:
        fd = os.open(path, OPEN_FLAGS)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            return None
        brief = counted_before(status, size) if path.endswith(WAL_ENDING) else None
        got = os.preadv(fd, [head], 0, NOWAIT)
        if got != min(size, END_BYTES):
            return None
        if got == size:
            tail, end = head, size
        else:
            end = got if brief else os.preadv(fd, [tail], size - END_BYTES, NOWAIT)
            if end != END_BYTES:
                return None
    except OSError:
        return None
    finally:
        os.close(fd)
    body = head.find(b"\n", 0, got) + 1
    header = usual_header(head[:body]) if body else None
    if header is None:
        return None
    if brief is None:
        trailer = _last_line(tail, end, size, body)
        if trailer is None or (chunks := trailer.final_chunk_count) is None or chunks < 0:
            return None
        meta = as_meta(path, status, size, header, trailer, chunks, locks)
    else:
        meta = as_meta(
            path, status, size, header, brief.trailer, brief.chunks, locks, brief.torn_bytes
        )
    keep(meta, status)
    return meta


def _last_line(tail: bytearray, end: int, size: int, body: int) -> Trailer | None:
    """Take the trailer that ends a file; None where the last line is none.

    Args:
        tail: the file's last bytes: begins with them, and may hold others behind.
        end: how many they are.
        size: the file's.
        body: where in the file its header ends.
    """
    first = max(0, body - (size - end))
    last = tail.rfind(b"\n", first, end - 1) + 1
    if not last and size - end + first == body:
        last = first  # directly behind the header
    if not last or tail[end - 1] != _NEWLINE:
        return None
    return usual_trailer(tail[last:end])

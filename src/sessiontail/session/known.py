"""path -> what was read of the file before, for as long as its device, inode, size and times stay.

The last 10,000 to 20,000 files are kept in a process, some 1 KB each.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TypeAlias

from sessiontail.session.meta import PersistedSessionMeta, with_state
from sessiontail.system.kept import Kept
from sessiontail.system.locks import LockTable
from sessiontail.system.stamps import OLD_NS, SETTLED_S, FileId
from sessiontail.system.statuses import status_of

__all__ = ["forget", "keep", "keep_proven", "known_meta", "unknown_among"]


# What was read of a file; its change time; when these times were first seen, on the monotonic
# clock; and whether that was long enough before it was read. A plain tuple: made for every file.
_Known: TypeAlias = tuple[PersistedSessionMeta, int, float, bool]


#: By path.
_known: Kept[str, _Known] = Kept(10_000)


def forget() -> None:
    """Forget what was read of files: the next listing reads them all again."""
    _known.clear()


def unknown_among(paths: Iterable[str]) -> int:
    """Return how many of these files were not read in this process lately."""
    return sum(_known.get(path) is None for path in paths)


def known_meta(path: str, locks: LockTable) -> PersistedSessionMeta | None:
    """Return what was read before of a file that has not changed since."""
    known = _known.get(path)
    if known is None or not known[3]:
        return None
    try:
        status = status_of(path)
    except OSError:
        return None
    if not _same(known, status):
        return None
    return with_state(known[0], status, locks)


def _same(known: _Known, status: os.stat_result) -> bool:
    meta = known[0]
    return (
        status.st_ctime_ns == known[1]
        and status.st_size == meta.size_bytes
        and status.st_mtime_ns == meta.mtime_ns
        and FileId.of(status) == meta.file_id
    )


def keep(meta: PersistedSessionMeta, status: os.stat_result) -> None:
    """Keep what was just read of a file that had this status before."""
    if status.st_size != meta.size_bytes:
        return  # it is being created
    ctime_ns = status.st_ctime_ns
    if time.time_ns() - ctime_ns >= OLD_NS:
        _known.put(meta.file, (meta, ctime_ns, 0.0, True))
        return
    now_s = time.monotonic()
    before = _known.get(meta.file)
    since_s = before[2] if before is not None and _same(before, status) else now_s
    _known.put(meta.file, (meta, ctime_ns, since_s, now_s - since_s >= SETTLED_S))


def keep_proven(meta: PersistedSessionMeta, status: os.stat_result) -> None:
    """Keep what is proven to be in a file that has this status."""
    _known.put(meta.file, (meta, status.st_ctime_ns, 0.0, True))

"""directory -> what lies in it now, and what differs from the survey before.

A survey is the look that no event asked for. It works in a thread and hands over only differences,
so that thousands of quiet sessions cost the event loop nothing.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from sessiontail.system.files import explain
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import WAL_ENDING, split_name, stem_paths
from sessiontail.system.stamps import FileId

__all__ = ["Seen", "Survey", "is_text", "look_around", "survey"]


class Seen(NamedTuple):
    """What was seen of a session: of its WAL; of the final name where there is none."""

    id: FileId
    size: int
    mtime_ns: int
    is_wal: bool
    #: Whether the final name is there too.
    both: bool = False
    #: Size and time of another file under that.
    closed: tuple[int, int] | None = None


class Survey(NamedTuple):
    """What a look at a directory found."""

    #: Which the directory itself is.
    directory: FileId
    #: Everything by stem; empty unless asked for.
    seen: dict[str, Seen]
    #: Stem to a mark of all that was seen of it, for the next survey.
    marks: dict[str, int]
    #: What differs from the survey before -> whether it may have ended, not only grown.
    changed: dict[str, bool]
    #: What of that is longer than before, or new.
    grown: set[str]
    #: Stems of WALs that nobody holds; None where the lock table was not looked at.
    unheld: set[str] | None
    #: Seconds of a processor that it took: a server that lets us wait takes none.
    cost_s: float


def survey(
    directory: Path,
    stems: Collection[str],
    before: dict[str, int],
    *,
    whole: bool,
    locks_due: bool,
    wanted: bool,
    doubtful: bool = True,
) -> Survey | None:
    """Look at a directory and compare with the survey before, blocking; None where it is absent.

    Args:
        directory: where to look.
        stems: sessions that somebody follows, whether or not they are there.
        before: the marks of the survey before.
        whole: whether to look at everything, not only at these.
        locks_due: whether to look who holds the WALs.
        wanted: whether to return all that was seen.
        doubtful: whether to look again at what is too fresh for its time to tell.

    Raises:
        PersistenceError: it cannot be read.
    """
    began_s = time.thread_time()
    try:
        status = directory.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise explain(error, directory) from error
    now_ns = time.time_ns() if doubtful else 0
    seen = look_around(directory) if whole else _look_at(directory, stems)
    if seen is None:
        return None
    marks: dict[str, int] = {}
    changed: dict[str, bool] = {}
    grown: set[str] = set()
    for stem, found in seen.items():
        mark = marks[stem] = _mark(found, now_ns)
        known = before.get(stem)
        if known is None or known <= _VANISHED:
            changed[stem] = False
            grown.add(stem)
        elif (known | _FRESH) == (mark | _FRESH):
            # What was fresh at the last look may have changed since without another time or size.
            if known & _FRESH:
                changed[stem] = False
        else:
            longer = found.size > known >> _SIZE_SHIFT and not (known ^ mark) & _FILE_BITS
            changed[stem] = not longer
            if longer:
                grown.add(stem)
    for stem, mark in before.items():
        if mark != _ABSENT and stem not in marks:
            changed[stem] = True
            if mark != _VANISHED:
                marks[stem] = _VANISHED
    for stem in stems:
        if stem not in marks:
            marks[stem] = _ABSENT
            if stem not in before:
                changed[stem] = True
    unheld = None
    if locks_due:
        locks = LockTable.read()
        if locks.known:
            unheld = {
                stem for stem, found in seen.items() if found.is_wal and not locks.holds(found.id)
            }
    cost_s = time.thread_time() - began_s
    return Survey(FileId.of(status), seen if wanted else {}, marks, changed, grown, unheld, cost_s)


# Of a mark: size, whether it is fresh, which file, when it changed. 44 bytes a session instead of
# 250.
_SIZE_SHIFT = 65
# Its time is still that of now for the clock of a file system, which goes by hundredths of a
# second: what comes behind it may have the same.
_FRESH = 1 << 64
_FRESH_NS = 20_000_000
_FILE_BITS = 0xFFFFFFFF << 32
# There is no file: nor was there before; or there was, and it is told once more. A file that is
# renamed while names are read is under neither; who is told so looks, finds it, and is not told
# when it is gone.
_ABSENT = 0
_VANISHED = 1


def _mark(found: Seen, now_ns: int) -> int:
    file = hash((found.id, found.is_wal)) & 0xFFFFFFFF
    changed = max(hash(found.mtime_ns) & 0xFFFFFFFF, _VANISHED + 1)
    mark = found.size << _SIZE_SHIFT | file << 32 | changed
    return mark | _FRESH if abs(now_ns - found.mtime_ns) < _FRESH_NS else mark


def look_around(directory: Path) -> dict[str, Seen] | None:
    """Return what lies in a directory by stem, blocking; None where it is absent.

    Raises:
        PersistenceError: it cannot be read.
    """
    seen: dict[str, Seen] = {}
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                split = split_name(entry.name)
                if split is None:
                    continue
                stem, is_wal = split
                known = seen.get(stem)
                if not is_text(stem):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # renamed or gone since
                if not stat.S_ISREG(status.st_mode):
                    continue
                found = _seen(status, is_wal=is_wal)
                seen[stem] = found if known is None else _both(known, found)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise explain(error, directory) from error
    return seen


def _look_at(directory: Path, stems: Collection[str]) -> dict[str, Seen]:
    seen: dict[str, Seen] = {}
    for stem in stems:
        for name in stem_paths(stem, directory).newest_first:
            try:
                status = os.lstat(name)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                seen[stem] = _seen(status, is_wal=name.endswith(WAL_ENDING))
                break
    return seen


def _seen(status: os.stat_result, *, is_wal: bool) -> Seen:
    return Seen(FileId.of(status), status.st_size, status.st_mtime_ns, is_wal)


def _both(one: Seen, other: Seen) -> Seen:
    """Return the WAL of two files of a session; one file under both names is being closed."""
    wal, final = (one, other) if one.is_wal else (other, one)
    closed = None if wal.id == final.id else (final.size, final.mtime_ns)
    return wal._replace(both=True, closed=closed)


def is_text(stem: str) -> bool:
    """Say whether a cursor, which is text, can hold a name; a session has no other."""
    try:
        stem.encode()
    except UnicodeEncodeError:
        return False
    return True

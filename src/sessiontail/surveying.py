"""directory -> what lies in it now, and what differs from the survey before.

A survey is the look that no event asked for. It works in a thread and hands over only differences,
so that thousands of quiet sessions cost the event loop nothing.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from sessiontail.cursor import fingerprint
from sessiontail.files import explain
from sessiontail.holders import LockTable
from sessiontail.layout import split_name

__all__ = ["Seen", "Survey", "ended_key", "is_text", "look_around", "survey"]


class Seen(NamedTuple):
    """What one sweep saw under a stem."""

    #: (st_dev, st_ino), st_size and st_mtime_ns of the WAL; of the final name where there is none.
    key: tuple[int, int]
    size: int
    mtime_ns: int
    is_wal: bool


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
                if (not is_wal and stem in seen) or not is_text(stem):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # renamed or gone since
                if stat.S_ISREG(status.st_mode):
                    key = (status.st_dev, status.st_ino)
                    seen[stem] = Seen(key, status.st_size, status.st_mtime_ns, is_wal)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain(error, directory) from error
    return seen


class Survey(NamedTuple):
    """What a sweep found."""

    #: Stem to a hash of all that was seen of it.
    marks: dict[str, int]
    #: What differs from the sweep before.
    changed: dict[str, Seen]
    #: Stems of WALs that nobody holds, where ``locks`` were looked at.
    unheld: list[str]
    locks: LockTable | None


def survey(directory: Path, before: dict[str, int], locks_due: bool) -> Survey | None:  # noqa: FBT001 - passed through a thread
    """Look at a directory and compare with the sweep before, blocking; None where it is absent.

    It works in a thread, so that thousands of quiet sessions cost the event loop nothing.

    Raises:
        PersistenceError: it cannot be read.
    """
    seen = look_around(directory)
    if seen is None:
        return None
    marks = {stem: hash(found) for stem, found in seen.items()}
    changed = {stem: seen[stem] for stem, mark in marks.items() if before.get(stem) != mark}
    if not locks_due:
        return Survey(marks, changed, [], None)
    locks = LockTable.read()
    unheld = [stem for stem, found in seen.items() if found.is_wal and not locks.holds(found.key)]
    return Survey(marks, changed, unheld, locks)


def ended_key(size: int, mtime_ns: int) -> bytes:
    """Return 8 bytes that stand for a finished file, as long as nobody changes it."""
    return fingerprint(b"%d %d" % (size, mtime_ns))


def is_text(stem: str) -> bool:
    """Say whether a cursor, which is text, can hold a name; a session has no other."""
    try:
        stem.encode()
    except UnicodeEncodeError:
        return False
    return True

"""names -> metas, many in one hop into a thread. Blocks: for threads.

One thread reads while the page cache has the files, because more would only wait for each other
(17 ms with 1 and 57 ms with 16 threads for 1,000 warm files); once it does not, several do, and
each asks for the next files before it waits for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sessiontail.directory.names import all_names, prefix_of, sessions_among
from sessiontail.directory.remembered import Remembered
from sessiontail.directory.skipping import untold
from sessiontail.errors import PersistenceError, SessionNotFound
from sessiontail.session.asides import left_aside
from sessiontail.session.ends import END_BYTES
from sessiontail.session.glance import usual_meta
from sessiontail.session.known import known_meta
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.session.summary import Detail, read_and_keep
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import WAL_ENDING
from sessiontail.system.readahead import ask_for
from sessiontail.urls import is_url

__all__ = [
    "FILES_PER_HOP",
    "MAX_FILES_PER_HOP",
    "First",
    "Found",
    "begin_scan",
    "end_scan",
    "read_metas",
]


# Files a hop into a thread: cold ones, and warm ones. A hop takes 200 us, on a busy machine 1 ms,
# a warm file 15 us; and who takes the metas, thousands at once, holds the loop for some us each.
FILES_PER_HOP = 64


MAX_FILES_PER_HOP = 1024


# Files that are asked for before the first of them is waited for.
_FILES_AHEAD = 16


class Found(NamedTuple):
    """What one hop found."""

    metas: list[PersistedSessionMeta]
    skipped: list[PersistenceError]
    #: Names that it took.
    taken: int
    #: Files whose ends were not in the page cache.
    cold: int
    #: Those of ``skipped`` that nobody was warned of.
    untold: Sequence[PersistenceError] = ()


class First(NamedTuple):
    """What the first hop found."""

    #: Of the files, the first one last.
    names: list[str]
    #: As if nobody held them.
    found: Found
    #: None where more files are to be read first.
    left_aside: list[PersistenceError] | None
    #: Those of ``left_aside`` that nobody was warned of.
    untold: Sequence[PersistenceError] = ()


def begin_scan(directory: Path, detail: Detail, earlier: Remembered | None = None) -> First:
    """Read the names in a directory and the first metas, as if nobody held a file."""
    everything = all_names(directory)
    names = sessions_among(everything)
    if earlier is not None:
        earlier.recall(names)
    names.reverse()
    size = FILES_PER_HOP if detail is Detail.RECORDS else MAX_FILES_PER_HOP
    first = names[: -size - 1 : -1]
    found = read_metas(directory, iter(first), NOBODY, detail, ahead=False, earlier=earlier)
    if found.taken < len(names):
        return First(names, found, None)
    hidden = any(name.startswith(".") for name in everything)
    return First(names, found, *end_scan(directory, earlier, hidden=hidden))


def end_scan(
    directory: Path, earlier: Remembered | None = None, *, hidden: bool = True
) -> tuple[list[PersistenceError], Sequence[PersistenceError]]:
    """Keep what was read, and look for what a deletion that was killed has left.

    Args:
        directory: where the files lie.
        earlier: keeps it, if any does.
        hidden: whether there may be such a thing.

    Returns:
        What is left, and what of it nobody was warned of.
    """
    if earlier is not None:
        earlier.keep()
    errors = left_aside(directory) if hidden else []
    return errors, untold(errors) or ()


#: No file is held.
NOBODY = LockTable(b"")


def read_metas(
    directory: Path,
    names: Iterator[str],
    locks: LockTable,
    detail: Detail,
    ahead: bool,  # noqa: FBT001 - passed through a thread
    *,
    earlier: Remembered | None = None,
) -> Found:
    """Read metas, blocking.

    Args:
        directory: where the files lie.
        names: of the files; may be shared with other threads.
        locks: for their states.
        detail: as for ``read_meta``.
        ahead: the files are cold: ask for the next ones before waiting for the first; else give
            up once they turn out to be.
        earlier: what earlier processes have read, if that is asked for.
    """
    metas: list[PersistedSessionMeta] = []
    skipped: list[PersistenceError] = []
    taken = cold = 0
    anew = detail is Detail.RECORDS
    prefix = prefix_of(directory)
    while some := [prefix + name for name in islice(names, _FILES_AHEAD)]:
        asked = (ahead or is_url(prefix)) and not anew
        if asked and ask_for(some, END_BYTES):
            cold += len(some)
        for path in some:
            meta = None if anew else known_meta(path, locks)
            if meta is None and earlier is not None:
                meta = earlier.meta(path, locks)
            if meta is not None:
                metas.append(meta)
                continue
            meta = None if anew else usual_meta(path, locks)
            if meta is not None:
                metas.append(meta)
                if earlier is not None:
                    earlier.note(meta)
                continue
            # A WAL may have been renamed since the directory was read.
            for candidate in {path: None, path.removesuffix(WAL_ENDING): None}:
                try:
                    meta, cached = read_and_keep(candidate, locks, detail=detail)
                except SessionNotFound:
                    continue
                except PersistenceError as error:
                    skipped.append(error)
                    break
                metas.append(meta)
                if earlier is not None:
                    earlier.note(meta)
                cold += not (cached or asked)
                break
        taken += len(some)
        if not (ahead or anew) and cold * 2 > len(some) and cold * 10 > taken:
            break
    return Found(metas, skipped, taken, cold, untold(skipped) or ())

"""a session's two names -> the file that is meant, open.

A session's file is its WAL while it is written and has its final name once it is closed; the
rename keeps the inode. Where a closed session was opened again, both are there: the closed file is
the earlier generation, the WAL the later. Without a position the order in which the names are looked
at is the answer, and ``SessionPaths`` has it; which file the position of one session means, is decided
here, and of a directory's in ``directory.opening``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from sessiontail.errors import CursorInvalid, PersistenceError, SessionNotFound
from sessiontail.format.cursor import Position
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.session.before_end import position_before_end
from sessiontail.session.ending import Where
from sessiontail.session.reader import FileReader
from sessiontail.system.files import SessionFile, explain
from sessiontail.system.paths import SessionPaths
from sessiontail.system.stamps import FileId, id_of_name
from sessiontail.system.stats import StoreStats
from sessiontail.urls import as_path, is_url

__all__ = [
    "Again",
    "Fitting",
    "find_again",
    "no_file",
    "not_found",
    "open_all",
    "open_fitting",
    "open_only",
    "place_of",
]

# Not there, or no regular file: not a session.
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.ELOOP, errno.ENXIO)


def place_of(
    paths: SessionPaths, file: FileId, between: Callable[[], object] = lambda: None
) -> tuple[Where, bool]:
    """Return where an open file is found, and whether another file has one of its names. Blocks.

    Args:
        paths: its names.
        file: which it is.
        between: called between the two looks, by tests.
    """
    wal_name, final_name = paths.spelled
    # The WAL's name first: a rename in between is then seen under the final name.
    wal = id_of_name(wal_name)
    if wal == file:
        return "wal", False
    between()
    final = id_of_name(final_name)
    if final == file:
        return "final", wal is not None
    return "nowhere", wal is not None or final is not None


class Again(NamedTuple):
    """What is found under the names of a file that was closed meanwhile."""

    #: The file; None: it has none of them.
    file: SessionFile | None
    #: Whether another file has one of them.
    others: bool


def find_again(paths: SessionPaths, wanted: FileId, *, cached: bool, remote: bool) -> Again:
    """Open the file again that a reader had.

    Args:
        paths: its names.
        wanted: which it was.
        cached: only if the kernel has the names at hand.
        remote: whether any call on it may block.

    Raises:
        BlockingIOError: ``cached``, and it has not.
        OSError: a file is there and cannot be opened.
    """
    others = False
    for name in paths.newest_first:
        file = _open_regular(name, cached=cached, remote=remote)
        if file is None:
            continue
        if file.id == wanted:
            return Again(file, others)
        others = True
        file.close()
    return Again(None, others)


def open_all(
    paths: SessionPaths, *, is_done: Callable[[SessionFile], bool], remote: bool
) -> list[SessionFile]:
    """Open all files of a session, the earlier generation first. Blocks.

    Args:
        paths: its names.
        is_done: says of a closed file that it is done with, so that it is left out.
        remote: whether any call on them may block.

    Raises:
        OSError: a file is there and cannot be opened.
    """
    files: list[SessionFile] = []
    final = paths.oldest_first[0]
    try:
        for name in paths.oldest_first:
            file = _open_regular(name, remote=remote)
            if file is None or any(file.id == other.id for other in files):
                continue
            files.append(file)
            if name == final and is_done(file):
                files.pop().close()
    except BaseException:
        for file in files:
            file.close()
        raise
    return files


def open_only(paths: SessionPaths, *, seen: tuple[FileId, bool] | None) -> SessionFile | None:
    """Open the one file of a session where the kernel has all that is asked at hand.

    Args:
        paths: its names.
        seen: which file a survey saw under one of them, and whether that was the WAL's; None: no
            survey saw it.

    Raises:
        BlockingIOError: it has not; or there is more than one file, or another.
        OSError: it cannot be opened.
    """
    wal, final = paths.spelled
    try:
        file = SessionFile(wal if seen is None or seen[1] else final, cached=True)
    except FileNotFoundError:
        if seen is None and id_of_name(final) is None:
            return None
        raise BlockingIOError(errno.EAGAIN, "renamed since") from None
    except OSError as error:
        if error.errno in _NO_FILE:
            raise BlockingIOError(errno.EAGAIN, "no regular file") from None
        raise
    alone = id_of_name(final) is None if seen is None else file.id == seen[0]
    if not alone:
        file.close()
        raise BlockingIOError(errno.EAGAIN, "several generations")
    return file


class Fitting(NamedTuple):
    """A file, open where it is to be read from."""

    reader: FileReader
    position: Position


def open_fitting(
    names: Sequence[str],
    after: Position,
    *,
    last: int | None = None,
    whole: bool,
    max_line_bytes: int = MAX_LINE_BYTES,
    stats: StoreStats | None = None,
    remote: bool,
    block: bool,
) -> Fitting | None:
    """Open the first of these that exists and that a position fits; None where none exists.

    Of two generations of a session, the one that the cursor was taken from is thereby found.

    Args:
        names: the files, in the order in which they are tried.
        after: where to go on.
        last: begin so many lines before the end instead.
        whole: False reads up to the end that the file has now.
        max_line_bytes: a longer line is one ``Damage``.
        stats: counts into these.
        remote: whether any call may block.
        block: whether this one may.

    Raises:
        BlockingIOError: it would have to wait, and ``block`` is False.
        CursorInvalid: the position fits none of them.
        PersistenceError: one of them cannot be read.
    """
    if remote and not block:
        raise BlockingIOError(errno.EAGAIN, "on another machine")
    misfit: PersistenceError | None = None
    for name in names:
        try:
            file = SessionFile(name, cached=not block, remote=remote)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except BlockingIOError:
            raise
        except OSError as error:
            misfit = misfit or no_file(error, as_path(name))
            continue
        try:
            limit = None if whole else file.stat().st_size
            reader = FileReader(file, max_line_bytes=max_line_bytes, limit=limit, stats=stats)
            position = after if last is None else _before_end(file, last, limit, block=block)
            reader.resume(position, block=block)
        except BlockingIOError:
            file.close()
            raise
        except CursorInvalid as error:
            file.close()
            misfit = misfit or error
            continue
        except OSError as error:
            file.close()
            raise explain(error, as_path(name)) from error
        return Fitting(reader, position)
    if misfit is not None:
        raise misfit
    return None


def _before_end(file: SessionFile, last: int, limit: int | None, *, block: bool) -> Position:
    if not block:
        raise BlockingIOError(errno.EAGAIN, "to be searched from its end")
    return position_before_end(file, last, limit)


def no_file(error: OSError, path: Path) -> PersistenceError:
    """Return the error for what is no regular file; raise it for a file that cannot be read."""
    explained = explain(error, path)
    # A name can be too long for a WAL, and not for a closed file.
    if error.errno not in (errno.EINVAL, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG):
        raise explained from error
    return explained


def not_found(names: Sequence[str]) -> SessionNotFound:
    """Return the error for a session of which no file exists. Blocks."""
    paths = [as_path(name) for name in dict.fromkeys(names)]
    directory = paths[0].parent
    if not (is_url(str(directory)) or os.path.isdir(directory)):  # noqa: PTH112 - Path.is_dir() raises for a long name
        return SessionNotFound("no such directory; give the one where sessions lie", path=directory)
    if len(paths) == 1:
        return SessionNotFound("no such session file", path=paths[0])
    either = " nor ".join(path.name for path in paths)
    return SessionNotFound(f"no such session: neither {either}", path=directory)


def _open_regular(name: str, *, cached: bool = False, remote: bool) -> SessionFile | None:
    try:
        return SessionFile(name, cached=cached, remote=remote)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise

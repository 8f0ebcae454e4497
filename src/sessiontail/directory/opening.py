"""a lane -> the file that it is to follow, open, and the position in it."""

from __future__ import annotations

import errno
import logging
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sessiontail.directory.lane import Lane
from sessiontail.errors import CursorInvalid
from sessiontail.format.cursor import START, Position
from sessiontail.format.ended import EndedSessions, content_print, ended_key
from sessiontail.format.lifecycle import Outcome
from sessiontail.format.marks import WINDOW_BYTES
from sessiontail.session.before_end import position_before_end
from sessiontail.session.ending import LookAgain
from sessiontail.session.follower import Follower
from sessiontail.session.generations import find_again, open_all, open_only
from sessiontail.session.reader import FileReader
from sessiontail.session.sieve import Find, Sieve
from sessiontail.system.calls import Call
from sessiontail.system.files import SessionFile
from sessiontail.system.paths import SessionPaths
from sessiontail.system.stamps import id_of_name
from sessiontail.system.stats import StoreStats

logger = logging.getLogger("sessiontail")

__all__ = [
    "Opened",
    "Reopened",
    "close_what_came",
    "key_of",
    "open_lane",
    "reopen_lane",
    "verdict_on",
]


class Opened(NamedTuple):
    """What was found when a lane was to be opened."""

    #: None: there is nothing to follow.
    follower: Follower | None
    position: Position
    #: Whether a file is there that is done with.
    done: bool


def open_lane(
    lane: Lane,
    directory: Path,
    *,
    ended: bytes | None,
    find: Find | None = None,
    max_line_bytes: int,
    stats: StoreStats,
    remote: bool,
    block: bool,
) -> Opened:
    """Open the generation that a lane is to begin with.

    Of two, the closed one comes first, unless it is done with: the other follows it.

    Raises:
        BlockingIOError: that would have to wait, and ``block`` is False.
        OSError: a file is there and cannot be opened or read.
    """
    paths = lane.paths(directory)
    if block:
        files = open_all(paths, is_done=partial(_is_done, ended=ended), remote=remote)
    else:
        files = _open_at_hand(lane, paths, known=ended is not None, remote=remote)
    if not files:
        return Opened(None, START, id_of_name(paths.spelled[1]) is not None)
    try:
        readers = [FileReader(file, max_line_bytes=max_line_bytes, stats=stats) for file in files]
        position, reader = _place(lane, readers, block=block)
        if find is not None:
            reader.sieve = Sieve(find, paths.oldest_first, reader.file.id, finite=False)
        follower = Follower(paths, reader, position)
    except BaseException:
        for file in files:
            file.close()
        raise
    for file in files:
        if file is not reader.file:
            file.close()
    return Opened(follower, position, done=False)


def _place(lane: Lane, readers: list[FileReader], *, block: bool) -> tuple[Position, FileReader]:
    """Return where a lane begins, and the reader that stands there."""
    if lane.last is not None:
        if not block:
            raise BlockingIOError(errno.EAGAIN, "to be searched from its end")
        # Of two, the one that was seen; before the end that it had when this began.
        seen = lane.seen
        reader = next((r for r in readers if seen and r.file.id == seen.id), readers[-1])
        end = seen.size if seen is not None and reader.file.id == seen.id else None
        positions = [(position_before_end(reader.file, lane.last, end), reader)]
    else:
        positions = [(lane.after, reader) for reader in readers]
    for position, reader in positions:
        # Compared once: what fits now its writer may cut a moment later.
        try:
            reader.resume(position, block=block)
        except CursorInvalid:
            continue
        return position, reader
    logger.warning("%s is another file than before: read anew", lane.stem)
    return START, readers[0]


def _open_at_hand(
    lane: Lane, paths: SessionPaths, *, known: bool, remote: bool
) -> list[SessionFile]:
    """Open the one file of a session, where the kernel has all that is asked at hand.

    Raises:
        BlockingIOError: it has not, or there is more than one file, or one may be done with.
    """
    if remote:
        raise BlockingIOError(errno.EAGAIN, "on another machine")
    seen = lane.seen
    if seen is not None and seen.both:
        raise BlockingIOError(errno.EAGAIN, "several generations")
    file = open_only(paths, seen=None if seen is None else (seen.id, seen.is_wal))
    if file is not None and known:
        file.close()
        raise BlockingIOError(errno.EAGAIN, "its content may be known")
    return [] if file is None else [file]


def _is_done(file: SessionFile, ended: bytes | None) -> bool:
    """Say whether this is the file that is done with, or a copy of it, blocking."""
    if ended is None:
        return False
    status = file.stat()
    if EndedSessions.same_stamp(ended, status.st_size, status.st_mtime_ns):
        return True
    if not EndedSessions.same_size(ended, status.st_size):
        return False
    content = EndedSessions.content(ended)
    return content is None or content == _content(file, status.st_size, block=True)


def key_of(file: SessionFile) -> bytes:
    """Return what stands for a finished file in a cursor; of its content, if that is at hand."""
    status = file.stat()
    try:
        content = _content(file, status.st_size, block=False)
    except OSError:
        content = None  # its size must do
    return ended_key(status.st_size, status.st_mtime_ns, content)


def _content(file: SessionFile, size: int, *, block: bool) -> bytes:
    window = min(WINDOW_BYTES, size)
    return content_print(
        file.look(0, window, block=block), file.look(size - window, window, block=block)
    )


class Reopened(NamedTuple):
    """What was found under the names of a lane that gave its descriptor back."""

    #: The file that it had; None: it is gone.
    file: SessionFile | None
    #: Whether another file is there.
    others: bool
    #: Whether the file is no longer what was read of it.
    changed: bool


def reopen_lane(follower: Follower, *, remote: bool, block: bool) -> Reopened:
    """Open the file that a lane had, under either name, and compare what was read of it.

    Raises:
        BlockingIOError: that would have to wait, and ``block`` is False.
        OSError: a file is there and cannot be opened or read.
    """
    if remote and not block:
        raise BlockingIOError(errno.EAGAIN, "on another machine")
    file, others = find_again(follower.paths, follower.file_id, cached=not block, remote=remote)
    if file is None:
        return Reopened(None, others, changed=False)
    follower.reader.go_on_in(file)
    try:
        changed = follower.reader.changed_in_place(block=block)
    except BaseException:
        file.close()  # not verified: to be opened again
        raise
    return Reopened(file, others, changed)


def verdict_on(follower: Follower, found: Reopened, *, now_s: float) -> Outcome | LookAgain | None:
    """Return what became of the file of a lane; None: it is there, as it was.

    Args:
        follower: the lane's.
        found: what is under its names; a file that is another by now is closed.
        now_s: the time, on the monotonic clock.
    """
    if found.file is None:
        return follower.end.missing(others=found.others, now_s=now_s)
    follower.end.found()
    if not found.changed:
        return None
    found.file.close()
    return Outcome.REPLACED


def close_what_came(lane: Lane, call: Call[Any]) -> None:
    """Close what a thread has read for a lane that is left, or has opened meanwhile."""
    lane.close_file()
    with suppress(Exception):
        found = call.result()
        if isinstance(found, Opened) and found.follower is not None:
            found.follower.reader.close()
        elif isinstance(found, Reopened) and found.file is not None:
            found.file.close()

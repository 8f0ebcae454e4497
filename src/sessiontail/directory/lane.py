"""One session of a directory: where it stands, and what of it is handed over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from sessiontail.directory.schedule import LaneState, Rest, Slot
from sessiontail.format.batch import Batch
from sessiontail.format.cursor import Position
from sessiontail.format.lifecycle import EventKind
from sessiontail.session.follower import Follower
from sessiontail.session.stream import RecordStream
from sessiontail.system.calls import Call
from sessiontail.system.paths import SessionPaths, stem_paths
from sessiontail.system.survey import Seen

__all__ = ["ForeignFile", "Lane", "stem_uuid"]


class Lane(Slot):
    """One session of a directory."""

    __slots__ = (
        "abandoned",
        "active_s",
        "after",
        "brief",
        "call",
        "ending",
        "follower",
        "is_new",
        "last",
        "seen",
        "stem",
        "stream",
        "work",
    )

    def __init__(self, stem: str, after: Position) -> None:
        super().__init__()
        self.stem = stem
        #: Where it is to begin.
        self.after = after
        #: What of it is handed over.
        self.stream = RecordStream(after)
        #: What the first survey saw of it; None: it came later.
        self.seen: Seen | None = None
        #: Begin with so many records before the end, instead.
        self.last: int | None = None
        self.follower: Follower | None = None
        #: A look that wants a thread, or has one, and what takes its result; and the call.
        self.work: tuple[Callable[..., Any], Callable[..., Rest]] | None = None
        self.call: Call[Any] | None = None
        #: Whether its first mark said that it may have ended.
        self.ending = False
        #: Whether its writer was found gone; it may come back.
        self.abandoned = False
        #: Whether its next record is the session's first sign of life.
        self.is_new = True
        #: Whether it gives its descriptor back after each turn: there is none to keep.
        self.brief = False
        #: When it last had a turn.
        self.active_s = 0.0

    @property
    def session_id(self) -> UUID | None:
        """The header's id, else the one that the file is named after."""
        return self.stream.session_id or stem_uuid(self.stem)

    def paths(self, directory: Path) -> SessionPaths:
        """Both names of its file."""
        return stem_paths(self.stem, directory)

    @property
    def is_open(self) -> bool:
        """Whether it holds a descriptor."""
        return self.follower is not None and self.follower.reader.file.fd >= 0

    @property
    def is_idle(self) -> bool:
        """Whether it holds a descriptor that it does not need before something is told of it."""
        resting = self.state not in (LaneState.READY, LaneState.AWAY)
        return resting and self.follower is not None and self.follower.reader.at_end

    def begin(self, follower: Follower, position: Position) -> None:
        """Follow an open file from a position."""
        self.follower = follower
        self.seen = None
        self.is_new = self.is_new and not position.offset
        self.stream = RecordStream(position)

    def told_by(self, batch: Batch, *, known: bool) -> EventKind | None:
        """Return what a batch tells of the session besides its records, and note that it did.

        Args:
            batch: what was read of it next.
            known: whether a file of it is done with.
        """
        if self.abandoned:
            assert self.follower is not None
            self.abandoned = False
            self.follower.end.resumed()
            return EventKind.RESUMED
        if not (self.is_new and batch.records):
            return None
        self.is_new = False
        return EventKind.RESUMED if known else EventKind.STARTED

    @property
    def wants_verdict(self) -> bool:
        """Whether a verdict is due that needs a lock table."""
        return self.judge or (self.follower is not None and self.follower.trailer_seen)

    def close_file(self) -> None:
        """Give the descriptor back."""
        if self.follower is not None:
            self.follower.reader.close()


# When a file that was no session is looked at again, after it was closed, exchanged or cut; twice
# as long each time that it still is none.
FIRST_PAUSE_S = 0.1
MOST_PAUSE_S = 60.0


class ForeignFile(Slot):
    """A file that is named like a session's and is none; it may become one."""

    __slots__ = ("pause_s", "stem")

    def __init__(self, stem: str) -> None:
        super().__init__()
        self.stem = stem
        #: How soon it is looked at again, once something is told of it.
        self.pause_s = FIRST_PAUSE_S

    def stays(self) -> None:
        """Note that it still is none."""
        self.pause_s = min(2 * self.pause_s, MOST_PAUSE_S)


def stem_uuid(stem: str) -> UUID | None:
    """Return the id that a file is named after; None where its name is no id."""
    try:
        return UUID(stem)
    except ValueError:
        return None

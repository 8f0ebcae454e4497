"""a directory, when it is first looked at -> lanes for what is to be followed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from sessiontail.directory.lane import Lane
from sessiontail.errors import PersistenceError, SessionNotFound
from sessiontail.format.cursor import START
from sessiontail.format.directory_cursor import DirectoryPosition
from sessiontail.format.ended import EndedSessions, ended_key
from sessiontail.format.lifecycle import SessionState
from sessiontail.session.ending import FAR_S
from sessiontail.session.summary import Detail, read_meta
from sessiontail.system.calls import Call
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import stem_paths
from sessiontail.system.subscriptions import Subscription
from sessiontail.system.survey import Seen
from sessiontail.system.watching import DirectoryWatch

__all__ = ["Stock", "Stocktaking", "Wanted"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which sessions of a directory are followed, and from where."""

    #: A directory cursor to go on from, checked.
    after: str | None = None
    #: Also sessions that are closed before this begins.
    include_closed: bool = False
    #: Of sessions that exist already, only so many of the last records.
    last: int | None = None
    #: Of those whose writer is known to be gone, none: they are followed from their end.
    only_running: bool = False
    #: "wait" waits for a directory that is absent or goes; "error" raises.
    on_missing: Literal["wait", "error"] = "wait"


class Stock(NamedTuple):
    """What a directory has when it is first looked at."""

    lanes: dict[str, Lane]
    #: The same, those that were written last first.
    order: list[Lane]
    ended: EndedSessions


class Stocktaking:
    """The first look, in steps: one that is cut short is taken up where it was."""

    __slots__ = ("_call", "_directory", "_seen", "_wanted", "_was_there")

    def __init__(self, directory: Path, wanted: Wanted) -> None:
        self._directory = directory
        self._wanted = wanted
        self._call: Call[Any] | None = None
        self._was_there: bool | None = None
        self._seen: dict[str, Seen] | None = None

    async def take(
        self, watch: DirectoryWatch, subscription: Subscription, gate: Callable[[str], None]
    ) -> Stock:
        """Look; what changes from then on, the subscription tells.

        Raises:
            SessionNotFound: the directory is absent, and that is an error.
            CursorInvalid: the cursor is damaged.
            PersistenceError: the directory cannot be read.
        """
        wanted = self._wanted
        if self._was_there is None:
            # What is closed in a directory that is made after this begins, is closed since.
            self._was_there = await self._in_thread(os.path.isdir, self._directory)
        if self._seen is None:
            gate("before scan")
            self._seen = await watch.take_stock(subscription)
            if self._seen is None and wanted.on_missing == "error":
                raise SessionNotFound("no such directory", path=self._directory)
        include_closed = wanted.include_closed or not self._was_there
        stock = await self._in_thread(
            take_stock, self._directory, self._seen or {}, wanted, include_closed
        )
        seen, self._seen = self._seen or {}, None
        gate("after scan")
        watch.drain()  # what came meanwhile is told
        if wanted.after is None and not wanted.include_closed:
            for stem in subscription.dirty:  # closed since this began
                if stem in stock.ended and stem not in stock.lanes:
                    stock.ended.discard(stem)
                    lane = stock.lanes[stem] = _existing(stem, seen[stem], wanted)
                    stock.order.insert(0, lane)
        return stock

    async def _in_thread(self, function: Callable[..., _T], *args: Any) -> _T:
        call = self._call = self._call or Call(str(self._directory), function, *args)
        await call.settled()
        self._call = None
        found: _T = call.result()
        return found


def take_stock(
    directory: Path,
    seen: dict[str, Seen],
    wanted: Wanted,
    include_closed: bool,  # noqa: FBT001 - passed through a thread
) -> Stock:
    """Sort what a directory has into what is followed and what is done with. For a thread.

    Raises:
        CursorInvalid: the cursor is damaged.
    """
    resumed = None if wanted.after is None else DirectoryPosition.decode(wanted.after)
    ended = EndedSessions() if resumed is None else resumed.ended
    locks = LockTable.read() if wanted.only_running else LockTable(None)
    lanes: dict[str, Lane] = {}
    for stem, found in seen.items():
        if resumed is not None and stem in resumed.open:
            continue
        key = ended.get(stem)
        if key is not None and EndedSessions.same_stamp(key, found.size, found.mtime_ns):
            continue
        if resumed is None and not include_closed:
            if not found.is_wal:
                ended.add(stem, ended_key(found.size, found.mtime_ns))
                continue
            if found.closed is not None:
                ended.add(stem, ended_key(*found.closed))
        lane = lanes[stem] = _existing(stem, found, wanted)
        if resumed is None:
            if wanted.only_running and _is_gone(found, stem_paths(stem, directory).wal, locks):
                lane.last, lane.abandoned = 0, True
        elif stem in resumed.before_end:
            lane.last, size = resumed.before_end[stem]
            lane.seen = found._replace(size=size)
    order = sorted(lanes.values(), key=_written_last)
    if resumed is not None:
        # Some of them were renamed while the directory was read, or are gone: opening will tell.
        for stem, position in resumed.open.items():
            lane = lanes[stem] = Lane(stem, position)
            there = lane.seen = seen.get(stem)
            if wanted.only_running and there is not None and there.size == position.offset:
                lane.abandoned = _is_gone(there, stem_paths(stem, directory).wal, locks)
            order.append(lane)
        order.sort(key=_written_last)
    ended.ids_as_text()
    return Stock(lanes, order, ended)


def _existing(stem: str, found: Seen, wanted: Wanted) -> Lane:
    lane = Lane(stem, START)
    lane.seen = found
    lane.last = wanted.last if wanted.after is None else None
    return lane


def _is_gone(found: Seen, wal: Path, locks: LockTable) -> bool:
    """Say whether nobody writes a WAL, as a listing says it: it is old, or has its trailer."""
    if not locks.known or locks.holds(found.id):
        return False
    if time.time() - found.mtime_ns / 1e9 >= FAR_S:
        return True
    try:
        meta, _ = read_meta(wal, locks, detail=Detail.ENDS)
    except PersistenceError:
        return False  # it may just have begun
    return meta.state in (SessionState.CLOSED, SessionState.ABANDONED)


def _written_last(lane: Lane) -> int:
    return -lane.seen.mtime_ns if lane.seen is not None else 0

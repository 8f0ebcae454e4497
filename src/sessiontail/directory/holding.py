"""lanes -> which of them keep their descriptor."""

from __future__ import annotations

import time
from collections import OrderedDict

from sessiontail.directory.lane import Lane
from sessiontail.system.descriptors import budget
from sessiontail.system.stats import StoreStats

__all__ = ["OpenFiles"]

# A lane that had no turn for so long gives its descriptor to one that has.
COLD_S = 2.0
# Lanes that are asked for their descriptor where the first ones cannot spare it.
MOST_ASKED = 16
# Where there is no descriptor to keep, so many lanes may have one for as long as a thread works for
# them: an eighth of those that may be kept, but two, so that one that hangs holds up no other.
BRIEF_SHARE = 8
LEAST_BRIEF = 2
MOST_BRIEF = 16
# How long one of them keeps its descriptor while it has more to read; then others have a turn.
BRIEF_S = 1.0
# What a thread that opens may hold for a moment: both names, and one of them again.
MOST_OPENED = 3


class OpenFiles:
    """The lanes of one stream that hold a descriptor: what is hot keeps its own.

    Args:
        most: descriptors at most; None: what the process has for all streams.
        stats: counts into these.
    """

    __slots__ = ("_beyond", "_lanes", "_most", "_opening", "_stats")

    def __init__(self, most: int | None, stats: StoreStats) -> None:
        self._most = None if most is None else max(1, most)
        self._stats = stats
        # The longest idle first.
        self._lanes: OrderedDict[str, Lane] = OrderedDict()
        # Those that threads open; and who holds, or will hold, a descriptor that there is no room
        # for, and since when: a thread is to work for it, or it has more to read.
        self._opening: set[Lane] = set()
        self._beyond: dict[Lane, float] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    def may_open(self, lane: Lane, *, beside: bool) -> bool:
        """Say whether a lane may open its file now: on the event loop, or beside it in a thread.

        Where there is no room, another lane gives its descriptor up for it, once it is open: its
        file may be gone, and theirs have no name any more. So a few may be open beyond the limit.
        """
        if self._has_room:
            lane.brief = False
            return True
        lane.brief = self._spared() is None
        if not (beside or lane.brief):
            return True
        limit = min(budget.limit, self._most or budget.limit)
        return len(self._beyond) < max(LEAST_BRIEF, min(MOST_BRIEF, limit // BRIEF_SHARE))

    def lent(self, lane: Lane, *, opens: bool) -> None:
        """Note that a lane waits for a thread with its descriptor, or that a thread opens its file."""
        if lane.brief or (opens and not self._has_room):
            self._beyond.setdefault(lane, time.monotonic())
        if opens:
            self._opening.add(lane)

    def is_back(self, lane: Lane) -> None:
        """Note that the thread is done with it, or that there was none."""
        self._opening.discard(lane)
        if not lane.brief or lane.stem not in self._lanes:
            self._beyond.pop(lane, None)

    @property
    def opening(self) -> int:
        """For how many threads open a file."""
        return len(self._opening)

    def add(self, lane: Lane) -> None:
        """Note that a lane has opened its file."""
        # There may have been room when a thread began to open it, and none now.
        if self._full or budget.exceeded:
            spared = self._spared()
            lane.brief = spared is None
            if spared is not None:
                self.park(spared)
        self._lanes[lane.stem] = lane
        self._stats.open_files += 1

    @property
    def _full(self) -> bool:
        held = len(self._lanes) + len(self._opening)
        return self._most is not None and held >= self._most

    @property
    def _has_room(self) -> bool:
        return not self._full and budget.spare > MOST_OPENED * len(self._opening)

    def _spared(self) -> Lane | None:
        """Return the lane that gives its descriptor to another; None: that one is read and closed.

        Of ``most`` it is the coldest. Of what the process has, what is hot keeps it. Never one that
        a thread reads by, or whose lane has more to read: that may have no name any more.
        """
        for _ in range(min(MOST_ASKED, len(self._lanes))):
            coldest = next(iter(self._lanes.values()))
            if not coldest.is_idle:
                self._lanes.move_to_end(coldest.stem)
            elif self._full or time.monotonic() - coldest.active_s >= COLD_S:
                return coldest
            else:
                return None
        return None

    def rest(self, lane: Lane) -> None:
        """Keep the descriptor of a lane that had its turn, if there is one for it.

        Where there is none it is kept for a moment by who has more to read: between two turns the
        file may lose its name, and what was not read of it would be gone.
        """
        if lane.stem in self._lanes:
            if lane.abandoned or (lane.brief and not self._has_more(lane)):
                self.park(lane)
            else:
                self._lanes.move_to_end(lane.stem)

    def _has_more(self, lane: Lane) -> bool:
        assert lane.follower is not None
        now_s = time.monotonic()
        since_s = self._beyond.setdefault(lane, now_s)
        return not lane.follower.reader.at_end and now_s - since_s < BRIEF_S

    def park(self, lane: Lane) -> None:
        """Give a lane's descriptor back; its position stays."""
        if self._lanes.pop(lane.stem, None) is None:
            return
        if lane.call is None:
            self._beyond.pop(lane, None)
        self._stats.open_files -= 1
        if lane.call is None:  # else it is closed when its thread is done
            lane.close_file()

    def halve(self) -> None:
        """Do with half of them: somebody else took the descriptors that were left."""
        budget.run_short()
        for lane in [*self._lanes.values()][: -(-len(self._lanes) // 2)]:
            if lane.is_idle:
                self.park(lane)

    def park_all(self) -> None:
        """Give all of them back."""
        for lane in [*self._lanes.values()]:
            self.park(lane)

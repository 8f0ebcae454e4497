"""lanes -> which of them keep their descriptor."""

from __future__ import annotations

from collections import OrderedDict

from sessiontail.directory.lane import Lane
from sessiontail.system.descriptors import budget
from sessiontail.system.stats import StoreStats

__all__ = ["OpenFiles"]

# A lane that had no turn for so long gives its descriptor to one that has.
COLD_S = 2.0


class OpenFiles:
    """The lanes of one stream that hold a descriptor: what is hot keeps its own.

    Args:
        most: descriptors at most; None: what the process has for all streams.
        stats: counts into these.
    """

    __slots__ = ("_lanes", "_most", "_stats")

    def __init__(self, most: int | None, stats: StoreStats) -> None:
        self._most = None if most is None else max(1, most)
        self._stats = stats
        # The longest idle first.
        self._lanes: OrderedDict[str, Lane] = OrderedDict()

    def __len__(self) -> int:
        return len(self._lanes)

    def make_room(self, lane: Lane, now_s: float) -> None:
        """Find a descriptor for a lane; without room its file is read and closed."""
        lane.brief = False
        if (self._most is None or len(self._lanes) < self._most) and budget.room:
            return
        if self._lanes:
            coldest = next(iter(self._lanes.values()))
            if coldest.call is None and now_s - coldest.active_s >= COLD_S:
                self.park(coldest)
                return
        lane.brief = True

    def add(self, lane: Lane) -> None:
        """Note that a lane has opened its file."""
        while self._most is not None and len(self._lanes) >= self._most:
            self.park(next(iter(self._lanes.values())))  # not one more, not even for a moment
        self._lanes[lane.stem] = lane
        self._stats.open_files += 1
        if budget.exceeded:
            lane.brief = True  # there was room when a thread began to open it

    def rest(self, lane: Lane) -> None:
        """Keep the descriptor of a lane that had its turn, if there is one for it."""
        if lane.stem in self._lanes:
            if lane.brief or lane.abandoned:
                self.park(lane)
            else:
                self._lanes.move_to_end(lane.stem)

    def park(self, lane: Lane) -> None:
        """Give a lane's descriptor back; its position stays."""
        if self._lanes.pop(lane.stem, None) is None:
            return
        self._stats.open_files -= 1
        if lane.call is not None:
            lane.call.leave(lane.close_file)
        else:
            lane.close_file()

    def halve(self) -> None:
        """Do with half of them: somebody else took the descriptors that were left."""
        budget.run_short()
        for lane in [*self._lanes.values()][: -(-len(self._lanes) // 2)]:
            # What is held and not read to its end may have no name any more.
            if lane.follower is not None and lane.follower.reader.at_end:
                self.park(lane)

    def park_all(self) -> None:
        """Give all of them back."""
        for lane in [*self._lanes.values()]:
            self.park(lane)

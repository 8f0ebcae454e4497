"""lanes -> which of them keep their descriptor."""

from __future__ import annotations

from collections import OrderedDict

from sessiontail.directory.lane import Lane
from sessiontail.system.descriptors import budget
from sessiontail.system.stats import StoreStats

__all__ = ["OpenFiles"]

# A lane that had no turn for so long gives its descriptor to one that has.
COLD_S = 2.0
# Lanes that are asked for their descriptor where the first ones cannot spare it.
MOST_ASKED = 16


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
        """Find a descriptor for a lane; without room its file is read and closed.

        Of ``most`` the coldest gives its own. Of what the process has, what is hot keeps it.
        """
        lane.brief = not (budget.room and not self._full) and not self._free_one(now_s)

    def add(self, lane: Lane) -> None:
        """Note that a lane has opened its file."""
        # There may have been room when a thread began to open it, and none now.
        if self._full:
            lane.brief = not self._free_one(lane.active_s)
        elif budget.exceeded:
            lane.brief = True
        self._lanes[lane.stem] = lane
        self._stats.open_files += 1

    @property
    def _full(self) -> bool:
        return self._most is not None and len(self._lanes) >= self._most

    def _free_one(self, now_s: float) -> bool:
        """Take a descriptor from the lane that can spare it best; say whether there was one.

        Not from one that a thread reads, or that has more to read: that may have no name any more.
        """
        for _ in range(min(MOST_ASKED, len(self._lanes))):
            coldest = next(iter(self._lanes.values()))
            if not coldest.is_idle:
                self._lanes.move_to_end(coldest.stem)
            elif self._full or now_s - coldest.active_s >= COLD_S:
                self.park(coldest)
                return True
            else:
                return False
        return False

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
            if lane.is_idle:
                self.park(lane)

    def park_all(self) -> None:
        """Give all of them back."""
        for lane in [*self._lanes.values()]:
            self.park(lane)

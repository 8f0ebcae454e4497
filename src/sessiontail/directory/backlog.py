"""lanes that were there at the start -> how many of them are not read to their end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sized

from sessiontail.directory.lane import Lane
from sessiontail.directory.schedule import LaneState

__all__ = ["Backlog", "NewsOrEnd"]


class Backlog:
    """What there was when a stream began, as far as it is still to be read.

    Args:
        lanes: those that there were.
        followed: those that are followed at any time, by the stem of their files.
    """

    def __init__(self, lanes: Iterable[Lane], followed: Mapping[str, Lane]) -> None:
        self._lanes = deque(lanes)
        self._followed = followed

    def __len__(self) -> int:
        """How many are left; those in front that are done with are dropped."""
        lanes = self._lanes
        while lanes and (self._followed.get(lanes[0].stem) is not lanes[0] or _is_read(lanes[0])):
            lanes.popleft()
        return len(lanes)


class NewsOrEnd(Sized):
    """Is empty until there is news or no backlog: ``Following.next_lane`` waits so long."""

    def __init__(self, news: Sized, backlog: Sized) -> None:
        self._news = news
        self._backlog = backlog

    def __len__(self) -> int:
        return len(self._news) or not self._backlog


def _is_read(lane: Lane) -> bool:
    """Say whether all that there is of a session is read, and who writes it was asked."""
    if lane.state in (LaneState.ABANDONED, LaneState.FAILED):
        return True
    at_end = lane.follower is not None and lane.follower.reader.at_end
    return at_end and lane.state is LaneState.IDLE and not lane.judge

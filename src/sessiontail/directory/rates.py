"""counts, and when they came -> how many a second, of late.

Nothing here looks at a clock: time comes as an argument, in seconds that only grow.
"""

from __future__ import annotations

from collections import deque

__all__ = ["WINDOW_S", "Rate"]

# Ten seconds: an agent that writes a row every two seconds has a rate that stands still.
WINDOW_S = 10


class Rate:
    """How many of something come a second, by the last ten seconds.

    Until so many have passed, by those that have; the first second counts whole.

    Args:
        since_s: when counting begins.
    """

    __slots__ = ("_buckets", "_since_s")

    def __init__(self, since_s: float) -> None:
        self._since_s = since_s
        # A second and what came in it, the oldest first: ten at most, however much comes.
        self._buckets: deque[list[int]] = deque()

    def add(self, count: int, now_s: float) -> None:
        """Note that so many came."""
        second = int(now_s)
        if self._buckets and self._buckets[-1][0] == second:
            self._buckets[-1][1] += count
            return
        self._forget(second)
        self._buckets.append([second, count])

    def per_s(self, now_s: float) -> float:
        """Return how many come a second; 0.0 is exact: none came within the window."""
        second = int(now_s)
        self._forget(second)
        if not self._buckets:
            return 0.0
        began_s = max(self._since_s, second - WINDOW_S + 1)
        return sum(count for _, count in self._buckets) / max(1.0, now_s - began_s)

    def _forget(self, second: int) -> None:
        while self._buckets and self._buckets[0][0] <= second - WINDOW_S:
            self._buckets.popleft()

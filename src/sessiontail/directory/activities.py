"""batches and events of sessions, and when they came -> what each of them does.

Which of them are shown is decided here: those that run, and for a while those that ended. What has left
counts on in the sums. Nothing here opens, waits or looks at a clock: time comes as an argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from uuid import UUID

from sessiontail.directory.activity import ActivityFold, SessionActivity
from sessiontail.directory.activity_sums import ActivitySums
from sessiontail.directory.rates import Rate
from sessiontail.format.batch import Batch
from sessiontail.format.lifecycle import EventKind, SessionState

__all__ = ["LINGER_S", "Activities"]

# So long a session that ended stays: an eye that comes back to the screen sees that it did.
LINGER_S = 60.0
# Ended sessions that are shown at most: who sees a thousand end does not look at each.
_MOST_ENDED = 1000
_ENDS = {EventKind.CLOSED: SessionState.CLOSED, EventKind.ABANDONED: SessionState.ABANDONED}


class Activities:
    """What the sessions of a directory do.

    Args:
        now_s: the time.
        linger_s: so long a session that ended is shown, and at least once.
    """

    def __init__(self, now_s: float, *, linger_s: float = LINGER_S) -> None:
        self._linger_s = linger_s
        # By the stem of the file; those that ended are in the second too, the first to end first,
        # with when that was shown: not yet is never.
        self._folds: dict[str, tuple[str, ActivityFold]] = {}
        self._ended: dict[str, float] = {}
        # Of those that are shown no longer.
        self._left = ActivitySums()
        # How long a file was when this began, and how long it was quiet.
        self._known: dict[str, tuple[int, float]] = {}
        # A writer came back to these, and what it wrote comes next.
        self._resumed: set[str] = set()
        self._rows = Rate(now_s)
        self._bytes = Rate(now_s)

    def __len__(self) -> int:
        return len(self._folds)

    def know(self, stem: str, size_bytes: int, quiet_s: float) -> None:
        """Note how long a file is when this begins, and how long it was not written."""
        self._known[stem] = size_bytes, quiet_s

    def take(
        self, stem: str, session_id: UUID, batch: Batch, left_out: int, *, now_s: float
    ) -> None:
        """Take the next records of a session, as ``ActivityFold.add`` does."""
        known = self._folds.get(stem)
        # What lies between two batches are blank lines and rows that were left out.
        if known is None or batch.start.offset < max(1, known[1].offset):
            self._leave(stem, now_s)
            size, quiet_s = self._known.pop(stem, (batch.start.offset, 0.0))
            known = str(session_id), ActivityFold(now_s, known_bytes=size, quiet_s=quiet_s)
            self._folds[stem] = known
        if stem in self._resumed:
            # Who wrote that writes it.
            self._resumed.discard(stem)
            self._ended.pop(stem, None)
            known[1].state, known[1].torn_bytes = SessionState.LIVE, 0
        rows, length = known[1].add(batch, left_out=left_out, now_s=now_s)
        self._rows.add(rows, now_s)
        self._bytes.add(length, now_s)

    def hear(self, stem: str, kind: EventKind, now_s: float, *, torn_bytes: int = 0) -> None:
        """Take what happened to a session, and how many bytes follow its last newline then."""
        if kind is EventKind.RESUMED:
            self._resumed.add(stem)
        elif kind is EventKind.DELETED:
            self._leave(stem, now_s)
            self._known.pop(stem, None)
        elif kind is EventKind.REPLACED:
            # Its rows are counted again, or are no longer there.
            self._folds.pop(stem, None)
            self._ended.pop(stem, None)
            self._known.pop(stem, None)
        elif stem in self._folds:
            _, fold = self._folds[stem]
            self._ended.pop(stem, None)
            fold.state = _ENDS.get(kind, fold.state)
            if kind in _ENDS:
                self._ended[stem], fold.torn_bytes = math.inf, torn_bytes
                if len(self._ended) > _MOST_ENDED:
                    self._leave(next(iter(self._ended)), now_s)

    @property
    def leaves_at_s(self) -> float:
        """When the next of those that ended leaves; never, where none did."""
        return next(iter(self._ended.values()), math.inf) + self._linger_s

    def shown(self, now_s: float) -> None:
        """Note that all were shown as they are: from now on those that ended linger."""
        for stem in reversed(self._ended):
            if self._ended[stem] < math.inf:
                return
            self._ended[stem] = now_s

    def let_leave(self, now_s: float) -> None:
        """Show those no longer that were shown as ended long ago."""
        while self.leaves_at_s <= now_s:
            self._leave(next(iter(self._ended)), now_s)

    def ask(self, state_of: Callable[[str], SessionState]) -> bool:
        """Ask how those stand whose writer was not seen; return whether one was by now.

        Args:
            state_of: says it, by the stem of the file.
        """
        seen = False
        for stem, (_, fold) in self._folds.items():
            if fold.state is SessionState.UNKNOWN:
                fold.state = state_of(stem)
                seen = seen or fold.state is not SessionState.UNKNOWN
        return seen

    def each(self, now_s: float) -> Iterator[SessionActivity]:
        """Yield what each session does now."""
        for session_id, fold in self._folds.values():
            yield fold.activity(session_id, now_s)

    def sums(self) -> ActivitySums:
        """Return the sums of those that have left."""
        return self._left.copy()

    def rates(self, now_s: float) -> tuple[float, float]:
        """Return how many rows and bytes a second come of all sessions."""
        return self._rows.per_s(now_s), self._bytes.per_s(now_s)

    def _leave(self, stem: str, now_s: float) -> None:
        known = self._folds.pop(stem, None)
        self._ended.pop(stem, None)
        if known is not None:
            self._left.add([known[1].activity(known[0], now_s)], gone=True)

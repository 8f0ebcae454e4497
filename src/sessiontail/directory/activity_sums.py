"""what sessions do at one moment -> what all of them do. Nothing here opens, waits or looks."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sessiontail.directory.activity import SessionActivity
from sessiontail.format.brief import brief, counted
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.records import TokenUsage
from sessiontail.format.tally import UsageTotal

__all__ = ["ActivitySums", "DirectoryActivity"]

# These wait for nothing.
_ENDED = (SessionState.CLOSED, SessionState.ABANDONED)
_SUMMED = (
    "rows", "inherited_rows", "size_bytes", "tool_calls", "tool_errors", "unanswered_calls",
    "damaged_lines",
)  # fmt: skip


class DirectoryActivity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the sessions of a directory do, at one moment.

    The sums are of all sessions that were followed since the watch began, also of those that have
    left ``sessions`` because they ended long ago, or are gone.
    """

    #: Whether the directory is there.
    present: bool
    #: Those that run and those that ended a moment ago, in the order in which they were met.
    sessions: tuple[SessionActivity, ...]
    #: How many are in which state; those that are gone are in none.
    by_state: dict[SessionState, int]
    #: Sessions that were there at the start and are not read to their end yet.
    unread: int
    #: Files that could not be read at the last try, by name, and why.
    unreadable: dict[str, str]
    rows_per_s: float
    bytes_per_s: float
    rows: int
    inherited_rows: int
    size_bytes: int
    tool_calls: int
    tool_errors: int
    #: Of those that run.
    unanswered_calls: int
    damaged_lines: int
    usage: UsageTotal

    def __repr__(self) -> str:
        rate = f"{self.rows_per_s:.1f} rows a second"
        return brief(self, counted(len(self.sessions), "session"), rate)


class ActivitySums:
    """Adds sessions up."""

    __slots__ = ("_by_state", "_counts", "_usage")

    def __init__(self) -> None:
        self._counts = dict.fromkeys(_SUMMED, 0)
        self._by_state: dict[SessionState, int] = {}
        self._usage = UsageTotal()

    def copy(self) -> ActivitySums:
        """Return another with the same sums."""
        new = ActivitySums()
        new._counts, new._by_state = dict(self._counts), dict(self._by_state)
        new._usage = self._usage
        return new

    def add(self, sessions: Iterable[SessionActivity], *, gone: bool = False) -> None:
        """Add sessions; of what is gone nothing is waited for, and it is in no state."""
        counts = self._counts
        usages: list[tuple[TokenUsage | None, bool]] = []
        for one in sessions:
            for name in _SUMMED:
                counts[name] += getattr(one, name)
            if gone or one.state in _ENDED:
                counts["unanswered_calls"] -= one.unanswered_calls
            if not gone:
                self._by_state[one.state] = self._by_state.get(one.state, 0) + 1
            usages.append((one.usage, one.damaged_lines > 0))
        self._usage = _plus(self._usage, UsageTotal.of(usages))

    def activity(
        self,
        *,
        present: bool,
        sessions: tuple[SessionActivity, ...],
        unread: int,
        unreadable: dict[str, str],
        rows_per_s: float,
        bytes_per_s: float,
    ) -> DirectoryActivity:
        """Return the sums, and what else is known of the directory."""
        return DirectoryActivity(
            present=present,
            sessions=sessions,
            by_state=dict(self._by_state),
            unread=unread,
            unreadable=unreadable,
            rows_per_s=rows_per_s,
            bytes_per_s=bytes_per_s,
            usage=self._usage,
            **self._counts,
        )


def _plus(one: UsageTotal, other: UsageTotal) -> UsageTotal:
    names = UsageTotal.__struct_fields__
    return UsageTotal(**{name: getattr(one, name) + getattr(other, name) for name in names})

"""errors of sessions -> when each is tried again, ever more seldom."""

from __future__ import annotations

from sessiontail.errors import PersistenceError

__all__ = ["MOST_RETRY_S", "Retries"]

# The longest pause between two tries: 1,000 sessions that nobody may read cost 100 tries a second.
MOST_RETRY_S = 10.0


class Retries:
    """The sessions that could not be read at the last try."""

    __slots__ = ("_tries", "errors")

    def __init__(self) -> None:
        #: Why, by the stem of their files.
        self.errors: dict[str, PersistenceError] = {}
        # How long each waits for its next try, and when that is.
        self._tries: dict[str, tuple[float, float]] = {}

    def fail(self, stem: str, error: PersistenceError, now_s: float, first_s: float) -> bool:
        """Note that a session could not be read; return whether that was a try that was due.

        It is none the first time, and none where something was told of it before its next try.

        Args:
            stem: which.
            error: why; the first one is kept.
            now_s: the time, on the monotonic clock.
            first_s: the pause behind the first failure; each is twice the one before.
        """
        if stem not in self.errors:
            self.errors[stem] = error
            self._tries[stem] = first_s, now_s + first_s
            return False
        pause_s, due_s = self._tries[stem]
        if now_s < due_s:
            return False
        pause_s = min(2 * pause_s, MOST_RETRY_S)
        self._tries[stem] = pause_s, now_s + pause_s
        return True

    def due_s(self, stem: str) -> float:
        """Return when it is tried again, on the monotonic clock; it must have failed."""
        return self._tries[stem][1]

    def read(self, stem: str) -> None:
        """Note that a session could be read."""
        if self.errors.pop(stem, None):
            del self._tries[stem]

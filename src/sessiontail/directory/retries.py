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
        # How long each waits for its next try, when that is, and whether one has failed already.
        self._tries: dict[str, tuple[float, float, bool]] = {}

    def fail(self, stem: str, error: PersistenceError, now_s: float, first_s: float) -> bool:
        """Note that a session could not be read; return whether it gives its descriptor back.

        Not before the first try that is due, though it may be told of and fail before that: what is
        held may have no name any more. What is opened behind that try had one.

        Args:
            stem: which.
            error: why; the first one is kept.
            now_s: the time, on the monotonic clock.
            first_s: the pause behind the first failure; each is twice the one before.
        """
        if stem not in self.errors:
            self.errors[stem] = error
            self._tries[stem] = first_s, now_s + first_s, False
            return False
        pause_s, due_s, tried = self._tries[stem]
        if now_s >= due_s:
            pause_s, tried = min(2 * pause_s, MOST_RETRY_S), True
            self._tries[stem] = pause_s, now_s + pause_s, tried
        return tried

    def due_s(self, stem: str) -> float:
        """Return when it is tried again, on the monotonic clock; it must have failed."""
        return self._tries[stem][1]

    def read(self, stem: str) -> None:
        """Note that a session could be read."""
        if self.errors.pop(stem, None):
            del self._tries[stem]

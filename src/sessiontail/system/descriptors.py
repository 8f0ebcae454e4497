"""the process's limit of open files -> how many of them may be session files.

Half of the soft limit at most: the other half is the program's own. One budget a process, for all
stores. What somebody else took for a moment is done without, and grows back.
"""

from __future__ import annotations

import time
from contextlib import suppress

from sessiontail.system.files import SessionFile

__all__ = ["Budget", "budget", "raise_limit"]

# How long a limit is believed, and a shortage is remembered before the budget doubles.
_KNOWN_S = 1.0


class Budget:
    """How many session files this process may hold open."""

    def __init__(self) -> None:
        self._most = 0
        self._read_at_s = -_KNOWN_S
        # What there was room for at the last shortage, and when that was.
        self._short = 0
        self._short_at_s: float | None = None

    @property
    def limit(self) -> int:
        """Session files that may be open together."""
        now_s = time.monotonic()
        if now_s - self._read_at_s >= _KNOWN_S:
            self._most, self._read_at_s = max(4, _soft_limit() // 2), now_s
        if self._short_at_s is None:
            return self._most
        grown = self._short << min(32, int((now_s - self._short_at_s) / _KNOWN_S))
        if grown >= self._most:
            self._short_at_s = None
            return self._most
        return grown

    @property
    def spare(self) -> int:
        """How many more may be open."""
        return max(0, self.limit - len(SessionFile.open_now))

    @property
    def room(self) -> bool:
        """Whether one more may be open."""
        return self.spare > 0

    @property
    def exceeded(self) -> bool:
        """Whether more are open than may be."""
        return len(SessionFile.open_now) > self.limit

    def run_short(self) -> None:
        """Note that no descriptor was left: do with half of what is held, for now."""
        self._short = max(1, len(SessionFile.open_now) // 2)
        self._short_at_s = time.monotonic()


def raise_limit() -> None:
    """Let this process have as many files open as it may, where each client or session takes one."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # more than the kernel has
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _soft_limit() -> int:
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return 400
    soft: int = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 65536 if soft == resource.RLIM_INFINITY else soft


#: The process's.
budget = Budget()

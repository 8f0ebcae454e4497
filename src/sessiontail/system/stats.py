"""What a store has done so far, counted where it happens.

One object is shared by a store's watcher, files and tails; a lone tail has its own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["StoreStats"]


@dataclass(slots=True)
class StoreStats:
    """Counters since the store was opened, and two gauges."""

    #: Notifications read from the kernel.
    events: int = 0
    #: Reads of session files.
    reads: int = 0
    #: Bytes read from session files.
    bytes: int = 0
    #: Records decoded: what a cancelled or unfinished reader left is counted too.
    records: int = 0
    #: Looks at the whole directory, or at a lone file, that no event asked for.
    sweeps: int = 0
    #: Times that a sweep found growth that no event had told.
    missed: int = 0
    #: Times that the kernel's event queue overflowed.
    overflows: int = 0
    #: Times that events were no longer trusted, so that the directory is polled.
    distrusted: int = 0
    #: Gauge: session files open now.
    open_files: int = 0
    #: Gauge: seconds from noticing the last change to handing over its first record.
    lag_s: float = 0.0

    def as_dict(self) -> dict[str, int | float]:
        """Return all of them by name."""
        return asdict(self)

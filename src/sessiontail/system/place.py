"""a directory, and how it is to be watched -> its watch, shared and held for as long as wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sessiontail.errors import PersistenceError
from sessiontail.system.buckets import refuse_bucket
from sessiontail.system.watching import DirectoryWatch, watch_of
from sessiontail.urls import UrlPath

__all__ = ["Place"]


@dataclass(slots=True)
class Place:
    """One directory for all that one store makes.

    Args:
        directory: which.
        sweep_interval_s: how often a look is taken that no event asked for.
        poll_interval_s: the same where events cannot be had or trusted.
        events: False does without the kernel's events.
    """

    directory: Path
    sweep_interval_s: float
    poll_interval_s: float
    events: bool
    # One for each time that it is held.
    _held: list[DirectoryWatch] = field(default_factory=list)

    @property
    def polled_because(self) -> str | None:
        """Why the directory is polled; None where events are trusted, or while it is not held."""
        return self._held[0].polled_because if self._held else None

    async def hold(self) -> None:
        """Watch the directory until ``release``; in a bucket nothing is to be watched."""
        if isinstance(self.directory, UrlPath):
            return
        self._held.append(await self.watch())

    def release(self) -> None:
        """Hold it no longer; on the event loop that held it.

        Raises:
            PersistenceError: it is not held there.
        """
        if isinstance(self.directory, UrlPath):
            return
        # Held on several event loops, each has its own; on one they are the same.
        watch = next((watch for watch in self._held if watch.here), None)
        if watch is None:
            raise PersistenceError(
                "the store is left more often than it was entered, or on another event loop",
                path=self.directory,
            )
        self._held.remove(watch)
        watch.release()

    async def watch(self, directory: Path | None = None) -> DirectoryWatch:
        """Return the watch of this directory, or in the same way of another one, held.

        Raises:
            PersistenceError: it is in a bucket.
        """
        refuse_bucket(directory or self.directory, "followed")
        return await watch_of(
            directory or self.directory,
            sweep_interval_s=self.sweep_interval_s,
            poll_interval_s=self.poll_interval_s,
            events=self.events,
        )

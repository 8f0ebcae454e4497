"""numbered news of a directory -> what came behind a number, or that it is not all known any more.

It is bounded, in entries and in bytes. That a session grew is outdated by what comes later of the same
session, and dropped then: who was away gets the last of it only. Nothing here waits.
"""

from __future__ import annotations

from itertools import takewhile
from typing import NamedTuple

__all__ = ["CHANGED", "NewsEntry", "NewsLog"]

#: A session grew: the kind of news that the next one of its session outdates.
CHANGED = "changed"

# A meta is some 700 bytes.
_MOST_ENTRIES = 8 * 1024
_MOST_BYTES = 8 * 1024 * 1024


class NewsEntry(NamedTuple):
    """One thing that happened."""

    #: From 1, in order; numbers may be left out.
    number: int
    #: As the events of a stream are called.
    kind: str
    #: None: it is of the directory.
    session_id: str | None
    #: One line of JSON.
    data: bytes


class NewsLog:
    """The last news of a directory.

    Args:
        most_entries: so many are kept.
        most_bytes: of data, so many.
    """

    def __init__(self, *, most_entries: int = _MOST_ENTRIES, most_bytes: int = _MOST_BYTES) -> None:
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        #: The number of the last news; 0 where there are none.
        self.last = 0
        #: What has this number, or a smaller one, may be gone.
        self.floor = 0
        # By number, in order.
        self._entries: dict[int, NewsEntry] = {}
        self._bytes = 0
        # Which entry says that a session grew.
        self._growths: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, kind: str, session_id: str | None, data: bytes) -> None:
        """Add what happened, and drop what that outdates and what there is no room for."""
        if session_id is not None and session_id in self._growths:
            self._drop(self._growths[session_id])
        self.last += 1
        self._entries[self.last] = NewsEntry(self.last, kind, session_id, data)
        self._bytes += len(data)
        if session_id is not None and kind == CHANGED:
            self._growths[session_id] = self.last
        while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
            self.floor = next(iter(self._entries))
            self._drop(self.floor)

    def skip(self) -> None:
        """Note that things happened of which nothing is known."""
        self.last += 1
        self.floor = self.last
        self._entries.clear()
        self._growths.clear()
        self._bytes = 0

    def reaches(self, number: int) -> bool:
        """Say whether all is known of what came behind a number."""
        return self.floor <= number <= self.last

    def after(self, number: int) -> list[NewsEntry]:
        """Return what is kept of what came behind a number, oldest first."""
        newest_first = reversed(self._entries.values())
        return [*takewhile(lambda entry: entry.number > number, newest_first)][::-1]

    def _drop(self, number: int) -> None:
        entry = self._entries.pop(number)
        self._bytes -= len(entry.data)
        if entry.session_id is not None and self._growths.get(entry.session_id) == number:
            del self._growths[entry.session_id]

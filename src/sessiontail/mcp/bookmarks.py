"""a cursor that is too long for a model <-> a short name, under which it is kept in the user's cache.

A cursor of all sessions grows by 52 bytes with each session that has ended. Kept in the cache, it is
there after a restart too; where there is no cache, as long as this process runs.
"""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path

from sessiontail.errors import CursorInvalid
from sessiontail.system.cache import Cache
from sessiontail.system.files import in_thread

__all__ = ["SHORT", "Bookmarks"]

#: Characters that a model copies without a mistake, and pays for: as many as ten cursors of a session.
SHORT = 2000

_PREFIX = "kept."
_NAME_LETTERS = 20
# The last so many, and so many bytes of them: six of 100,000 sessions.
_MOST = 64
_MOST_BYTES = 32 * 1024 * 1024
_KIND = "mcp-cursors-1"


class Bookmarks:
    """Keeps the long cursors of one directory.

    Args:
        directory: whose sessions they are of.
        cache: where they are kept besides; by default the user's.
    """

    def __init__(self, directory: Path, cache: Cache | None = None) -> None:
        self._directory = str(directory)
        self._cache = Cache() if cache is None else cache
        # By name, those that were used last at the end; None: the cache was not asked yet.
        self._kept: dict[str, str] | None = None

    async def short(self, cursor: str) -> str:
        """Return a cursor, or the name that it is kept under: the same each time."""
        return cursor if len(cursor) <= SHORT else await in_thread(self._keep, cursor)

    async def whole(self, text: str) -> str:
        """Return the cursor that a text is, or names.

        Raises:
            CursorInvalid: it is not kept any more.
        """
        return await in_thread(self._find, text) if text.startswith(_PREFIX) else text

    def _keep(self, cursor: str) -> str:
        kept = self._known()
        name = _PREFIX + sha256(cursor.encode()).hexdigest()[:_NAME_LETTERS]
        known = kept.pop(name, None)
        kept[name] = cursor
        if known is None:
            gone = self._too_many(kept)
            stamp = time.time_ns().to_bytes(8, "big")
            self._cache.write(_KIND, self._directory, {name: (stamp, cursor.encode())}, gone)
        return name

    def _find(self, name: str) -> str:
        kept = self._known()
        cursor = kept.pop(name, None)
        if cursor is None:  # kept by another process since, perhaps
            self._kept = None
            cursor = self._known().get(name)
        if cursor is None:
            raise CursorInvalid("this cursor is not kept any more")
        self._known()[name] = cursor
        return cursor

    def _known(self) -> dict[str, str]:
        if self._kept is None:
            entries = self._cache.read(_KIND, self._directory)
            ordered = sorted(entries.items(), key=lambda entry: entry[1][0])
            self._kept = {name: value.decode() for name, (_, value) in ordered}
        return self._kept

    @staticmethod
    def _too_many(kept: dict[str, str]) -> list[str]:
        """Take out the first ones, where they are too many, and return their names."""
        gone = []
        size = sum(map(len, kept.values()))
        for name in [*kept][:-1]:
            if len(kept) <= _MOST and size <= _MOST_BYTES:
                break
            size -= len(kept.pop(name))
            gone.append(name)
        return gone

"""files that were skipped -> those to warn of: each once, for as long as it stays as it is.

The last 10,000 to 20,000 files are remembered in a process, by what an ``lstat`` shows.
"""

from __future__ import annotations

from collections.abc import Iterable

from sessiontail.errors import PersistenceError
from sessiontail.system.kept import Kept
from sessiontail.system.stamps import FileId, FileStamp
from sessiontail.system.statuses import status_of

__all__ = ["untold"]

# What was warned of a file, and what it was like then; by path.
_told: Kept[str, tuple[str, FileId, FileStamp]] = Kept(10_000)


def untold(skipped: Iterable[PersistenceError]) -> list[PersistenceError]:
    """Return those that nobody was warned of, and note that they are told. Blocks."""
    news = []
    for error in skipped:
        path = str(error.path)
        try:
            status = status_of(path)
        except OSError:  # gone, or of no file: nothing says whether it is the same
            news.append(error)
            continue
        now = (error.message, FileId.of(status), FileStamp.of(status))
        if _told.get(path) != now:
            _told.put(path, now)
            news.append(error)
    return news

"""What can go wrong, as one tree; every error keeps its evidence.

    PersistenceError            a session file cannot be read, trusted or changed
    ├── DamagedSession          a line is damaged, or no header was found
    ├── SessionNotFound         no file has this id or path
    ├── InvalidSessionId        the text is no id, so it never reaches the file system
    ├── SessionBusy             a writer holds the session, so it is not touched
    ├── SessionEnded            the session ended before what was waited for
    ├── CursorInvalid           the cursor does not fit the file
    ├── LineNotFound            the file has fewer lines
    ├── StreamBusy              two tasks pull from one stream (session/pulling)
    ├── InvalidPattern          what is to be searched for is no pattern
    ├── PatternTooSlow          a pattern takes too long for a text, so the search stops there
    └── MissingExtra            an optional dependency is not installed

``PersistenceError`` is a ``RuntimeError``, as in ``rath.session.persistence.errors``.
"""

from __future__ import annotations

from os import PathLike, fsdecode
from pathlib import Path

from sessiontail.urls import as_path

__all__ = [
    "CursorInvalid",
    "DamagedSession",
    "InvalidPattern",
    "InvalidSessionId",
    "LineNotFound",
    "MissingExtra",
    "PatternTooSlow",
    "PersistenceError",
    "SessionBusy",
    "SessionEnded",
    "SessionNotFound",
]


class PersistenceError(RuntimeError):
    """A session file cannot be read, trusted or changed.

    ``str(error)`` is ``path:line (byte offset): message``, without the parts that are unknown.
    """

    #: What happened, without the place.
    message: str
    #: The file, where one is known.
    path: Path | None
    #: The line, counted from 1.
    line: int | None
    #: The first byte of that line, counted from 0.
    offset: int | None
    #: The ``DamageReason`` value, ``no-header``, or None where the file is not at fault.
    reason: str | None

    def __init__(
        self,
        message: str,
        *,
        path: str | PathLike[str] | None = None,
        line: int | None = None,
        offset: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = None if path is None else as_path(path)
        self.line = line
        self.offset = offset
        self.reason = reason

    def __str__(self) -> str:
        if self.path is None:
            return self.message
        # An error is one line that prints anywhere, whatever bytes a name has.
        place = "".join(
            letter if letter.isprintable() else letter.encode("unicode_escape").decode()
            for letter in fsdecode(self.path)
        )
        if self.line is not None:
            place += f":{self.line}"
        if self.offset is not None:
            place += f" (byte {self.offset})"
        return f"{place}: {self.message}"


class DamagedSession(PersistenceError):
    """A line is damaged, or the file has no header; ``reason`` says which."""


class SessionNotFound(PersistenceError):
    """No file has this id or path."""


class InvalidSessionId(PersistenceError, ValueError):
    """The text is no session id (a UUID); a ``ValueError`` too, as in openrath 2.0.0."""


class SessionBusy(PersistenceError):
    """A writer holds the session, so it is not touched."""


class SessionEnded(PersistenceError):
    """The session ended before the record that was waited for."""


class CursorInvalid(PersistenceError):
    """The cursor is damaged, or does not fit the file; nothing was read from it."""


class LineNotFound(PersistenceError):
    """The file has fewer lines, so far; the message says how many."""


class InvalidPattern(PersistenceError, ValueError):
    """What is to be searched for is no pattern; nothing was read. A ``ValueError`` too."""


class PatternTooSlow(PersistenceError):
    """A pattern takes too long for one text; the error names the line, and the search ended there."""


class MissingExtra(PersistenceError):
    """An optional dependency is not installed; the message names the ``pip install``."""

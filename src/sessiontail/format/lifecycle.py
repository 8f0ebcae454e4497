"""What happens to a session: its states, the events between them, and how a tail of it ends.

                 STARTED             CLOSED                RESUMED (opened again)
    (nothing)  ---------->  LIVE  ------------>  CLOSED  ------------------------> LIVE
                             |  ^
                   ABANDONED |  | RESUMED (a writer came back)
                             v  |
                          ABANDONED

    any state  --- DELETED ---> (nothing)
    any state  --- REPLACED --> as if begun anew: cut, rewritten, or another file under the name

An ``Outcome`` is an event that ends a tail. A listing, which looks once, says UNKNOWN where nothing
proves that a file without a trailer is written, or that it is not.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["EventKind", "Outcome", "SessionState"]


class SessionState(StrEnum):
    """How a session stands in a listing. Equal to its text."""

    #: A trailer was read.
    CLOSED = "closed"
    #: A writer holds the WAL's lock.
    LIVE = "live"
    #: No trailer, and no writer: it crashed or was given up.
    ABANDONED = "abandoned"
    #: No trailer, and no way to know whether somebody writes.
    UNKNOWN = "unknown"


class EventKind(StrEnum):
    """What happened to a session. Equal to its text."""

    #: Its first record was written.
    STARTED = "started"
    #: Its trailer was written, and it got its final name.
    CLOSED = "closed"
    #: Its writer is gone, and it was not closed.
    ABANDONED = "abandoned"
    #: A writer came back and wrote on.
    RESUMED = "resumed"
    #: Its file is gone.
    DELETED = "deleted"
    #: Its file was truncated, rewritten or exchanged.
    REPLACED = "replaced"


class Outcome(StrEnum):
    """How a tail ended. Equal to its text."""

    #: The trailer was read, and the file has its final name.
    CLOSED = "closed"
    #: No clean end, and no writer holds the file.
    ABANDONED = "abandoned"
    #: The file is gone; what was written was read.
    DELETED = "deleted"
    #: The file was truncated, rewritten or exchanged under the reader.
    REPLACED = "replaced"

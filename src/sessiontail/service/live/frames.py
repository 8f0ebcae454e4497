r"""a record, where it stands, its cursor -> the bytes of an event of a stream: SSE, or a line of JSON.

Whatever a session says, the framing holds: JSON escapes newline and CR, and what else some program
takes for a line end (U+2028) is escaped as ``-o jsonl`` escapes it, lone surrogates too. An event is
named by its cursor, which stands behind it: who resumes with the id of an event gets the one after it.
The id of an end is a cursor and the outcome, ``<cursor>~closed``, so that who comes back with it is told
that there is nothing more. Nothing here opens or waits.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Literal, TypeAlias
from uuid import UUID

from sessiontail.errors import CursorInvalid
from sessiontail.format.lifecycle import Outcome
from sessiontail.format.records import Record
from sessiontail.format.valid_json import valid_json

__all__ = [
    "NDJSON",
    "SSE",
    "Form",
    "Frame",
    "end_frame",
    "end_id",
    "frame_of",
    "heartbeat",
    "joined",
    "opening",
    "parse_id",
    "preferred",
]

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"

Form: TypeAlias = Literal["sse", "ndjson"]

_MARK = "~"


class Frame:
    """One event, encoded once for all who get it.

    Args:
        event: ``header``, ``chunk``, ``trailer``, ``damage`` or ``end``.
        event_id: the cursor behind it.
        data: one line of JSON.
    """

    __slots__ = ("_head", "event", "event_id", "read_s", "sse")

    def __init__(self, event: str, event_id: str, data: bytes) -> None:
        self.event = event
        self.event_id = event_id
        #: When it was read, on the monotonic clock.
        self.read_s = time.monotonic()
        #: As an event of an SSE stream.
        self.sse = f"id: {event_id}\nevent: {event}\ndata: ".encode() + data + b"\n\n"
        self._head = len(self.sse) - len(data) - 2

    @property
    def data(self) -> bytes:
        """One line of JSON."""
        return self.sse[self._head : -2]

    @property
    def ndjson(self) -> bytes:
        """As a line of JSON."""
        head = f'{{"event": "{self.event}", "id": "{self.event_id}", "data": '.encode()
        return head + self.data + b"}\n"


def frame_of(record: Record, session_id: UUID | str, line: int | None, cursor: str) -> Frame:
    """Return the frame of a record.

    Args:
        record: the record.
        session_id: whose it is.
        line: its line, from 1; None where that is unknown.
        cursor: where the next record begins.
    """
    event = type(record).__name__.lower()
    # As ``-o jsonl`` prints it, and its line.
    data = valid_json({**record.to_dict(session_id), "line": line})
    return Frame(event, cursor, data.encode())


def end_frame(outcome: Outcome, cursor: str) -> Frame:
    """Return the frame that says how a session ended."""
    return Frame("end", end_id(cursor, outcome), f'{{"outcome": "{outcome.value}"}}'.encode())


def end_id(cursor: str, outcome: Outcome) -> str:
    """Return the id of the event that says how a session ended."""
    return f"{cursor}{_MARK}{outcome.value}"


def parse_id(text: str | None) -> tuple[str | None, Outcome | None]:
    """Return the cursor in an event's id, or a cursor itself, and the outcome if it was an end's.

    Nothing, or only blanks, is the start of a session.

    Raises:
        CursorInvalid: what stands behind the cursor is no outcome.
    """
    cursor, mark, outcome = (text or "").strip().partition(_MARK)
    if not mark:
        return cursor or None, None
    try:
        return cursor, Outcome(outcome)
    except ValueError:
        raise CursorInvalid(
            "the id is damaged: perhaps cut off when it was copied; start without it"
        ) from None


def opening(form: Form) -> bytes:
    """Return what a stream begins with: how long a browser waits before it comes back.

    No blank line follows here and below: some clients take each for the end of an event.
    """
    return b"retry: 1000\n" if form == "sse" else b""


def heartbeat(form: Form) -> bytes:
    """Return what says that a stream is alive, and is no event: a comment, or white space."""
    return b": \n" if form == "sse" else b" "


def joined(frames: Iterable[Frame], form: Form) -> bytes:
    """Return frames as the bytes of a stream."""
    if form == "sse":
        return b"".join([frame.sse for frame in frames])
    return b"".join([frame.ndjson for frame in frames])


def preferred(accept: Iterable[str]) -> Form:
    """Return the form that a request's Accept headers prefer; without any wish, SSE."""
    wishes: dict[str, float] = {}
    for header in accept:
        for part in header.split(","):
            name, *parameters = (piece.strip().lower() for piece in part.split(";"))
            weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
            wishes[name] = max(wishes.get(name, 0.0), _weight(weight))
    anything = wishes.get("*/*", 0.0)
    ndjson = max(wishes.get(NDJSON, 0.0), wishes.get("application/ndjson", 0.0))
    sse = wishes.get(SSE, wishes.get("text/*", anything))
    return "ndjson" if ndjson > sse else "sse"


def _weight(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0

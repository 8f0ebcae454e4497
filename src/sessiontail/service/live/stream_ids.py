"""the id of an event of ``/api/events`` <-> where its stream stands: one text, opaque to clients.

    n1:<boot>:<number>,<session id>:<place>,...

Which news its client has, by the number and the boot that counted it, and the place behind which each
asked session goes on, as ids of ``/api/sessions/{id}/events`` have it. Nothing here opens or waits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sessiontail.format.cursor import Position
from sessiontail.service.live.frames import parse_id
from sessiontail.service.problems import Problem

__all__ = ["StreamId", "parse_place"]

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# What a cursor is made of, and what says how a session ended.
_PLACE = rf"({_UUID}):([A-Za-z0-9._~-]{{1,600}})"
_SHAPE = re.compile(rf"n1:([0-9a-f]{{8}}):(\d{{1,18}})((?:,{_PLACE})*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class StreamId:
    """Where a stream stands."""

    #: Of the server that counted the news.
    boot: str
    #: Of the last news.
    number: int
    #: Behind which its records go on, by session: its id as text.
    places: Mapping[str, str]

    def encode(self) -> str:
        """Return it as text."""
        places = "".join(f",{session_id}:{place}" for session_id, place in self.places.items())
        return f"n1:{self.boot}:{self.number}{places}"

    @classmethod
    def decode(cls, text: str) -> StreamId:
        """Read an id.

        Raises:
            Problem: 400, it is none.
            CursorInvalid: a place in it is none.
        """
        found = _SHAPE.fullmatch(text.strip())
        if found is None:
            raise Problem(400, "no id of an event of this stream; begin without it")
        boot, number, rest = found.group(1, 2, 3)
        places = dict(parse_place(place) for place in rest.split(",")[1:])
        return cls(boot, int(number), places)


def parse_place(text: str) -> tuple[str, str]:
    """Return the session's id, and the place in it, of ``<session id>:<place>``.

    Raises:
        Problem: 400, it is none.
        CursorInvalid: the place is none.
    """
    found = re.fullmatch(_PLACE, text.strip(), re.ASCII)
    if found is None:
        raise Problem(400, "no place in a session; it is <session id>:<cursor>")
    cursor, _ = parse_id(found[2])
    Position.decode(cursor or "")
    return found[1], found[2]

"""``/api/events``: what happens in the directory, and the records of asked sessions, in one stream.

A browser has few connections to one server: this is the one that it needs. An event's id names all
that came before it, so that whoever comes back with it gets the rest, exactly.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from sessiontail.errors import PersistenceError
from sessiontail.format.cursor import START
from sessiontail.service.api.endpoints import Answer, Endpoint, refusal
from sessiontail.service.api.parameters import Parameter, read
from sessiontail.service.context import Context, context_of
from sessiontail.service.live.clients import Clients
from sessiontail.service.live.frames import (
    NDJSON,
    SSE,
    Form,
    Frame,
    heartbeat,
    joined,
    opening,
    preferred,
)
from sessiontail.service.live.news import News
from sessiontail.service.live.session_feed import SessionFeed
from sessiontail.service.live.sse import EventStream
from sessiontail.service.live.stream_ids import StreamId, parse_place
from sessiontail.service.problems import Problem
from sessiontail.store import SessionStore
from sessiontail.system.signals import Signal

__all__ = ["ENDPOINTS"]

_MOST_SESSIONS = 8

_PARAMETERS = (
    Parameter(
        name="session",
        about="A session whose records are sent too; one that is not there yet is waited for.",
        kind="session",
        repeated=True,
        most_values=_MOST_SESSIONS,
    ),
    Parameter(
        name="after",
        about="<session id>:<cursor>: where the records of an asked session begin; by default at "
        "its end as it is now.",
        repeated=True,
        most_values=_MOST_SESSIONS,
    ),
    Parameter(
        name="last-event-id",
        about="The id of an event of this stream: go on behind it. It goes before after.",
        place="header",
        max_length=8000,
    ),
)

_READY = "ready"
_EVENTS = (
    _READY, "started", "closed", "abandoned", "resumed", "deleted", "replaced", "changed",
    "unreadable", "header", "chunk", "trailer", "damage", "end",
)  # fmt: skip


async def stream_directory(request: Request) -> Response:
    """Answer with the events of the directory, and the records of asked sessions."""
    context = context_of(request)
    values = read(request, _PARAMETERS)
    asked = tuple(dict.fromkeys(map(str, values["session"])))
    after = dict(map(parse_place, values["after"]))
    if other := after.keys() - {*asked}:
        raise Problem(400, f"after names a session that session does not: {min(other)}")
    text = values["last-event-id"]
    last = StreamId.decode(text) if text else None
    form = preferred(request.headers.getlist("accept"))
    stream = _Stream(context, form, asked, last)
    return EventStream(
        context,
        stream.events({**after, **(last.places if last else {})}),
        media_type=SSE if form == "sse" else NDJSON,
        heartbeat=heartbeat(form),
        headers={"Vary": "Accept"},
    )


@dataclass
class _Stream:
    """One client's."""

    context: Context
    form: Form
    asked: Sequence[str]
    last: StreamId | None

    def __post_init__(self) -> None:
        self._news = self.context.part(News)
        self._figures = self.context.part(Clients).figures
        self._number = 0
        self._places: dict[str, str] = {}

    async def events(self, places: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of events, whole ones.

        Args:
            places: where the records of sessions begin, as far as that is said.
        """
        signal = Signal()
        feeds: dict[str, SessionFeed] = {}
        with self._news.listening(signal.set):
            await self._news.begun()
            complete = self._resume()
            try:
                for session_id in self.asked:
                    place = places.get(session_id) or await _end_now(self.context.store, session_id)
                    self._places[session_id] = place
                    feeds[session_id] = SessionFeed(
                        self.context, UUID(session_id), place, signal.set
                    )
                yield opening(self.form) + self._joined([self._ready(complete=complete)])
                for feed in feeds.values():
                    feed.start()
                while True:
                    waits = True
                    for data in self._what_came(feeds):
                        waits = False
                        yield data
                        del data  # not kept until there is more: 64 KB, of each client
                    if waits:
                        await signal.wait()
            finally:
                for feed in feeds.values():
                    feed.stop()

    def _resume(self) -> bool:
        """Go on behind the client's last news; say whether all are known that came since."""
        last, news = self.last, self._news
        known = last is not None and last.boot == news.boot and news.reaches(last.number)
        self._number = last.number if known and last is not None else news.last
        return known

    def _what_came(self, feeds: Mapping[str, SessionFeed]) -> Iterable[bytes]:
        if self._number != self._news.last:
            yield self._joined(self._new_news(feeds))
        for session_id, feed in feeds.items():
            if feed.failed:
                raise RuntimeError("a session's records cannot be sent")
            if frames := feed.take():
                yield self._joined(self._renamed(session_id, frame) for frame in frames)
                self._figures.sent(len(frames), frames[0].read_s)

    def _new_news(self, feeds: Mapping[str, SessionFeed]) -> Iterable[Frame]:
        if not self._news.reaches(self._number):
            self._number = self._news.last
            for one in feeds.values():
                one.revive()  # a writer that came back may be among what is not known
            yield self._ready(complete=False)
            return
        for entry in self._news.after(self._number):
            self._number = entry.number
            feed = feeds.get(entry.session_id or "")
            if feed is not None and entry.kind != "abandoned":
                feed.revive()
            yield Frame(entry.kind, self._id(), entry.data)

    def _renamed(self, session_id: str, frame: Frame) -> Frame:
        """Return a frame of a session as an event of this stream."""
        self._places[session_id] = frame.event_id
        return Frame(frame.event, self._id(), frame.data)

    def _ready(self, *, complete: bool) -> Frame:
        said = b'{"complete": true}' if complete else b'{"complete": false}'
        return Frame(_READY, self._id(), said)

    def _id(self) -> str:
        return StreamId(self._news.boot, self._number, self._places).encode()

    def _joined(self, frames: Iterable[Frame]) -> bytes:
        return joined(frames, self.form)


async def _end_now(store: SessionStore, session_id: str) -> str:
    """Return the end of a session as it is now; the start where it is not there yet."""
    try:
        async with store.read(session_id, last=0) as feed:
            async for _ in feed:
                pass
            return feed.cursor
    except PersistenceError:  # not there, or not to be read: what it says later is all new
        return START.encode()


_EVENT_SCHEMA = {
    "type": "object",
    "required": ["event", "id", "data"],
    "properties": {
        "event": {"type": "string", "enum": [*_EVENTS]},
        "id": {"type": "string"},
        "data": {"type": "object"},
        "retry": {"type": "integer", "description": "Of the first event, by SSE: milliseconds."},
    },
    "additionalProperties": False,
}

ENDPOINTS = (
    Endpoint(
        path="/api/events",
        handle=stream_directory,
        operation_id="streamDirectory",
        summary="Streams what happens to sessions, and the records of those that are asked for.",
        parameters=_PARAMETERS,
        responses={
            200: Answer(
                about="First ready, which says whether all news since the given id follow; where "
                "they do not, or there was no id, the sessions are to be listed anew. Then what "
                "happens to sessions, each with its meta, and the records of those asked for.",
                media_type=SSE,
                schema=_EVENT_SCHEMA,
                also={NDJSON: _EVENT_SCHEMA},
            ),
            409: refusal("A cursor in the id is damaged: begin without it."),
        },
    ),
)

"""``/api/sessions/{session_id}/events``: one session, live, as SSE or as lines of JSON.

Where a stream begins is an id of an event: all that comes behind it, and nothing else, is sent. Who
comes back with the id of an ``end`` is answered 204, so that a browser stops asking, unless there is
more by then: records behind it, or a writer that took the session up again.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import Response

from sessiontail.errors import CursorInvalid, DamagedSession, PersistenceError, SessionNotFound
from sessiontail.format.lifecycle import SessionState
from sessiontail.service.api.endpoints import Answer, Endpoint, refusal
from sessiontail.service.api.parameters import SESSION_ID, Parameter, read
from sessiontail.service.context import Context, context_of
from sessiontail.service.live.clients import Clients
from sessiontail.service.live.frames import (
    NDJSON,
    SSE,
    Form,
    heartbeat,
    joined,
    opening,
    parse_id,
    preferred,
)
from sessiontail.service.live.sharing import Place, Sharing
from sessiontail.service.live.sse import EventStream
from sessiontail.service.problems import Problem
from sessiontail.store import SessionStore

__all__ = ["ENDPOINTS"]

logger = logging.getLogger("sessiontail.service")

_PARAMETERS = (
    SESSION_ID,
    Parameter(
        name="after",
        about="The id of an event, or a record's cursor: begin behind it. By default at the start.",
    ),
    Parameter(
        name="wait",
        about="A session that is not there yet is waited for so many seconds.",
        kind="number",
        default=0.0,
        least=0,
    ),
    Parameter(
        name="last-event-id",
        about="As after, which it goes before: browsers send it when they come back.",
        place="header",
    ),
)

_EVENT_SCHEMA = {
    "type": "object",
    "required": ["event", "id", "data"],
    "properties": {
        "event": {"type": "string", "enum": ["header", "chunk", "trailer", "damage", "end"]},
        "id": {"type": "string", "description": "The cursor behind the record."},
        "data": {"type": "object", "description": "The record; of an end, its outcome."},
    },
}


async def stream_session(request: Request) -> Response:
    """Answer with the events of a session."""
    context = context_of(request)
    values = read(request, _PARAMETERS)
    most_s = context.limits.wait_s
    if values["wait"] > most_s:
        raise Problem(400, f"wait is {most_s:g} seconds at most")
    cursor, outcome = parse_id(values["last-event-id"] or values["after"])
    form = preferred(request.headers.getlist("accept"))
    place = Place(context.part(Sharing), values["session_id"], cursor)
    return EventStream(
        context,
        _events(context, place, form, wait_s=values["wait"], ended=outcome is not None),
        media_type=SSE if form == "sse" else NDJSON,
        heartbeat=heartbeat(form),
        headers={"Vary": "Accept"},
    )


async def _events(
    context: Context, place: Place, form: Form, *, wait_s: float, ended: bool
) -> AsyncGenerator[bytes, None]:
    if ended and await _is_over(context.store, place):
        return
    figures = context.part(Clients).figures
    with place:
        await place.begin(wait_s)
        yield opening(form)
        try:
            while frames := await place.frames():
                count, read_s = len(frames), frames[0].read_s
                data = joined(frames, form)
                # Frames that no one else has any more, and their bytes, are not kept until there are more.
                del frames
                yield data
                del data
                figures.sent(count, read_s)
        except PersistenceError as error:
            # The stream just ends: who comes back with its last id is told, or goes on.
            logger.warning("%s", error)


async def _is_over(store: SessionStore, place: Place) -> bool:
    """Say whether nothing came behind the end of a session that its client was told of."""
    try:
        async with store.read(place.session_id, after=place.cursor) as feed:
            async for _ in feed:
                return False
        return (await store.meta(place.session_id)).state is not SessionState.LIVE
    except (CursorInvalid, DamagedSession, SessionNotFound):
        return True  # deleted, or another file: what the client has read has ended


ENDPOINTS = (
    Endpoint(
        path="/api/sessions/{session_id}/events",
        handle=stream_session,
        operation_id="streamSession",
        summary="Streams a session's records as they are written, until it ends.",
        parameters=_PARAMETERS,
        responses={
            200: Answer(
                about="Each record once, in order, as SSE, or as a line of JSON each where Accept "
                "prefers application/x-ndjson; the last event says how the session ended.",
                media_type=SSE,
                schema=_EVENT_SCHEMA,
                also={NDJSON: _EVENT_SCHEMA},
            ),
            204: Answer(about="The session ended before this id; stop asking.", media_type=None),
            409: refusal("The cursor does not fit the session: begin without it."),
        },
    ),
)

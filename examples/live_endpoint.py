"""Sessions over HTTP, live: GET /sessions/ID gives each record as a server-sent event.

An event's id is the cursor behind its record, so a browser's EventSource, which sends the last one
when it connects again, goes on exactly there. `uvicorn live_endpoint:app` serves it too.
"""

import argparse
import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Annotated, Any
from weakref import WeakSet

import uvicorn
from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette

from sessiontail import (
    CursorInvalid,
    InvalidSessionId,
    PersistenceError,
    SessionStore,
    SessionTail,
)


class Streams:
    """The open streams. They end when the server is told to stop: it would wait for them for ever."""

    def __init__(self) -> None:
        self.stopping = False
        self._tails: WeakSet[SessionTail] = WeakSet()

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Hear of the signal before the server does; it ends its lifespan only after the streams."""
        loop = asyncio.get_running_loop()
        servers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def stop(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self.end)
            server = servers[signal.Signals(number)]
            if callable(server):
                server(number, frame)

        for number in servers:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number, server in servers.items():
                signal.signal(number, server)

    def end(self) -> None:
        """End all streams: a tail that is closed ends its `async for`."""
        self.stopping = True
        for tail in [*self._tails]:
            tail.close()

    async def events(self, tail: SessionTail) -> AsyncIterator[str]:
        """Yield a tail's records as events. A client that leaves cancels this, and it the tail."""
        self._tails.add(tail)
        if self.stopping:
            tail.close()
        async with tail:
            try:
                async for record in tail:
                    yield event("record", record.to_dict(tail.session_id), tail.cursor)
            except PersistenceError as error:
                yield event("error", {"message": str(error)})
            else:  # the outcome is null where the server stops: connect again
                yield event("end", {"outcome": tail.outcome})


def event(name: str, data: dict[str, Any], cursor: str | None = None) -> str:
    """Return a server-sent event."""
    place = f"id: {cursor}\n" if cursor else ""
    return f"event: {name}\n{place}data: {json.dumps(data)}\n\n"


streams = Streams()
app = FastAPI(lifespan=streams.lifespan)
app.state.directory = None


@app.get("/sessions/{session_id}")
async def follow(
    session_id: str, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Follow a session until it ends."""
    store = SessionStore(app.state.directory)
    try:
        await store.meta(session_id)
        tail = store.tail(session_id, after=last_event_id)
    except (CursorInvalid, InvalidSessionId) as error:
        raise HTTPException(400, error.message) from error
    except PersistenceError as error:  # its message, without the path: a client need not know it
        raise HTTPException(404, error.message) from error
    return StreamingResponse(streams.events(tail), media_type="text/event-stream")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", help="the sessions (default: where openrath puts them)")
    parser.add_argument("--port", type=int, default=8000, help="on 127.0.0.1 (8000)")
    given = parser.parse_args()
    app.state.directory = given.dir
    uvicorn.run(app, port=given.port)

"""The live endpoint of ``examples`` with Starlette alone: the same streams, another route."""

from __future__ import annotations

import os

from live_endpoint import Streams
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from sessiontail import tail_session

streams = Streams()


async def follow(request: Request) -> StreamingResponse:
    tail = tail_session(
        request.path_params["session_id"],
        directory=os.environ["SESSIONS"],
        after=request.headers.get("last-event-id"),
    )
    return StreamingResponse(streams.events(tail), media_type="text/event-stream")


app = Starlette(routes=[Route("/sessions/{session_id}", follow)], lifespan=streams.lifespan)

"""``/mcp``: the tools for agents over streamable HTTP, where the extra ``mcp`` is installed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sessiontail.errors import MissingExtra
from sessiontail.service.api.disconnects import until_disconnect
from sessiontail.service.context import Context, context_of
from sessiontail.service.live.clients import Clients
from sessiontail.service.live.sse import EventStream
from sessiontail.service.problems import Problem
from sessiontail.system.files import in_thread

if TYPE_CHECKING:
    from sessiontail.mcp.http import HttpTools, StreamedCall

__all__ = ["routes"]


def routes(context: Context) -> Iterator[BaseRoute]:  # noqa: ARG001 - what each of these takes
    """Yield the route; where the extra is not installed, it says so."""
    yield Route("/mcp", _answer, methods=["GET", "POST", "DELETE"])


async def _answer(request: Request) -> Response:
    context = context_of(request)
    # To import the SDK takes a second: not of the event loop.
    try:
        await in_thread(import_module, "sessiontail.mcp.http")
    except MissingExtra as error:
        raise Problem(501, str(error)) from error
    from sessiontail.mcp.http import MAX_BODY_BYTES, StreamedCall  # noqa: PLC0415 - an optional extra

    tools = context.part(_tools_of)
    body = await _body(request, MAX_BODY_BYTES)
    address = "" if request.client is None else request.client.host
    with context.part(Clients).joined(address) as client:
        # A call that is answered by JSON waits as long as one whose messages are streamed.
        client.farewell = tools.stop
        answer = partial(tools.answer, request.method, request.headers, body)
        # Nobody is left to read what a call finds that waits for five minutes.
        reply = await until_disconnect(request, answer)
    if isinstance(reply, StreamedCall):
        return _Call(context, tools, reply)
    return Response(reply.body, reply.status, reply.headers)


def _tools_of(context: Context) -> HttpTools:
    from sessiontail.mcp.http import HttpTools  # noqa: PLC0415 - an optional extra
    from sessiontail.mcp.server import ToolServer  # noqa: PLC0415 - an optional extra
    from sessiontail.mcp.toolbox import Toolbox  # noqa: PLC0415 - an optional extra

    return HttpTools(ToolServer(Toolbox(context.store)))


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise Problem(413, f"a message has at most {most} bytes")
    return bytes(body)


class _Call(Response):
    """Streams the messages of a call; when its client goes, the call is ended."""

    def __init__(self, context: Context, tools: HttpTools, call: StreamedCall) -> None:
        super().__init__()
        self._context, self._tools, self._call = context, tools, call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        from sessiontail.mcp.http import events_of  # noqa: PLC0415 - an optional extra

        async with self._tools.served(self._call) as messages:
            stream = EventStream(
                self._context,
                events_of(messages),
                media_type="text/event-stream",
                heartbeat=b": \r\n\r\n",
                farewell=self._tools.stop,
            )
            await stream(scope, receive, send)

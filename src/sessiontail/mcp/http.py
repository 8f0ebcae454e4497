"""an HTTP request -> what answers it: JSON, or the messages of a call as they come (streamable HTTP).

Nothing is kept between two requests but the calls in flight. A client is given a name, with which it can
cancel its calls, and every name is taken: so a restart of the server costs no client its session, only
the calls that were in flight, which lose nothing. There is no stream that the server begins: it has
nothing to say unasked.

No part of a web framework, and no task that outlives a request: each is served where it is answered.
The SDK's own transport would end its streams by a look at uvicorn's signals, each half second.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp.shared.version import SUPPORTED_PROTOCOL_VERSIONS
from mcp.types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
)

from sessiontail.mcp.server import ToolServer

__all__ = ["MAX_BODY_BYTES", "HttpTools", "Messages", "Reply", "StreamedCall", "events_of"]

#: Of a request; a call has some hundred.
MAX_BODY_BYTES = 4 * 1024 * 1024

_CLIENT = "mcp-session-id"
_VERSION = "mcp-protocol-version"
_JSON = "application/json"

Messages: TypeAlias = MemoryObjectReceiveStream[SessionMessage]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamedCall:
    """A call whose messages are streamed as they come: enter ``HttpTools.served`` with it."""

    request: JSONRPCRequest
    client: str


class HttpTools:
    """Answers the requests of MCP clients.

    Args:
        server: answers what they ask.
    """

    def __init__(self, server: ToolServer) -> None:
        self._server = server

    async def answer(
        self, method: str, headers: Mapping[str, str], body: bytes
    ) -> Reply | StreamedCall:
        """Return what answers a request.

        Args:
            method: GET, POST or DELETE.
            headers: by their names in small letters.
            body: all of it.
        """
        client = headers.get(_CLIENT, "")
        if not re.fullmatch(r"[\x21-\x7e]{0,128}", client):
            return _refusal(400, "a session id has at most 128 visible letters")
        if method == "DELETE":
            if client:
                self._server.calls.cancel(client)
            return Reply(200)
        if method != "POST":
            allow = {"allow": "POST, DELETE"}
            return _refusal(405, "the server begins no stream: POST a message", headers=allow)
        if headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            return _refusal(415, f"a message is {_JSON}")
        spoken = headers.get(_VERSION)
        if spoken is not None and spoken not in SUPPORTED_PROTOCOL_VERSIONS:
            known = ", ".join(SUPPORTED_PROTOCOL_VERSIONS)
            return _refusal(400, f"protocol versions here are {known}")
        try:
            message = JSONRPCMessage.model_validate(json.loads(body)).root
            str(getattr(message, "id", "")).encode()  # a lone surrogate could not be sent back
        except (ValueError, RecursionError):
            return _refusal(400, "that is no JSON-RPC message", code=PARSE_ERROR)
        if isinstance(message, JSONRPCRequest):
            accepted = headers.get("accept", "")
            if message.method == "tools/call" and "text/event-stream" in accepted:
                return StreamedCall(message, client)
            return await self._at_once(message, client)
        if isinstance(message, JSONRPCNotification):
            self._hear(message, client)
        return Reply(202)

    @asynccontextmanager
    async def served(self, call: StreamedCall) -> AsyncIterator[Messages]:
        """Serve a request meanwhile: the messages that it is answered with, the answer last.

        Leaving ends the call, wherever it is.
        """
        to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](1)
        outgoing, from_server = anyio.create_memory_object_stream[SessionMessage](0)
        server = self._server.server
        options = server.create_initialization_options()

        async def serve() -> None:
            await server.run(incoming, outgoing, options, stateless=True)

        with to_server, from_server:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve)
                metadata = ServerMessageMetadata(request_context=call.client)
                to_server.send_nowait(SessionMessage(JSONRPCMessage(call.request), metadata))
                yield from_server
                tasks.cancel_scope.cancel()

    def stop(self) -> None:
        """Answer all calls at once, for the server stops: a client waits for an answer that never comes."""
        self._server.calls.stop()

    async def _at_once(self, request: JSONRPCRequest, client: str) -> Reply:
        answer: SessionMessage | None = None
        async with self.served(StreamedCall(request, client)) as messages:
            async for one in messages:
                if _is_answer(one):
                    answer = one
                    break
        assert answer is not None
        headers = {"content-type": _JSON}
        if request.method == "initialize":
            headers[_CLIENT] = client or secrets.token_hex(16)
        return Reply(200, _dumped(answer), headers)

    def _hear(self, message: JSONRPCNotification, client: str) -> None:
        """Take a notification: of those that clients send, only one says something here."""
        number: Any = (message.params or {}).get("requestId")
        if message.method == "notifications/cancelled" and client and type(number) in (str, int):
            self._server.calls.cancel(client, str(number))


async def events_of(messages: Messages) -> AsyncGenerator[bytes, None]:
    """Yield the messages of a call as server-sent events; nothing at first, so that headers go out."""
    yield b""
    async for one in messages:
        yield b"event: message\r\ndata: %b\r\n\r\n" % _dumped(one)
        if _is_answer(one):
            return


def _is_answer(one: SessionMessage) -> bool:
    return isinstance(one.message.root, (JSONRPCResponse, JSONRPCError))


def _dumped(one: SessionMessage) -> bytes:
    return one.message.model_dump_json(by_alias=True, exclude_none=True).encode()


def _refusal(
    status: int,
    message: str,
    *,
    code: int = INVALID_REQUEST,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    error = JSONRPCError(
        jsonrpc="2.0", id="server-error", error=ErrorData(code=code, message=message)
    )
    body = error.model_dump_json(by_alias=True, exclude_none=True).encode()
    return Reply(status, body, {"content-type": _JSON, **(headers or {})})

"""an async generator of bytes -> a response that streams them for as long as its client takes them.

Of the generator: what it raises before its first bytes is answered as a problem; if it ends before
them, there is nothing to say, 204; with the first bytes, which may be empty, the headers are sent. It is
closed when the stream ends, whyever that is: it ends, the client goes, the client does not take what is
sent, or all streams end (``Clients.end``). Each of these touches this stream alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

import anyio
from anyio import CancelScope, create_task_group
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sessiontail.service.context import Context
from sessiontail.service.live.clients import Client, Clients

__all__ = ["ABORT", "EventStream"]

#: The name under which a server gives, among a request's extensions, what cuts its connection at
#: once: ``{"abort": function}``. Without it, what a stuck client has not taken stays until it goes.
ABORT = "sessiontail.abort"

# A stuck client holds at most this much of a record, and as much in the server's buffer.
_PIECE_BYTES = 64 * 1024
# The end of a stream is sent within this, or the connection is cut.
_END_S = 0.25


class EventStream(Response):
    """Streams bytes; answers one request.

    Args:
        context: the application's.
        source: what is sent; the bytes of one ``yield`` are whole events.
        media_type: of all of it.
        heartbeat: sent where nothing was for long; empty: nothing is.
        headers: more of the answer's.
        holds: bytes that the source keeps until they are taken; 0 for one that has no end.
        farewell: called when all streams end: the source then says its last words, for which it has
            a moment. By default it is cancelled where it waits.
    """

    def __init__(
        self,
        context: Context,
        source: AsyncGenerator[bytes, None],
        *,
        media_type: str,
        heartbeat: bytes = b"",
        headers: Mapping[str, str] | None = None,
        holds: int = 0,
        farewell: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(None, 200, {"X-Accel-Buffering": "no", **(headers or {})}, media_type)
        del self.headers["content-length"]  # nobody knows it
        self._source = source
        self._clients = context.part(Clients)
        self._heartbeat = heartbeat
        self._farewell = farewell
        self._holds = holds
        self._heartbeat_s = context.limits.heartbeat_s if heartbeat else math.inf
        self._timeout_s = context.limits.send_timeout_s
        # Set when the heartbeat that is being sent was; None: none is.
        self._beaten: anyio.Event | None = None
        self._begun = False
        # The client went; it takes nothing.
        self._gone = self._stuck = False
        # When what is being sent began to be, and when anything was sent last.
        self._sending_s: float | None = None
        self._sent_s = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            Problem: there are too many streams.
            Exception: what the source raised.
        """
        failed: Exception | None = None
        address = (scope.get("client") or ("",))[0]
        async with aclosing(self._source) as source:
            with self._clients.joined(address, self._holds) as client:
                client.farewell = self._farewell
                async with create_task_group() as group:
                    client.runs_in(group.cancel_scope)
                    group.start_soon(self._watch, receive, send, group.cancel_scope)
                    try:
                        await self._send_all(source, client, scope, send)
                    except Exception as error:  # noqa: BLE001 - raised below, outside of the group
                        failed = error
                    group.cancel_scope.cancel()
                if failed is not None:
                    raise failed
                if not self._gone:
                    await self._end(client, scope, receive, send)

    async def _send_all(
        self, source: AsyncGenerator[bytes, None], client: Client, scope: Scope, send: Send
    ) -> None:
        async for data in source:
            if not self._begun:
                await self._begin(send)
                if scope["method"] == "HEAD":
                    return
            if data:
                client.sending = True
                if self._beaten is not None:
                    await self._beaten.wait()
                await self._put(data, send)
                client.sending = False
            # Not kept until there is more: 64 KB, of each client.
            del data
            if client.ending and self._farewell is None:
                return

    async def _begin(self, send: Send) -> None:
        self._sending_s = time.monotonic()
        status, headers = self.status_code, self.raw_headers
        await send({"type": "http.response.start", "status": status, "headers": headers})
        self._begun, self._sending_s, self._sent_s = True, None, time.monotonic()

    async def _put(self, data: bytes, send: Send) -> None:
        """Send bytes, piece by piece: the server waits for the client between two of them."""
        for begin in range(0, len(data), _PIECE_BYTES):
            piece = data if len(data) <= _PIECE_BYTES else data[begin : begin + _PIECE_BYTES]
            self._sending_s = time.monotonic()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        self._sending_s, self._sent_s = None, time.monotonic()
        self._clients.figures.bytes += len(data)

    async def _watch(self, receive: Receive, send: Send, scope: CancelScope) -> None:
        """Cancel when the client goes or takes nothing; send heartbeats."""
        while True:
            with anyio.move_on_after(self._rest_s()):
                if (await receive())["type"] == "http.disconnect":
                    self._gone = True
                    scope.cancel()
                    return
                continue
            now_s = time.monotonic()
            if self._sending_s is not None:
                self._stuck = now_s - self._sending_s >= self._timeout_s
            elif self._begun and now_s - self._sent_s >= self._heartbeat_s:
                self._stuck = not await self._beat(send)
            if self._stuck:
                self._clients.figures.slow_clients += 1
                scope.cancel()
                return

    async def _beat(self, send: Send) -> bool:
        """Send a heartbeat; say whether it was taken in time."""
        self._beaten = beaten = anyio.Event()
        with anyio.move_on_after(self._timeout_s) as waiting:
            await self._put(self._heartbeat, send)
        self._beaten = None
        beaten.set()
        return not waiting.cancelled_caught

    def _rest_s(self) -> float:
        """Return after how many seconds there may be something to do."""
        now_s = time.monotonic()
        if self._sending_s is not None:
            timeout_s, quiet_s = self._sending_s + self._timeout_s - now_s, 0.0
        else:
            timeout_s, quiet_s = self._timeout_s, now_s - self._sent_s if self._begun else 0.0
        return max(0.0, min(timeout_s, self._heartbeat_s - quiet_s))

    async def _end(self, client: Client, scope: Scope, receive: Receive, send: Send) -> None:
        """Say that this is all; where the client does not take it, cut the connection."""
        if not (self._begun or self._stuck):
            if client.ending:
                raise self._clients.closed()
            if client.cut_off:
                raise self._clients.crowded()
            await Response(status_code=204)(scope, receive, send)
            return
        # What was cut off in the middle of an event ends as such.
        if not (self._stuck or client.sending or client.cut_off):
            with anyio.move_on_after(_END_S):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
        abort = scope.get("extensions", {}).get(ABORT, {}).get("abort")
        if abort is not None:
            abort()
            # Until the server knows that it is gone: it would complain of an answer without an end.
            with anyio.move_on_after(_END_S):
                while (await receive())["type"] != "http.disconnect":
                    pass

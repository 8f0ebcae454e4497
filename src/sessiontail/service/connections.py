"""uvicorn's connections, counted: one too many is refused, one that asks for nothing is cut.

uvicorn limits what a request's head may be, but not how long a client takes to send it (slowloris), and
it counts connections only once they have sent one. Here a connection counts from its first moment, and
has so many seconds for each head, and for each body. Whoever is above the number takes the place of the
one that has asked for nothing for longest; where all are answered now, it is told 503 at once. What is
no request is answered by a problem, as all that is refused, and whoever still sends reads that answer.
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import Any, TypeAlias

import anyio
import h11
from anyio import CancelScope
from anyio.lowlevel import checkpoint
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sessiontail.service.closing import SoftTransport
from sessiontail.service.guard.security import HEADERS
from sessiontail.service.live.sse import ABORT
from sessiontail.service.problems import Problem
from sessiontail.service.turns import Turns

__all__ = ["HEAD_TIMEOUT_S", "Connections"]

#: For the head of a request.
HEAD_TIMEOUT_S = 10.0
# For its body, so many times as long.
_BODY_TIMES = 6
# Read from a connection in one turn of the loop.
_READ_BYTES = 4 * 1024
# So often it is looked who is too slow.
_LOOK_S = 1.0
# Of those that were answered and may still be sending, so many are heard out, each for half of the time of
# a head.
_MOST_LINGERING = 100

_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\n"
    b"Connection: close\r\n\r\n"
)

# Both ends of a connection: no two that are open have the same.
_Ends: TypeAlias = tuple[object, object]


class Connections:
    """The open connections of a server.

    Args:
        most: so many may be open.
        head_timeout_s: a client has so long for the head of a request.
    """

    def __init__(self, most: int, head_timeout_s: float = HEAD_TIMEOUT_S) -> None:
        self.most = most
        #: How many were refused.
        self.refused = 0
        self._head_timeout_s = head_timeout_s
        self._open: dict[_Ends, _Connection] = {}
        # Those of which the head of a request is waited for, since when: the first one for longest.
        self._idle: dict[_Connection, None] = {}
        # Those that were closed, and whose clients may still be sending: the first one for longest.
        self._lingering: dict[_Connection, None] = {}
        # Who may begin now.
        self._turns = Turns()
        # What answers a request now.
        self._answering: set[CancelScope] = set()

    def __len__(self) -> int:
        return len(self._open)

    def protocol(self) -> type[_Connection]:
        """Return what uvicorn makes of each connection."""
        return type("Connection", (_Connection,), {"counted_by": self})

    def wrapped(self, app: ASGIApp) -> ASGIApp:
        """Return an application that marks which connection it answers."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            connection = self._open.get((scope.get("client"), scope.get("server")))
            if scope["type"] != "http" or connection is None:
                await app(scope, receive, send)
                return
            scope.setdefault("extensions", {})[ABORT] = {"abort": connection.abort}
            connection.due_s = None
            connection.answers += 1
            self._idle.pop(connection, None)
            if _has_body(scope):
                connection.due_s = time.monotonic() + _BODY_TIMES * self._head_timeout_s
                receive = connection.noting_end(receive)
            with CancelScope() as answering:
                self._answering.add(answering)
                try:
                    await self._turns.take()
                    await app(scope, receive, send)
                finally:
                    self._answering.discard(answering)
                    connection.answers -= 1
                    # The next request may be here before all of the last one is tidied up.
                    if not connection.answers:
                        self.expect_head(connection)
            if answering.cancelled_caught:
                # Until uvicorn knows that the connection is gone: it would complain of no answer.
                await checkpoint()

        return answer

    async def cut_slow(self) -> None:
        """Cut, until cancelled, whoever takes too long for a request."""
        while True:
            await anyio.sleep(min(_LOOK_S, self._head_timeout_s / 4))
            now_s = time.monotonic()
            for connection in [*self._open.values(), *self._lingering]:
                if connection.is_late(now_s):
                    connection.abort()

    def cut(self) -> None:
        """Cut all connections, and end what answers them."""
        for connection in [*self._open.values(), *self._lingering]:
            connection.abort()
        for answering in [*self._answering]:
            answering.cancel()

    def enter(self, ends: _Ends, connection: _Connection) -> bool:
        """Count a connection; say whether it may stay."""
        if len(self._open) >= self.most:
            self.refused += 1
            if not self._idle:
                return False
            # It leaves when the loop comes to it; what it would have asked is lost, as when it is slow.
            oldest = next(iter(self._idle))
            del self._idle[oldest]
            oldest.abort()
        self._open[ends] = connection
        connection.ends = ends
        self.expect_head(connection)
        return True

    def expect_head(self, connection: _Connection) -> None:
        """Give a connection its time for the head of the next request."""
        if connection in self._lingering:
            return
        connection.due_s = time.monotonic() + self._head_timeout_s
        self._idle.pop(connection, None)
        if connection.ends is not None and self._open.get(connection.ends) is connection:
            self._idle[connection] = None

    def linger(self, connection: _Connection) -> None:
        """Hear a connection out that was answered; it has no place any more that others wait for."""
        self.leave(connection)
        connection.due_s = time.monotonic() + self._head_timeout_s / 2
        self._lingering[connection] = None
        if len(self._lingering) > _MOST_LINGERING:
            # It leaves when the loop comes to it: of many that come until then, each cuts another one.
            oldest = next(iter(self._lingering))
            del self._lingering[oldest]
            oldest.abort()

    def leave(self, connection: _Connection) -> None:
        """Count a connection no more."""
        if connection.ends is not None and self._open.get(connection.ends) is connection:
            del self._open[connection.ends]
        self._idle.pop(connection, None)
        self._lingering.pop(connection, None)


class _Connection(H11Protocol):
    """A connection that counts."""

    counted_by: Connections
    #: When it is cut, unless the rest of a request has come; None: nothing is waited for.
    due_s: float | None = None
    #: How many requests of it are answered now; of the last one the end may be sent already.
    answers: int = 0
    #: Both ends; None where it was refused.
    ends: _Ends | None = None
    #: What is written to.
    soft: SoftTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        ends = (_address(transport, "peername"), _address(transport, "sockname"))
        self.soft = SoftTransport(transport, self._is_unread, self._linger)
        if not self.counted_by.enter(ends, self):
            self.soft.write(_REFUSAL)
            self.soft.close()
            return
        # 256 KiB by default, all of which is parsed in one turn of the loop: half a second of chunks.
        transport.max_size = _READ_BYTES  # type: ignore[attr-defined] # what asyncio's own have
        super().connection_made(self.soft)

    def data_received(self, data: bytes) -> None:
        if self.soft.lingers:
            self.soft.drop(len(data))
        else:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.counted_by.leave(self)
        if self.ends is not None and not self.soft.lingers:
            super().connection_lost(exc)

    def _is_unread(self) -> bool:
        if self.ends is None:  # it was refused, unread
            return True
        state = self.conn.their_state
        if state is h11.IDLE:  # the server stops, or nothing came for long
            return False
        return state in {h11.SEND_BODY, h11.ERROR} or bool(self.conn.trailing_data[0])

    def _linger(self) -> None:
        self.counted_by.linger(self)
        if self.ends is not None:  # for uvicorn, and for what it was answered by, it is gone
            super().connection_lost(None)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Answer what is no request, as what is refused is answered everywhere."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            answer = self._problem().response()
            headers = [*answer.raw_headers, *((k.encode(), v.encode()) for k, v in HEADERS.items())]
            head = h11.Response(
                status_code=answer.status_code,
                reason=HTTPStatus(answer.status_code).phrase.encode(),
                headers=[*headers, (b"connection", b"close")],
            )
            # What is answered to is the last request, where one was understood.
            is_head = self.conn.our_state is h11.SEND_RESPONSE and self.scope["method"] == "HEAD"
            body = h11.Data(data=b"" if is_head else bytes(answer.body))
            said = (self.conn.send(event) for event in (head, body, h11.EndOfMessage()))
            self.soft.write(b"".join(data or b"" for data in said))
        self.soft.close()
        if self.cycle is not None:  # where the client has gone, uvicorn hears it in a moment only
            self.cycle.disconnected = True

    def _problem(self) -> Problem:
        begun = self.conn.trailing_data[0]
        most = self.config.h11_max_incomplete_event_size
        if most is None or len(begun) <= most:
            return Problem(400, "no request of HTTP/1.1")
        line, *_ = begun.split(b"\n", 1)
        return Problem(414 if 2 * len(line) > most else 431, f"a head has {most} bytes at most")

    def noting_end(self, receive: Receive) -> Receive:
        """Return what receives a request's body, and notes when all of it has come."""

        async def noting() -> Message:
            message = await receive()
            if not message.get("more_body", False):
                self.due_s = None
            return message

        return noting

    def is_late(self, now_s: float) -> bool:
        """Say whether what is waited for should have come."""
        if self.soft.lingers and self.soft.get_write_buffer_size():
            return (
                False  # the answer is on its way; the kernel ends it where the client takes nothing
            )
        return self.due_s is not None and self.due_s < now_s

    def abort(self) -> None:
        """End the connection at once; what was not sent is dropped."""
        self.soft.abort()


def _has_body(scope: Scope) -> bool:
    lengths = dict(scope["headers"])
    return lengths.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in lengths


def _address(transport: asyncio.BaseTransport, which: str) -> tuple[Any, ...] | None:
    """Return an end of a connection as uvicorn has it in a request's scope."""
    found = transport.get_extra_info(which)
    return (str(found[0]), int(found[1])) if isinstance(found, tuple) else None

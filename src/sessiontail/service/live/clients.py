"""who has a stream open -> whether one more may begin, figures, and an end for all of them."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from anyio import CancelScope, current_time
from starlette.applications import Starlette

from sessiontail.service.context import Context
from sessiontail.service.problems import Problem

__all__ = ["LAG_BOUNDS_S", "Client", "Clients", "Figures", "end_streams"]

# What is being sent when all streams end is sent first, for so long at most.
_LAST_SEND_S = 0.25
# So long a client waits before it asks again for a stream that it may not have now.
_RETRY = {"Retry-After": "5"}


#: Seconds between which records are told apart by how late they were sent.
LAG_BOUNDS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


@dataclass
class Figures:
    """What the streams of an application have done so far."""

    #: Streams that began.
    begun: int = 0
    #: Clients that took nothing for too long, and were disconnected.
    slow_clients: int = 0
    #: Streams that were refused: too many of one client, or of all.
    refused: int = 0
    #: Records that were handed to a connection, ``end`` events among them.
    records: int = 0
    bytes: int = 0
    #: From when a record was read to when it was handed to a connection: the last one, seconds.
    lag_s: float = 0.0
    #: The sum of all of these.
    lag_sum_s: float = 0.0
    #: Records by how late they were: up to each of ``LAG_BOUNDS_S``, and later.
    lags: list[int] = field(default_factory=lambda: [0] * (len(LAG_BOUNDS_S) + 1))
    #: Lines that are no records, read for streams: once, however many clients get them.
    damage: int = 0

    def sent(self, records: int, read_s: float) -> None:
        """Count records that were handed to a connection.

        Args:
            records: how many.
            read_s: when the first of them was read, on the monotonic clock.
        """
        self.records += records
        self.lag_s = max(0.0, time.monotonic() - read_s)
        self.lag_sum_s += self.lag_s * records
        self.lags[bisect_left(LAG_BOUNDS_S, self.lag_s)] += records


class Client:
    """One open stream."""

    __slots__ = ("_scope", "cut_off", "ending", "farewell", "sending")

    def __init__(self) -> None:
        #: Called when all streams end; its stream then has a moment to end by itself.
        self.farewell: Callable[[], None] | None = None
        #: Whether the stream is to end, at the end of what is being sent.
        self.ending = False
        #: Whether it was cut, for what it holds.
        self.cut_off = False
        #: Whether something is being sent.
        self.sending = False
        self._scope: CancelScope | None = None

    def runs_in(self, scope: CancelScope) -> None:
        """Note what is cancelled when the stream is to end."""
        self._scope = scope
        if self.ending or self.cut_off:
            scope.cancel()

    def cut(self) -> None:
        """End the stream at once, wherever it is."""
        self.cut_off = True
        if self._scope is not None:
            self._scope.cancel()

    def end(self) -> None:
        """End the stream: at once where it waits, else when what is being sent was sent."""
        self.ending = True
        if self.farewell is not None:
            self.farewell()
        if self._scope is None:
            return
        if self.sending or self.farewell is not None:
            self._scope.deadline = current_time() + _LAST_SEND_S
        else:
            self._scope.cancel()


class Clients:
    """The open streams of an application; its part, made by ``context.part(Clients)``."""

    def __init__(self, context: Context) -> None:
        self.figures = Figures()
        #: Whether no stream may begin any more.
        self.closing = False
        self._limits = context.limits
        self._open: set[Client] = set()
        self._by_address: Counter[str] = Counter()
        # Bytes that are kept for a client until it has taken them; who holds some for longest is first.
        self._held: dict[Client, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def joined(self, address: str, holds: int = 0) -> Iterator[Client]:
        """Count one more stream meanwhile.

        Args:
            address: the client's, without its port.
            holds: bytes that are kept for it until it has taken them. Such an answer ends by itself: it
                is not refused; where all of these hold too much, the oldest ones are cut.

        Raises:
            Problem: 429, this client has too many; 503, all together have, or the server ends.
        """
        if holds:
            with self._holding(holds) as client:
                yield client
            return
        self._refuse(address)
        client = Client()
        self._open.add(client)
        self._by_address[address] += 1
        self.figures.begun += 1
        try:
            yield client
        finally:
            self._open.discard(client)
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    @contextmanager
    def _holding(self, size: int) -> Iterator[Client]:
        if self.closing:
            raise self.closed()
        while self._held and sum(self._held.values()) + size > self._limits.held_bytes:
            oldest = next(iter(self._held))
            del self._held[oldest]
            self.figures.slow_clients += 1
            oldest.cut()
        client = Client()
        self._open.add(client)
        self._held[client] = size
        try:
            yield client
        finally:
            self._held.pop(client, None)
            self._open.discard(client)

    def end(self) -> None:
        """End all streams, and let none begin: the server stops. On the event loop only."""
        self.closing = True
        for client in [*self._open]:
            client.end()

    @staticmethod
    def closed() -> Problem:
        """Return what is said to who comes while the server stops."""
        return Problem(503, "the server stops; ask again when it is back", headers=_RETRY)

    @staticmethod
    def crowded() -> Problem:
        """Return what is said to who is cut before anything was sent."""
        return Problem(503, "others ask for as much at once; ask again in a moment", headers=_RETRY)

    def _refuse(self, address: str) -> None:
        most, of_one = self._limits.streams, self._limits.streams_per_client
        if self.closing:
            problem = self.closed()
        elif self._by_address[address] >= of_one:
            detail = f"this client has {of_one} streams open, as many as it may; close one"
            problem = Problem(429, detail, headers=_RETRY)
        elif len(self._open) >= most:
            detail = f"{most} streams are open, as many as there may be; try again later"
            problem = Problem(503, detail, headers=_RETRY)
        else:
            return
        self.figures.refused += 1
        raise problem


def end_streams(app: Starlette) -> None:
    """End all streams of an application, and let none begin: before its server is told to stop.

    uvicorn waits for open answers before it ends an application's lifespan, and a stream is one that
    never ends by itself. ``sessiontail serve`` does this at a signal; who runs the application in a
    server of their own calls it there. On the event loop only.

    Args:
        app: from ``create_app``.
    """
    context: Context = app.state.context
    context.part(Clients).end()

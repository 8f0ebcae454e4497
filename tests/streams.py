"""A stream of an application, taken in this process event by event, and left when a test likes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import anyio
from starlette.types import ASGIApp, Message

from serving import Event, parsed

__all__ = ["Taken", "taken"]


class Taken:
    """A stream that is open."""

    def __init__(self) -> None:
        #: What the application has answered with.
        self.status = 0
        self.headers: dict[str, str] = {}
        #: All that came so far.
        self.body = b""
        #: Whether it is the whole answer.
        self.ended = False
        self.left = anyio.Event()
        self._told = anyio.Event()
        self._handed = 0

    async def send(self, message: Message) -> None:
        """Take what the application sends."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.ended = not message.get("more_body", False)
        self.tell()

    def tell(self) -> None:
        """Wake who waits."""
        told, self._told = self._told, anyio.Event()
        told.set()

    async def receive(self) -> Message:
        """Tell the application that its client has left, once that is so."""
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def next(self) -> Event:
        """Wait for the next event; more than 30 s is a failure."""
        with anyio.fail_after(30):
            while len(events := self.events) <= self._handed:
                assert not self.ended, self.body
                await self._told.wait()
        self._handed += 1
        return events[self._handed - 1]

    async def take(self, count: int, *, without: Sequence[str] = ()) -> list[Event]:
        """Wait for so many events, besides some kinds."""
        found: list[Event] = []
        while len(found) < count:
            event = await self.next()
            if event.event not in without:
                found.append(event)
        return found

    @property
    def events(self) -> list[Event]:
        """The events that came so far."""
        whole = self.body[: self.body.rfind(b"\n\n") + 2]
        return parsed(whole.decode())


@asynccontextmanager
async def taken(
    app: ASGIApp,
    path: str,
    query: Mapping[str, str | Sequence[str]] | None = None,
    **headers: str,
) -> AsyncIterator[Taken]:
    """Open a stream; it is left at the end, and the application has then ended it."""
    stream = Taken()
    named = {
        "host": "127.0.0.1",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": urlencode(query or {}, doseq=True).encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8642),
    }

    async def run() -> None:
        try:
            await app(scope, stream.receive, stream.send)
        finally:
            stream.ended = True
            stream.tell()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        try:
            yield stream
        finally:
            stream.left.set()

"""A client of an application that takes what it is sent when it wants to, and leaves when it wants to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream
from starlette.types import ASGIApp, Message

__all__ = ["Asker", "asking"]


class Asker:
    """One request; what the application sends waits until it is taken."""

    def __init__(self, sent: MemoryObjectReceiveStream[Message]) -> None:
        self._sent = sent
        self._gone = anyio.Event()
        #: Set when the application is done with it.
        self.over = anyio.Event()
        self.status = 0

    async def take(self) -> bytes:
        """Take the next bytes that are some; none: that was all."""
        try:
            while True:
                message = await self._sent.receive()
                if message["type"] == "http.response.start":
                    self.status = message["status"]
                elif message.get("body"):
                    return bytes(message["body"])
        except anyio.EndOfStream:
            return b""

    async def all(self) -> bytes:
        """Take all that is left."""
        return b"".join([part async for part in self._parts()])

    async def leave(self) -> None:
        """Go, and wait until the application is done with it."""
        self._gone.set()
        await self.over.wait()

    async def _parts(self) -> AsyncIterator[bytes]:
        while part := await self.take():
            yield part

    async def receive(self) -> Message:
        """Tell the application that it is gone, once it is."""
        await self._gone.wait()
        return {"type": "http.disconnect"}


@asynccontextmanager
async def asking(app: ASGIApp, target: str) -> AsyncIterator[Asker]:
    """Ask; leave at the end."""
    url = urlsplit(target)
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": url.path,
        "raw_path": url.path.encode(),
        "root_path": "",
        "query_string": url.query.encode(),
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8642),
    }
    send, sent = anyio.create_memory_object_stream[Message](0)
    asker = Asker(sent)

    async def run() -> None:
        with send:
            try:
                await app(scope, asker.receive, send.send)
            finally:
                asker.over.set()

    with sent:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            yield asker
            await asker.leave()
            tasks.cancel_scope.cancel()

"""An application, asked as a server asks it: by httpx in this process, or by a scope of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import httpx
from starlette.types import ASGIApp, Message

__all__ = ["URL", "Told", "asked", "client", "get"]

#: What every request here is for.
URL = "http://127.0.0.1:8642"


class Told(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def client(app: ASGIApp, *, prefix: str = "", **headers: str) -> httpx.AsyncClient:
    """Return a client of the application; leave it by ``async with``."""
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url=URL + prefix, headers=headers)


def get(url: str, **options: Any) -> httpx.Response:
    """Ask a server of another process once; no certificates are loaded for that, which takes 40 ms."""
    return httpx.get(url, verify=False, **options)


async def asked(
    app: ASGIApp,
    path: str = "/",
    *,
    method: str = "GET",
    query: bytes = b"",
    headers: Iterable[tuple[bytes, bytes]] = ((b"host", b"127.0.0.1:8642"),),
    body: Sequence[bytes] = (b"",),
    scheme: str = "http",
    root_path: str = "",
) -> Told:
    """Ask by a scope: what no client sends goes through too."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode(),
        "root_path": root_path,
        "query_string": query,
        "headers": [*headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8642),
    }
    parts = [*body]
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return Told(start["status"], found, b"".join(one.get("body", b"") for one in rest))

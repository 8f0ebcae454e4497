"""A large body is sent as its client takes it, and is the same."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Scope

from sessiontail import SessionStore
from sessiontail.service.api.bodies import AT_ONCE_BYTES, answer
from sessiontail.service.context import Context, Limits
from sessiontail.service.live.sse import ABORT

pytestmark = pytest.mark.anyio


async def parts_of(directory: Path, body: bytes) -> list[Message]:
    """What a server is given."""
    app = Starlette()
    app.state.context = Context(SessionStore(directory), Limits())
    scope = {"type": "http", "method": "GET", "headers": [], "app": app}
    sent: list[Message] = []

    async def receive() -> Message:
        from anyio import sleep_forever

        await sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    response: Response = answer(Request(scope), body, {"ETag": '"x"'})
    await response(scope, receive, send)
    return sent


async def test_what_is_small_is_sent_at_once(tmp_path: Path) -> None:
    start, body = await parts_of(tmp_path, b"x" * AT_ONCE_BYTES)

    headers = dict(start["headers"])
    assert headers[b"content-length"] == b"%d" % AT_ONCE_BYTES
    assert (headers[b"etag"], headers[b"content-type"]) == (b'"x"', b"application/json")
    assert len(body["body"]) == AT_ONCE_BYTES


async def test_what_is_large_is_sent_in_pieces(tmp_path: Path) -> None:
    whole = bytes(range(256)) * 4096

    start, *parts = await parts_of(tmp_path, whole)

    headers = dict(start["headers"])
    assert b"content-length" not in headers
    assert (headers[b"etag"], headers[b"content-type"]) == (b'"x"', b"application/json")
    assert b"".join(part["body"] for part in parts) == whole
    assert max(len(part["body"]) for part in parts) == 64 * 1024
    assert not parts[-1]["more_body"]


async def test_who_takes_nothing_of_a_large_body_is_cut_where_another_one_asks(
    tmp_path: Path,
) -> None:
    """A thousand clients that ask for 2 MiB each, and read nothing, held 2 GB for as long as they liked."""
    app = Starlette()
    app.state.context = Context(SessionStore(tmp_path), Limits(held_bytes=300_000))
    said: list[object] = []

    async def receive() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    async def ask(name: str, takes: int) -> None:
        stuck = anyio.Event()

        async def send(message: Message) -> None:
            nonlocal takes
            if message["type"] == "http.response.body" and message["more_body"]:
                takes -= 1
                if takes < 0:
                    begun.set()
                    await stuck.wait()

        extensions = {ABORT: {"abort": lambda: said.append(f"{name} is cut")}}
        scope: Scope = {
            "type": "http", "method": "GET", "headers": [], "app": app, "extensions": extensions
        }  # fmt: skip
        await answer(Request(scope), b"x" * 200_000)(scope, receive, send)
        said.append(f"{name} is over")

    begun = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "one", 1)
        await begun.wait()
        await ask("another", 9)

    assert sorted(map(str, said)) == ["another is over", "one is cut", "one is over"]

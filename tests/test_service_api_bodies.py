"""A large body is sent as its client takes it, and is the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from sessiontail import SessionStore
from sessiontail.service.api.bodies import AT_ONCE_BYTES, answer
from sessiontail.service.context import Context, Limits

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

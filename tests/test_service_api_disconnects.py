"""A request and what it takes to answer it -> the answer; a client that leaves ends the work."""

from __future__ import annotations

from typing import Any

import pytest
from anyio import Event, sleep_forever
from starlette.requests import ClientDisconnect, Request

from sessiontail.service.api.disconnects import until_disconnect

pytestmark = pytest.mark.anyio


def request(*messages: dict[str, Any], then: Event | None = None) -> Request:
    """One whose client sends these, and leaves at an event, or never."""
    left = [*messages]

    async def receive() -> dict[str, Any]:
        if left:
            return left.pop(0)
        if then is None:
            await sleep_forever()
        assert then is not None
        await then.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "headers": []}, receive)


async def test_who_stays_gets_the_answer() -> None:
    async def work() -> int:
        return 7

    body = {"type": "http.request", "body": b"", "more_body": False}
    assert await until_disconnect(request(body), work) == 7


async def test_who_leaves_ends_the_work() -> None:
    began, ended = Event(), []

    async def work() -> None:
        began.set()
        try:
            await sleep_forever()
        finally:
            ended.append(1)

    with pytest.raises(ClientDisconnect):
        await until_disconnect(request(then=began), work)

    assert ended == [1]


async def test_what_the_work_raises_is_raised_in_a_group() -> None:
    async def work() -> None:
        raise KeyError

    with pytest.raises(ExceptionGroup) as raised:
        await until_disconnect(request(), work)

    assert [type(one) for one in raised.value.exceptions] == [KeyError]

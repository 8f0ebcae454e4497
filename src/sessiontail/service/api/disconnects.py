"""A request and what it takes to answer it -> the answer; a client that leaves ends the work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from anyio import create_task_group
from starlette.requests import ClientDisconnect, Request

__all__ = ["until_disconnect"]

_T = TypeVar("_T")


async def until_disconnect(request: Request, work: Callable[[], Awaitable[_T]]) -> _T:
    """Return what the work gives.

    Args:
        request: whoever asks; its body is not read.
        work: is cancelled when nobody waits for it any more.

    Raises:
        ClientDisconnect: nobody does.
    """
    given: list[_T] = []
    async with create_task_group() as tasks:

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        given.append(await work())
        tasks.cancel_scope.cancel()
    if not given:
        raise ClientDisconnect
    return given[0]

"""What one writes first: Starlette's ``StreamingResponse`` over one ``tail -F``, a queue a client.

    python -m benchmarks.bench_service_rival FILE

It prints its URL when it takes connections, as ``sessiontail serve`` does.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

_queues: set[asyncio.Queue[bytes]] = set()
# What came so far: a client begins with it, as ours does.
_lines: list[bytes] = []


async def _follow(path: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "tail", "-n", "+1", "-F", path, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            _lines.append(line)
            for queue in _queues:
                queue.put_nowait(line)
    finally:
        process.kill()


async def _events(_: Request) -> Response:
    async def lines() -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        for line in _lines:
            queue.put_nowait(line)
        _queues.add(queue)
        try:
            while True:
                yield b"data: " + (await queue.get()) + b"\n"
        finally:
            _queues.discard(queue)

    return StreamingResponse(lines(), media_type="text/event-stream")


def main(path: str) -> None:
    @asynccontextmanager
    async def following(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(_follow(path))
        yield
        task.cancel()

    app = Starlette(routes=[Route("/", _events)], lifespan=following)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        config = uvicorn.Config(app, log_level="warning")
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main(sys.argv[1])

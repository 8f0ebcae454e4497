"""A real redis-server of a test, that is killed and started again as the test says."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Self

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream, TaskGroup
from anyio.streams.stapled import MultiListener

from programs import needed

__all__ = ["Proxy", "RedisServer", "anyio_backend", "server", "url"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RedisServer:
    """Runs ``redis-server`` on one port, over as many lives as it is given.

    Args:
        directory: of its files.
        options: of its command line, such as ``--appendonly yes``.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self._program = needed("redis-server")
        self.directory = directory
        self.port = _free_port()
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it; return once it answers."""
        self.directory.mkdir(exist_ok=True)
        command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--dir", str(self.directory), *self.options], stdout=log, stderr=log
            )
        until_s = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, (self.directory / "log").read_text()
            assert time.monotonic() < until_s
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as asked:
                asked.sendall(b"PING\r\n")
                # Loading, or without a password: both are answers.
                return asked.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for all tests of a module; each has a prefix of its own."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def url(server: RedisServer) -> str:
    return f"{server.url}?prefix=test-{token_hex(6)}"


@pytest.fixture
def anyio_backend() -> str:
    """redis-py's asyncio client works on asyncio alone."""
    return "asyncio"


class Proxy:
    """The network between a client and a Redis: it passes so many bytes of replies, then fails.

    Args:
        server: to which it leads.
    """

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._tasks: TaskGroup | None = None
        self._listener: MultiListener[SocketStream] | None = None
        #: Bytes of replies that still pass; None: all do.
        self.left: int | None = None
        #: What happens then: "cut" closes, "stall" says nothing more.
        self.then = "cut"
        #: How often it failed.
        self.failed = 0

    @property
    def url(self) -> str:
        assert self._listener is not None
        port = self._listener.extra(SocketAttribute.local_port)
        return f"redis://127.0.0.1:{port}/0"

    async def __aenter__(self) -> Self:
        self._listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._listener.serve, self._serve)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        assert self._tasks is not None
        assert self._listener is not None
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(exc_type, exc, tb)
        await self._listener.aclose()

    async def _serve(self, client: SocketStream) -> None:
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            redis = await anyio.connect_tcp("127.0.0.1", self._server.port)
            async with client, redis, anyio.create_task_group() as pumps:
                pumps.start_soon(self._pump, client, redis, pumps.cancel_scope)
                await self._replies(redis, client)
                pumps.cancel_scope.cancel()

    async def _pump(
        self, source: SocketStream, sink: SocketStream, scope: anyio.CancelScope
    ) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for data in source:
                await sink.send(data)
        scope.cancel()

    async def _replies(self, redis: SocketStream, client: SocketStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for data in redis:
                if self.left is None:
                    await client.send(data)
                    continue
                passed, self.left = data[: self.left], self.left - len(data)
                if passed:
                    await client.send(passed)
                if self.left < 0:
                    self.left = 0
                    self.failed += 1
                    if self.then == "stall":
                        await anyio.sleep_forever()
                    return

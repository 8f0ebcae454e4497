"""A connection that is closed while its client still sends: over TCP, where a reset destroys answers."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sessiontail.service.closing import MOST_DROPPED_BYTES, SoftTransport

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # whose transports these are


class Server(asyncio.Protocol):
    """A connection that reads only what comes after its close, and drops it."""

    def __init__(self, *, unread: bool) -> None:
        self.soft: SoftTransport
        self.lost = asyncio.Event()
        self.lingered = 0
        self._unread = unread

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.soft = SoftTransport(transport, lambda: self._unread, self._linger)
        self.soft.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.soft.drop(len(data))

    def connection_lost(self, _: Exception | None) -> None:
        self.lost.set()

    def _linger(self) -> None:
        self.lingered += 1


@asynccontextmanager
async def connected(*, unread: bool) -> AsyncIterator[tuple[Server, socket.socket]]:
    """A server's end of a connection, and the client's."""
    loop = asyncio.get_running_loop()
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        client.setblocking(False)
        accepted, _ = listener.accept()
        _, server = await loop.connect_accepted_socket(lambda: Server(unread=unread), accepted)
        async with asyncio.timeout(60):
            yield server, client
        server.soft.abort()


async def read_all(client: socket.socket) -> bytes:
    """All that is said until the other end has ended its half; raises where it was reset."""
    got = b""
    while data := await asyncio.get_running_loop().sock_recv(client, 65536):
        got += data
    return got


async def test_an_answer_is_read_whole_though_its_client_had_not_sent_all() -> None:
    loop = asyncio.get_running_loop()
    async with connected(unread=True) as (server, client):
        await loop.sock_sendall(client, bytes(100_000))
        server.soft.write(b"no" * 10_000)
        server.soft.close()
        server.soft.close()
        server.soft.write(b"never")
        await loop.sock_sendall(client, bytes(1_000_000))
        said = await read_all(client)
        was_lost, closing = server.lost.is_set(), server.soft.is_closing()
        client.close()
        await server.lost.wait()

    assert said == b"no" * 10_000
    assert (was_lost, closing, server.lingered) == (False, True, 1)


async def test_where_all_was_read_it_is_closed_at_once() -> None:
    async with connected(unread=False) as (server, client):
        server.soft.write(b"yes")
        server.soft.close()
        await server.lost.wait()
        said = await read_all(client)

    assert (said, server.lingered, server.soft.lingers) == (b"yes", 0, False)


async def test_who_sends_without_end_is_cut() -> None:
    loop = asyncio.get_running_loop()
    async with connected(unread=True) as (server, client):
        server.soft.close()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await loop.sock_sendall(client, bytes(2 * MOST_DROPPED_BYTES))
        await server.lost.wait()


async def test_a_client_that_has_gone_already_is_not_waited_for() -> None:
    async with connected(unread=True) as (server, client):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # by a reset
        server.soft.close()
        closing = server.soft.is_closing()
        await server.lost.wait()

    assert (server.lingered, server.soft.lingers, closing) == (0, False, True)

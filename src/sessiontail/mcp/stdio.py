"""standard input and output -> messages of one MCP client, a line each, until it closes its end.

Not the SDK's own: there a thread waits for the next line, which no signal ends. Here the event loop
waits, so that Ctrl-C, SIGTERM and a cancellation end it at once.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
from anyio.lowlevel import checkpoint
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCError, JSONRPCMessage, JSONRPCRequest, JSONRPCResponse

from sessiontail.mcp.server import ToolServer

__all__ = ["MAX_MESSAGE_BYTES", "serve_stdio"]

#: Of one message; a call has some hundred.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024

_READ_BYTES = 64 * 1024
# When it is to stop, what is not answered within this is not.
_LAST_WORDS_S = 0.5
# PIPE_BUF: what is told to be writable takes so much without waiting.
_WRITE_BYTES = 4096

_Incoming = SessionMessage | Exception


async def serve_stdio(
    server: ToolServer, *, stdin: int = 0, stdout: int = 1, stopping: anyio.Event | None = None
) -> None:
    """Serve one client until it closes its end; its calls are answered first, but for those that wait.

    A call that waits, and at a stop every call, is answered with where it goes on.

    Args:
        server: answers.
        stdin: the descriptor that messages come from.
        stdout: the one that they go to; nothing else may be written there.
        stopping: set, it ends within a second, whatever the client does.

    Raises:
        BrokenPipeError: the client takes no more answers.
    """
    incoming, to_server = anyio.create_memory_object_stream[_Incoming](0)
    from_server, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    options = server.server.create_initialization_options()
    asked = _Asked()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_write_all, stdout, outgoing, asked)
        tasks.start_soon(_read_all, stdin, incoming, asked, server)
        if stopping is not None:
            tasks.start_soon(_end_all, stopping, asked, server, tasks.cancel_scope)
        await server.server.run(to_server, from_server, options)
        tasks.cancel_scope.cancel()


class _Asked:
    """The requests that were not answered yet."""

    def __init__(self) -> None:
        self._open: set[str | int] = set()
        self._all_answered = anyio.Event()

    def came(self, message: JSONRPCMessage) -> None:
        if isinstance(message.root, JSONRPCRequest):
            self._open.add(message.root.id)

    def went(self, message: JSONRPCMessage) -> None:
        if isinstance(message.root, (JSONRPCResponse, JSONRPCError)):
            self._open.discard(message.root.id)
        if not self._open:
            self._all_answered.set()

    async def all_answered(self) -> None:
        while self._open:
            if self._all_answered.is_set():
                self._all_answered = anyio.Event()
            await self._all_answered.wait()


async def _read_all(
    stdin: int, incoming: MemoryObjectSendStream[_Incoming], asked: _Asked, server: ToolServer
) -> None:
    async with incoming:
        async for line in _lines(stdin):
            one = _message(line)
            if isinstance(one, SessionMessage):
                asked.came(one.message)
            await incoming.send(one)
        # Who sends nothing more is not kept waiting for what may never come.
        server.calls.stop(only_waits=True)
        await asked.all_answered()


async def _end_all(
    stopping: anyio.Event, asked: _Asked, server: ToolServer, scope: anyio.CancelScope
) -> None:
    await stopping.wait()
    server.calls.stop()
    with anyio.move_on_after(_LAST_WORDS_S):
        await asked.all_answered()
    scope.cancel()


async def _lines(stdin: int) -> AsyncIterator[bytes | None]:
    """Yield the lines that come; None for one that is too long."""
    rest = b""
    skipping = False
    while data := await _read(stdin):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if not skipping and line.strip():
                yield line
            skipping = False
        if len(rest) > MAX_MESSAGE_BYTES:
            if not skipping:
                yield None
            skipping, rest = True, b""
    if not skipping and rest.strip():
        # A client that ends may leave out the last newline.
        yield rest


def _message(line: bytes | None) -> _Incoming:
    if line is None:
        return ValueError(f"a message has at most {MAX_MESSAGE_BYTES} bytes")
    try:
        return SessionMessage(JSONRPCMessage.model_validate_json(line))
    except ValueError as error:
        return error


async def _write_all(
    stdout: int, outgoing: MemoryObjectReceiveStream[SessionMessage], asked: _Asked
) -> None:
    async with outgoing:
        async for one in outgoing:
            text = one.message.model_dump_json(by_alias=True, exclude_none=True)
            rest = memoryview(f"{text}\n".encode())
            while rest:
                rest = rest[await _write(stdout, rest[:_WRITE_BYTES]) :]
            asked.went(one.message)


async def _read(stdin: int) -> bytes:
    await _ready(anyio.wait_readable, stdin)
    return os.read(stdin, _READ_BYTES)


async def _write(stdout: int, data: memoryview) -> int:
    await _ready(anyio.wait_writable, stdout)
    return os.write(stdout, data)


async def _ready(wait: Callable[[int], Awaitable[None]], fd: int) -> None:
    try:
        await wait(fd)
    except OSError as error:
        # A regular file, /dev/null: nobody waits for these.
        if error.errno != errno.EPERM:
            raise
        await checkpoint()

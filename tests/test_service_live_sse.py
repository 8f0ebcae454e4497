"""A response that streams, asked as a server asks it: on asyncio and on trio."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.types import Message

from sessiontail import SessionNotFound, SessionStore
from sessiontail.service.context import Context, Limits
from sessiontail.service.live.clients import Clients, Figures
from sessiontail.service.live.sse import ABORT, EventStream
from sessiontail.service.problems import Problem

pytestmark = pytest.mark.anyio


async def test_what_was_sent_is_not_kept_until_there_is_more(tmp_path: Path) -> None:
    """It is 64 KB, of each client that has caught up."""
    kept: list[int] = []

    async def source() -> AsyncGenerator[bytes, None]:
        data = bytes(100_000)
        alone = sys.getrefcount(data)
        yield data
        kept.append(sys.getrefcount(data) - alone)

    async def receive() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(_: Message) -> None:
        await anyio.lowlevel.checkpoint()

    context = Context(SessionStore(tmp_path), Limits())
    response = EventStream(context, source(), media_type="text/event-stream")
    await response({"type": "http", "method": "GET", "client": ("192.0.2.1", 1)}, receive, send)

    assert kept == [0]


class Server:
    """What stands between a response and its client."""

    def __init__(self, tmp_path: Path, **limits: Any) -> None:
        self.context = Context(SessionStore(tmp_path), Limits(**limits))
        self.clients = self.context.part(Clients)
        self.sent: list[Message] = []
        self.closed = 0
        self.aborted = 0
        self.gone = anyio.Event()
        #: Set as long as the client takes what is sent.
        self.takes = anyio.Event()
        self.takes.set()
        #: Called with each message that is to be sent.
        self.on_send: Callable[[Message], None] = lambda _: None

    async def ask(self, source: AsyncGenerator[bytes, None], **options: Any) -> None:
        method = options.pop("method", "GET")
        response = EventStream(
            self.context, self._closing(source), media_type="text/event-stream", **options
        )
        extensions = {ABORT: {"abort": self._abort}}
        client = ("192.0.2.1", 1)
        scope = {"type": "http", "method": method, "client": client, "extensions": extensions}
        await response(scope, self._receive, self._send)

    @property
    def body(self) -> list[bytes]:
        """What was sent, chunk by chunk; the last one of a stream that ends cleanly is empty."""
        return [message["body"] for message in self.sent if "body" in message]

    @property
    def ended(self) -> bool:
        """Whether the last message says that it is the last one."""
        return not self.sent[-1].get("more_body", False)

    async def _closing(self, source: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(source):
                async for data in source:
                    yield data
        finally:
            self.closed += 1

    async def _receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.on_send(message)
        await self.takes.wait()
        await anyio.lowlevel.checkpoint()
        self.sent.append(message)

    def _abort(self) -> None:
        self.aborted += 1


class Uvicorn(Server):
    """A server that complains where an answer has no end, and is not known to have lost its client."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path, heartbeat_s=0.01, send_timeout_s=0.03)
        self.scope = anyio.CancelScope()
        #: Whether it did.
        self.complains = False
        self._source_ends = anyio.Event()

    async def answer(self, moment: int, happens: Callable[[Uvicorn], None]) -> None:
        """Answer by a stream with a start, three pieces, a heartbeat and an end; at one it happens."""
        moments = iter(range(100))

        def act(message: Message) -> None:
            if message.get("body") == b" ":
                self._source_ends.set()
            if next(moments) == moment:
                happens(self)

        self.on_send = act
        with self.scope, suppress(Problem):
            await self.ask(self._source(), heartbeat=b" ")
            self.complains = not (self.gone.is_set() or (self.sent and self.ended))

    async def _source(self) -> AsyncGenerator[bytes, None]:
        yield b"a"
        yield b"x" * 70_000
        await self._source_ends.wait()

    async def _send(self, message: Message) -> None:
        await super()._send({} if self.gone.is_set() else message)

    def _abort(self) -> None:
        super()._abort()
        self.leave()

    def leave(self) -> None:
        """Its client goes: what is sent then goes nowhere, and nothing waits for it."""
        self.gone.set()
        self.takes.set()

    def get_stuck(self) -> None:
        """Its client takes nothing any more."""
        self.takes = anyio.Event()

    def cut(self) -> None:
        """It stops at last: all is cut, and what answers is cancelled."""
        self._abort()
        self.scope.cancel()

    def cut_client(self) -> None:
        """Others need what its client holds."""
        for client in [*self.clients._open]:
            client.cut()

    def stop(self) -> None:
        """It stops: all streams end."""
        self.clients.end()

    def stop_stuck(self) -> None:
        """It stops while its client takes nothing."""
        self.get_stuck()
        self.stop()


async def giving(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


async def for_ever(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece
    await anyio.sleep_forever()


async def test_what_the_source_gives_is_sent_and_the_end_is_clean(tmp_path: Path) -> None:
    server = Server(tmp_path)
    await server.ask(giving(b"", b"a", b"b"), headers={"Vary": "Accept"})

    start, *_ = server.sent
    assert start["status"] == 200
    assert sorted(start["headers"]) == [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"vary", b"Accept"),
        (b"x-accel-buffering", b"no"),
    ]
    assert (server.body, server.ended, server.closed) == ([b"a", b"b", b""], True, 1)
    assert server.clients.figures == Figures(begun=1, bytes=2)
    assert len(server.clients) == 0


async def test_a_source_that_has_nothing_to_say_is_no_content(tmp_path: Path) -> None:
    server = Server(tmp_path)
    await server.ask(giving())

    assert [message.get("status") for message in server.sent] == [204, None]
    assert server.closed == 1


@pytest.mark.parametrize("error", [Problem(409, "no"), SessionNotFound("no"), ValueError("no")])
async def test_what_a_source_raises_before_it_begins_is_raised(
    tmp_path: Path, error: Exception
) -> None:
    async def failing() -> AsyncGenerator[bytes, None]:
        await anyio.lowlevel.checkpoint()
        for _ in "a":
            raise error
        yield b""

    server = Server(tmp_path)
    with pytest.raises(type(error)) as caught:
        await server.ask(failing())

    assert caught.value is error
    assert (server.sent, server.closed, len(server.clients)) == ([], 1, 0)


async def test_what_a_source_raises_behind_its_begin_leaves_the_stream_without_an_end(
    tmp_path: Path,
) -> None:
    async def failing() -> AsyncGenerator[bytes, None]:
        yield b"a"
        raise ValueError

    server = Server(tmp_path)
    with pytest.raises(ValueError):  # noqa: PT011 - the very one
        await server.ask(failing())

    assert (server.body, server.ended) == ([b"a"], False)


async def test_a_head_is_answered_without_a_body(tmp_path: Path) -> None:
    server = Server(tmp_path)
    await server.ask(for_ever(b"a"), method="HEAD")

    assert (server.sent[0]["status"], server.body, server.ended) == (200, [b""], True)
    assert server.closed == 1


async def test_a_client_that_goes_has_its_source_closed(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.on_send = lambda message: server.gone.set() if "body" in message else None
    await server.ask(for_ever(b"a"))

    assert (server.closed, len(server.clients), server.aborted) == (1, 0, 0)


async def test_where_nothing_is_said_a_heartbeat_is_sent(tmp_path: Path) -> None:
    server = Server(tmp_path, heartbeat_s=0.01)

    def count(message: Message) -> None:
        if server.body.count(b": \n\n") == 3:
            server.gone.set()

    server.on_send = count
    await server.ask(for_ever(b"a"), heartbeat=b": \n\n")

    assert server.body[:4] == [b"a", b": \n\n", b": \n\n", b": \n\n"]


async def test_a_client_that_takes_nothing_is_cut_off_and_touches_nobody(tmp_path: Path) -> None:
    stuck = Server(tmp_path, send_timeout_s=0.05)
    other = Server(tmp_path)
    other.context, other.clients = stuck.context, stuck.clients

    def stop_taking(message: Message) -> None:
        if message.get("body") == b"b":
            stuck.takes = anyio.Event()

    stuck.on_send = stop_taking
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stuck.ask, for_ever(b"a", b"b", b"c"))
        tasks.start_soon(other.ask, giving(b"a", b"b", b"c"))

    assert (stuck.body, stuck.ended, stuck.aborted, stuck.closed) == ([b"a"], False, 1, 1)
    assert (other.body, other.aborted) == ([b"a", b"b", b"c", b""], 0)
    assert stuck.clients.figures.slow_clients == 1


async def test_a_client_that_does_not_take_a_heartbeat_is_cut_off(tmp_path: Path) -> None:
    server = Server(tmp_path, heartbeat_s=0.01, send_timeout_s=0.05)

    def stop_taking(message: Message) -> None:
        if message.get("body") == b" ":
            server.takes = anyio.Event()

    server.on_send = stop_taking
    await server.ask(for_ever(b"a"), heartbeat=b" ")

    assert (server.body, server.aborted, server.closed) == ([b"a"], 1, 1)


async def test_what_is_long_is_sent_in_pieces_so_that_a_stuck_client_holds_few(
    tmp_path: Path,
) -> None:
    server = Server(tmp_path)
    await server.ask(giving(b"x" * 150_000))

    assert list(map(len, server.body)) == [65536, 65536, 18928, 0]


async def test_all_streams_end_cleanly_and_none_in_the_middle_of_an_event(tmp_path: Path) -> None:
    server = Server(tmp_path)

    def end_in_the_middle(message: Message) -> None:
        if len(server.body) == 1:
            server.clients.end()

    server.on_send = end_in_the_middle
    await server.ask(for_ever(b"x" * 150_000, b"never"))

    assert list(map(len, server.body)) == [65536, 65536, 18928, 0]
    assert (server.ended, server.aborted, server.closed) == (True, 0, 1)


async def test_when_all_streams_end_who_takes_nothing_is_cut_off(tmp_path: Path) -> None:
    server = Server(tmp_path)

    def end_in_the_middle(message: Message) -> None:
        if len(server.body) == 1:
            server.takes = anyio.Event()
            server.clients.end()

    server.on_send = end_in_the_middle
    await server.ask(for_ever(b"x" * 150_000))

    assert (len(server.body), server.ended, server.aborted, server.closed) == (1, False, 1, 1)


async def test_what_has_not_begun_when_all_streams_end_is_a_problem(tmp_path: Path) -> None:
    server = Server(tmp_path)

    async def ending() -> AsyncGenerator[bytes, None]:
        server.clients.end()
        await anyio.sleep_forever()
        yield b""

    with pytest.raises(Problem) as caught:
        await server.ask(ending())

    assert caught.value.status == 503


async def test_a_source_with_last_words_says_them(tmp_path: Path) -> None:
    server = Server(tmp_path)
    asked = anyio.Event()

    async def talking() -> AsyncGenerator[bytes, None]:
        yield b"a"
        server.clients.end()
        await asked.wait()
        yield b"farewell"
        yield b"!"

    await server.ask(talking(), farewell=asked.set)

    assert (server.body, server.ended) == ([b"a", b"farewell", b"!", b""], True)


@pytest.mark.parametrize(
    "happens",
    [
        Uvicorn.leave, Uvicorn.get_stuck, Uvicorn.cut, Uvicorn.cut_client, Uvicorn.stop,
        Uvicorn.stop_stuck,
    ],
)  # fmt: skip
async def test_whatever_happens_at_whatever_moment_no_answer_is_left_without_an_end(
    tmp_path: Path, happens: Callable[[Uvicorn], None]
) -> None:
    complains = []
    for moment in range(6):
        server = Uvicorn(tmp_path)
        await server.answer(moment, happens)
        complains.append(server.complains)
        assert (server.closed, len(server.clients)) == (1, 0)

    assert complains == [False] * 6


async def test_a_client_that_does_not_even_take_the_head_is_cut_off(tmp_path: Path) -> None:
    """It must not be told, behind that head, that there is nothing more to ask for."""
    server = Server(tmp_path, send_timeout_s=0.01)
    server.takes = anyio.Event()
    with anyio.fail_after(60):
        await server.ask(for_ever(b"a"))

    assert (server.sent, server.aborted, server.closed) == ([], 1, 1)

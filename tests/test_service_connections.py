"""Connections that ask for nothing, too slowly, or that are too many: a server in its own process."""

from __future__ import annotations

import asyncio
import json
import math
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from samples import ID, session_bytes
from served import Served
from services import get
from serving import Stream, connected, request, serving
from sessiontail.service.connections import Connections
from sessiontail.service.turns import AT_ONCE

#: What a problem of a bad request says beside its detail.
BAD = {"type": "about:blank", "title": "Bad Request", "status": 400}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # what uvicorn runs on


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sessions")
    (directory / f"{ID}.jsonl").write_bytes(session_bytes(3))
    return directory


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[Served]:
    """Of 400 descriptors half are for connections, less what is spare."""
    with serving(directory, nofile=400, head_timeout_s=0.3) as served:
        yield served


def is_cut(connection: socket.socket) -> bool:
    """Whether the other end lets go, with or without a word."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def is_cut_while_it_sends(connection: socket.socket) -> bool:
    """Whether the other end takes no more, though it has said all before."""
    while True:
        try:
            connection.sendall(b"a")
        except (ConnectionResetError, BrokenPipeError):
            return True
        select.select([], [], [], 0.02)


def read_all(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """The status and the problem that are answered, all of it, until the other end has said all."""
    with connection.makefile("rb") as file:
        head, _, body = file.read().partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("head", [b"", b"GET ", request("/healthz")[:-2], b"\r\n"])
def test_who_does_not_finish_the_head_of_a_request_is_cut(server: Served, head: bytes) -> None:
    with connected(server.port, head) as connection:
        assert is_cut(connection)


def test_who_sends_a_head_a_letter_at_a_time_is_cut_all_the_same(server: Served) -> None:
    with connected(server.port, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ") as slow:
        slow.settimeout(0.02)
        for _ in range(3000):
            try:
                slow.sendall(b"a")
                if not slow.recv(1):
                    break
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                break
        else:
            pytest.fail("it is still open")


def test_who_is_slow_after_a_request_is_cut_too(server: Served) -> None:
    with connected(server.port, request("/healthz")) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        connection.sendall(b"GET /healthz HTT")

        assert is_cut(connection)


def test_who_does_not_finish_the_body_of_a_request_is_cut(server: Served) -> None:
    headers = ("Content-Type: application/json", "Content-Length: 100")
    with connected(server.port, request("/mcp", *headers, method="POST") + b"{") as connection:
        assert is_cut(connection)


def test_an_answer_is_not_cut_though_its_request_had_a_body(
    directory: Path, server: Served
) -> None:
    path = f"/api/sessions/{uuid4()}/events?wait=60"
    with connected(server.port, request(path, "Content-Length: 1") + b"x") as waits:
        with connected(server.port, request("/mcp", "Content-Length: 9", method="POST")) as slow:
            assert is_cut(slow)  # so that the time for a body was up meanwhile
        waits.setblocking(False)
        with pytest.raises(BlockingIOError):
            waits.recv(1)


def test_a_stream_is_not_cut_though_it_says_nothing(directory: Path, server: Served) -> None:
    session = directory / "4f2c0000-0000-4000-8000-000000000002.jsonl.__partial__"
    session.write_bytes(session_bytes(1).replace(b"000001", b"000002").splitlines(True)[0])
    with Stream(server.port, session_id=session.name[:36]) as stream:
        stream.read_until(b"event: header")
        with connected(server.port, b"GET") as slow:
            assert is_cut(slow)  # so that the time of who is slow was up meanwhile
        session.rename(session.with_suffix(""))
        with session.with_suffix("").open("ab") as file:
            file.write(session_bytes(0).splitlines(True)[-1])

        assert stream.read_to_end()[-1].event == "end"


def test_a_head_that_is_too_large_is_refused(server: Served) -> None:
    with connected(server.port, request("/healthz", "X: " + "a" * 100_000)[:-4]) as connection:
        assert read_all(connection)[0] == 431


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), b"nonsense\r\n\r\n"]
)
def test_what_is_no_request_is_refused(server: Served, garbage: bytes) -> None:
    with connected(server.port, garbage) as connection:
        assert read_all(connection) == (400, {"detail": "no request of HTTP/1.1", **BAD})


def test_who_asks_for_no_body_and_sends_a_damaged_one_reads_that_it_was_refused(
    server: Served,
) -> None:
    """The problem's text was sent all the same, which is none of HTTP: it read nothing."""
    data = request("/healthz", "Transfer-Encoding: chunked", method="HEAD") + b"nonsense\r\n"
    with connected(server.port, data) as connection, connection.makefile("rb") as file:
        head, _, body = file.read().partition(b"\r\n\r\n")

    assert (head.partition(b"\r\n")[0], body) == (b"HTTP/1.1 400 Bad Request", b"")


@pytest.mark.parametrize(
    ("data", "status", "detail"),
    [
        (request("/" + "a" * 2_000_000), 414, "a head has 40960 bytes at most"),
        (request("/", "X: " + "a" * 2_000_000), 431, "a head has 40960 bytes at most"),
        (
            request("/healthz", "Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 400_000,
            411,
            "a body comes with its Content-Length",
        ),
        (
            request("/", "Content-Length: 2000000", "Connection: close", method="PUT")
            + bytes(2_000_000),
            405,
            "sessions are only read, by GET or HEAD",
        ),
    ],
    ids=["path", "head", "chunks", "body"],
)
def test_whoever_is_refused_before_all_was_read_reads_why(
    server: Served, data: bytes, status: int, detail: str
) -> None:
    """Where a socket is closed while bytes wait unread, the kernel destroys what was answered."""
    with connected(server.port, data) as connection:
        told, problem = read_all(connection)

    assert (told, problem["detail"]) == (status, detail)


def test_who_goes_on_after_that_is_cut_in_the_end(server: Served) -> None:
    with connected(server.port, b"nonsense\r\n\r\n") as slow:
        assert read_all(slow)[0] == 400

        assert is_cut_while_it_sends(slow)


@pytest.mark.anyio
async def test_a_client_with_the_port_of_one_that_is_not_known_to_be_gone_counts() -> None:
    """It has the same two ends: where the first one is noted to be gone, the second one is not."""
    config, connections = uvicorn.Config(Starlette()), Connections(8)
    first, second = (connections.protocol()(config, ServerState(), {}) for _ in "ab")
    ends = ("127.0.0.1", 50000), ("127.0.0.1", 8642)
    connections.enter(ends, first)
    connections.enter(ends, second)
    connections.leave(first)

    assert len(connections) == 1


@pytest.mark.anyio
async def test_of_a_flood_of_requests_some_begin_in_each_turn_of_the_loop() -> None:
    config, connections = uvicorn.Config(Starlette()), Connections(8)
    ends = ("127.0.0.1", 50000), ("127.0.0.1", 8642)
    connections.enter(ends, connections.protocol()(config, ServerState(), {}))
    begun = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["path"])

    async def say_nothing(*_: object) -> Any:
        pass

    scope = {"type": "http", "client": ends[0], "server": ends[1], "headers": [], "path": "/"}
    wrapped = connections.wrapped(app)

    async def answer() -> None:
        await wrapped({**scope}, say_nothing, say_nothing)

    async with anyio.create_task_group() as flood:
        for _ in range(100):
            flood.start_soon(answer)
        await anyio.lowlevel.checkpoint()
        at_once = len(begun)

    assert (at_once, len(begun)) == (AT_ONCE, 100)


@pytest.mark.anyio
async def test_an_answer_that_is_cut_in_the_moment_it_goes_on_is_none_that_has_no_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """uvicorn complained of it, on stderr: it did not know yet that the client is gone."""
    connections, begun = Connections(8), anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        while True:
            await anyio.lowlevel.checkpoint()

    config = uvicorn.Config(connections.wrapped(app), log_config=None)
    state = ServerState()
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        connected(listener.getsockname()[1], request("/")),
    ):
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: connections.protocol()(config, state, {}), listener.accept()[0]
        )
        await begun.wait()
        connections.cut()
        while state.tasks:
            await anyio.lowlevel.checkpoint()

    assert (caplog.messages, len(connections)) == ([], 0)


@pytest.mark.anyio
async def test_a_request_that_comes_before_the_last_one_has_tidied_up_is_not_cut_as_late() -> None:
    """An answer is read when its last byte is there; its files may be closed behind that."""
    connections, ended, tidied = Connections(8, head_timeout_s=0.1), anyio.Event(), anyio.Event()
    paths = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        if scope["path"] == "/first":
            await Response()(scope, receive, send)
            await tidied.wait()
        else:
            tidied.set()
            await anyio.wait_all_tasks_blocked()
            late.append(connection.is_late(math.inf))
            ended.set()
            await Response()(scope, receive, send)

    config, late = uvicorn.Config(connections.wrapped(app), log_config=None), list[bool]()
    connection = connections.protocol()(config, ServerState(), {})
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        connected(listener.getsockname()[1], request("/first") + request("/second")),
    ):
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: connection, listener.accept()[0]
        )
        await ended.wait()
        connections.cut()
        while len(connections):
            await anyio.lowlevel.checkpoint()

    assert (paths, late) == (["/first", "/second"], [False])


@pytest.mark.anyio
async def test_of_many_that_are_refused_at_once_so_many_are_heard_out_and_the_others_are_cut() -> (
    None
):
    """Each one too many cut the first one only: they took all descriptors, and nobody came in."""
    connections = Connections(200)
    config, state = uvicorn.Config(Starlette(), log_config=None), ServerState()
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        port = listener.getsockname()[1]
        clients = [stack.enter_context(connected(port, b"nonsense\r\n\r\n")) for _ in range(120)]
        accepted = [listener.accept()[0] for _ in clients]
        made = (
            loop.connect_accepted_socket(lambda: connections.protocol()(config, state, {}), one)
            for one in accepted
        )
        await asyncio.gather(*made)
        for _ in range(10):
            await asyncio.sleep(0)
        cut = sum(one.fileno() < 0 for one in accepted)
        connections.cut()
        await asyncio.sleep(0)

    assert (len(connections), cut) == (0, 20)


@pytest.mark.anyio
async def test_who_has_gone_when_it_is_closed_is_not_kept_for_ever() -> None:
    """It was, 4 KB each; and what stops the server waited for all of these."""
    connections, state = Connections(8), ServerState()
    config = uvicorn.Config(Starlette(), log_config=None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with connected(listener.getsockname()[1]) as client:
            _, connection = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connections.protocol()(config, state, {}), listener.accept()[0]
            )
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.data_received(request("/", "Content-Length: 9", method="POST"))
        connection.soft.close()
        while len(connections):
            await anyio.lowlevel.checkpoint()

    assert state.connections == set()


@pytest.mark.anyio
async def test_who_has_gone_when_its_body_is_refused_is_not_answered_once_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The application answered it behind that, which uvicorn complained of, on stderr."""
    connections, state = Connections(8), ServerState()
    config = uvicorn.Config(connections.wrapped(Starlette()), log_config=None)
    head = request("/", "Transfer-Encoding: chunked", method="POST")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with connected(listener.getsockname()[1]) as client:
            _, connection = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connections.protocol()(config, state, {}), listener.accept()[0]
            )
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.data_received(head + b"nonsense\r\n")
        while len(connections) or state.tasks:
            await anyio.lowlevel.checkpoint()

    assert caplog.messages == ["Invalid HTTP request received."]


def test_who_asks_takes_the_place_of_one_that_has_asked_for_nothing(directory: Path) -> None:
    """Else whoever opens connections faster than they are cut keeps all others out, without a token."""
    with serving(directory, nofile=400) as server, ExitStack() as stack:
        stream = stack.enter_context(Stream(server.port))
        assert stream.status == 200
        for _ in range(50):  # 72 may be open
            stack.enter_context(connected(server.port))
            for data in (b"GET / HTTP/1.1\r\nHost:", request("/healthz")):
                stack.enter_context(connected(server.port, data))
        answers = [get(f"{server.url}/healthz").status_code for _ in range(10)]
        events = stream.read_to_end()

    assert answers == [200] * 10
    assert [event.event for event in events] == ["header", *["chunk"] * 3, "trailer", "end"]


def test_one_connection_too_many_is_refused_where_all_are_answered_and_they_go_on(
    directory: Path,
) -> None:
    with serving(directory, nofile=400) as server, ExitStack() as stack:
        streams = [
            stack.enter_context(connected(server.port, request("/api/events"))) for _ in range(72)
        ]
        for stream in streams:
            assert stream.recv(12) == b"HTTP/1.1 200"
        with connected(server.port, request("/healthz", "X: " + "a" * 4000)) as late:
            refused = late.makefile("rb").read()
        streams[0].close()
        while (answer := get(f"{server.url}/healthz")).status_code == 503:
            pass  # what was open is not noticed to be gone yet

    assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert answer.status_code == 200

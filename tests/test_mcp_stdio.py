"""Messages over two pipes: whole lines, whatever their size, until the client closes its end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from actors import Actor
from samples import ID, chunk_line, header_line
from sessiontail import SessionStore
from sessiontail.mcp import stdio
from sessiontail.mcp.server import ToolServer
from sessiontail.mcp.stdio import serve_stdio
from sessiontail.mcp.toolbox import Toolbox

pytestmark = pytest.mark.anyio

VERSION = "2025-06-18"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": VERSION,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def call(number: int, tool: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def lines(*messages: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in messages)


@contextmanager
def pipes() -> Iterator[tuple[int, int, int, int]]:
    """The server's stdin and our end of it, the server's stdout and our end of it."""
    stdin, to_server = os.pipe()
    from_server, stdout = os.pipe()
    yield stdin, to_server, stdout, from_server
    for fd in (stdin, stdout, from_server):
        os.close(fd)


async def conversation(directory: Path, data: bytes) -> list[dict[str, Any]]:
    """What a client is answered that sends all it has and closes its end."""
    server = ToolServer(Toolbox(SessionStore(directory)))
    with pipes() as (stdin, to_server, stdout, from_server):
        got = b""

        async def send() -> None:
            await anyio.to_thread.run_sync(_write_all, to_server, data)

        async def receive() -> None:
            nonlocal got
            while not done or b"\n" not in got:
                await anyio.wait_readable(from_server)
                got += os.read(from_server, 65536)

        done: list[bool] = []
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
                tasks.start_soon(receive)
                await serve_stdio(server, stdin=stdin, stdout=stdout)
                tasks.cancel_scope.cancel()
        os.set_blocking(from_server, False)
        try:
            while more := os.read(from_server, 65536):
                got += more
        except BlockingIOError:
            pass
    return [json.loads(line) for line in got.splitlines()]


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
    os.close(fd)


async def test_what_was_asked_before_the_end_is_answered_and_what_waits_is_told_that_it_ends(
    tmp_path: Path,
) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(header_line() + chunk_line(0, "x" * 300_000))
    with Actor(tmp_path, ID).open():
        asks = [
            call(1, "wait_for", session=str(ID), text="never", timeout_s=300),
            call(2, "read_session", session=str(ID), line=1),
            {"jsonrpc": "2.0", "id": 3, "method": "tools/list"},
        ]

        answers = await conversation(tmp_path, lines(INITIALIZE, INITIALIZED, *asks))

    by_id = {answer["id"]: answer["result"] for answer in answers}
    assert sorted(by_id) == [0, 1, 2, 3]
    assert by_id[0]["serverInfo"]["name"] == "sessiontail"
    assert by_id[1]["isError"]
    assert by_id[1]["content"][0]["text"].startswith("the server stops. Nothing is lost: ")
    assert by_id[2]["structuredContent"]["records"][0]["line"] == 1
    assert len(by_id[3]["tools"]) == 6


async def test_a_last_message_without_a_newline_is_answered(tmp_path: Path) -> None:
    data = lines(INITIALIZE, INITIALIZED, {"jsonrpc": "2.0", "id": 3, "method": "tools/list"})

    answers = await conversation(tmp_path, data[:-1])

    assert [answer["id"] for answer in answers] == [0, 3]


async def test_an_answer_that_is_longer_than_a_pipe_is_whole(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(header_line() + chunk_line(0, "晴" * 200_000))
    ask = call(1, "read_session", session=str(ID), line=2, max_text=200_000)

    answers = await conversation(tmp_path, lines(INITIALIZE, INITIALIZED, ask))

    (record,) = answers[1]["result"]["structuredContent"]["records"]
    assert record["text"] == "晴" * 200_000


async def test_what_is_no_message_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio, "MAX_MESSAGE_BYTES", 100_000)
    too_long = b"x" * 300_000 + b"\n"
    garbage = b"oops\n\n{}\n\xff\n" + too_long

    answers = await conversation(
        tmp_path, lines(INITIALIZE, INITIALIZED) + garbage + lines(call(1, "list_sessions"))
    )

    (listed,) = [answer for answer in answers if answer.get("id") == 1]
    assert listed["result"]["structuredContent"]["total"] == 0


async def test_what_is_told_to_stop_waits_for_no_client_that_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(header_line() + chunk_line(0, "x" * 200_000))
    ask = call(1, "read_session", session=str(ID), line=2, max_text=200_000)
    server = ToolServer(Toolbox(SessionStore(tmp_path)))
    stopping = anyio.Event()
    with pipes() as (stdin, to_server, stdout, from_server), anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                partial(serve_stdio, server, stdin=stdin, stdout=stdout, stopping=stopping)
            )
            os.write(to_server, lines(INITIALIZE, INITIALIZED, ask, call(2, "wait_for")))
            got = b""
            while b'"id":1' not in got:  # the long one has begun
                await anyio.wait_readable(from_server)
                got += os.read(from_server, 4096)
            stopping.set()
        os.close(to_server)

    assert len(server.calls) == 0


async def test_a_file_for_standard_input_is_read_like_a_pipe(tmp_path: Path) -> None:
    asks, told = tmp_path / "asks", tmp_path / "told"
    asks.write_bytes(lines(INITIALIZE, INITIALIZED, call(1, "list_sessions")))
    server = ToolServer(Toolbox(SessionStore(tmp_path / "sessions")))
    with asks.open("rb") as stdin, told.open("wb") as stdout, anyio.fail_after(60):
        await serve_stdio(server, stdin=stdin.fileno(), stdout=stdout.fileno())

    assert [json.loads(line)["id"] for line in told.read_bytes().splitlines()] == [0, 1]


async def test_a_file_that_never_ends_does_not_keep_all_else_from_going_on(tmp_path: Path) -> None:
    """Nobody waits for a file: a signal was not heard while it was read."""
    asks = tmp_path / "asks"
    asks.write_bytes(b"\n" * 2_000_000)
    server, stopping = ToolServer(Toolbox(SessionStore(tmp_path / "sessions"))), anyio.Event()
    stopping.set()
    with asks.open("rb") as stdin, (tmp_path / "told").open("wb") as stdout, anyio.fail_after(60):
        await serve_stdio(server, stdin=stdin.fileno(), stdout=stdout.fileno(), stopping=stopping)
        read = os.lseek(stdin.fileno(), 0, os.SEEK_CUR)

    assert read < 2_000_000

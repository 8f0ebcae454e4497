"""Requests of MCP clients over HTTP, without a web server: what is answered, and what is refused."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.types import JSONRPCRequest

from actors import Actor, Counts
from samples import ID
from sessiontail import SessionStore
from sessiontail.mcp.http import HttpTools, Reply, StreamedCall, events_of
from sessiontail.mcp.server import ToolServer
from sessiontail.mcp.toolbox import Toolbox
from test_mcp_stdio import INITIALIZE, INITIALIZED, VERSION, call

pytestmark = pytest.mark.anyio

HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


@pytest.fixture
def server(tmp_path: Path) -> ToolServer:
    return ToolServer(Toolbox(SessionStore(tmp_path), progress_s=0.01))


async def post(server: ToolServer, message: Any, **headers: str) -> Reply | StreamedCall:
    given = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await HttpTools(server).answer("POST", given, json.dumps(message).encode())


async def replied(server: ToolServer, message: Any, **headers: str) -> Reply:
    reply = await post(server, message, **headers)
    assert isinstance(reply, Reply)
    return reply


async def test_a_client_is_given_a_name_and_every_name_is_taken(server: ToolServer) -> None:
    first = await replied(server, INITIALIZE)
    again = await replied(server, INITIALIZE)
    known = await replied(server, INITIALIZE, mcp_session_id="of-a-server-before")
    listed = await replied(
        server,
        {"jsonrpc": "2.0", "id": "x", "method": "tools/list"},
        mcp_session_id="of-a-server-before",
        mcp_protocol_version=VERSION,
    )

    assert json.loads(first.body)["result"]["serverInfo"]["name"] == "sessiontail"
    assert len(first.headers["mcp-session-id"]) == 32
    assert first.headers["mcp-session-id"] != again.headers["mcp-session-id"]
    assert known.headers["mcp-session-id"] == "of-a-server-before"
    assert json.loads(listed.body)["id"] == "x"
    assert len(json.loads(listed.body)["result"]["tools"]) == 6
    assert "mcp-session-id" not in listed.headers


async def test_a_notification_is_taken_and_not_answered(server: ToolServer) -> None:
    assert await replied(server, INITIALIZED) == Reply(202)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "text/plain"}, b"{}", 415),
        ({"content-type": ""}, b"{}", 415),
        ({}, b"{", 400),
        ({}, b"[]", 400),
        ({}, b"[" * 100_000, 400),
        ({}, b"\xff", 400),
        ({}, b'{"jsonrpc": "2.0"}', 400),
        ({}, b'{"jsonrpc": "2.0", "id": "\\ud800", "method": "ping"}', 400),
        ({"mcp-protocol-version": "1999-01-01"}, b"{}", 400),
        ({"mcp-session-id": "a b"}, b"{}", 400),
        ({"mcp-session-id": "x" * 129}, b"{}", 400),
    ],
)
async def test_what_is_no_message_of_a_client_is_refused(
    server: ToolServer, headers: dict[str, str], body: bytes, status: int
) -> None:
    reply = await HttpTools(server).answer("POST", {**HEADERS, **headers}, body)

    assert isinstance(reply, Reply)
    assert reply.status == status
    assert json.loads(reply.body)["error"]["message"]
    assert reply.headers["content-type"] == "application/json"


async def test_the_server_begins_no_stream(server: ToolServer) -> None:
    reply = await HttpTools(server).answer("GET", {"accept": "text/event-stream"}, b"")

    assert isinstance(reply, Reply)
    assert (reply.status, reply.headers["allow"]) == (405, "POST, DELETE")


async def test_who_takes_no_stream_gets_a_call_answered_at_once(server: ToolServer) -> None:
    reply = await replied(server, call(7, "list_sessions"), accept="application/json")

    answer = json.loads(reply.body)
    assert (answer["id"], answer["result"]["structuredContent"]["total"]) == (7, 0)


async def streamed(server: ToolServer, message: Any, client: str = "c") -> list[dict[str, Any]]:
    """The messages that a call is answered with."""
    asked = await post(server, message, mcp_session_id=client)
    assert isinstance(asked, StreamedCall)
    events = []
    async with HttpTools(server).served(asked) as messages:
        async for event in events_of(messages):
            if event:
                begin, data, end = event.split(b"\r\n", 2)
                assert (begin, end) == (b"event: message", b"\r\n")
                events.append(json.loads(data.removeprefix(b"data: ")))
    return events


@asynccontextmanager
async def waited_for(server: ToolServer) -> AsyncGenerator[list[dict[str, Any]]]:
    """A call that waits, and its messages once it has ended."""
    found: list[dict[str, Any]] = []

    async def wait() -> None:
        found.extend(await streamed(server, call(5, "wait_for", text="never", timeout_s=60)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        while not server.calls:
            await anyio.sleep(0.001)
        yield found


async def test_a_call_is_a_stream_of_its_progress_and_its_answer(
    server: ToolServer, tmp_path: Path
) -> None:
    asks = call(5, "wait_for", timeout_s=0)
    asks["params"]["_meta"] = {"progressToken": "t"}

    *progress, answer = await streamed(server, asks)

    assert progress[0]["method"] == "notifications/progress"
    assert progress[0]["params"]["progressToken"] == "t"
    assert (answer["id"], answer["result"]["structuredContent"]["ended_by"]) == (5, "time")


@pytest.mark.parametrize(
    "params",
    [
        b"null",
        b"{}",
        b'{"name": 3}',
        b'{"name": "list_sessions", "arguments": []}',
        b'{"name": "list_sessions", "arguments": {"limit": 1e999}}',
        b'{"name": "list_sessions", "arguments": {"text": "\\ud800"}}',
        b'{"name": "read_session", "arguments": {"session": "\\ud800"}}',
        b'{"name": "\\ud800"}',
        b'{"name": "list_sessions", "_meta": {"progressToken": {}}}',
        b'{"name": "list_sessions", "arguments": {"x": ' + b"[" * 900 + b"]" * 900 + b"}}",
    ],
)
async def test_whatever_is_asked_is_answered(server: ToolServer, params: bytes) -> None:
    body = b'{"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": %b}' % params
    for headers in (HEADERS, {**HEADERS, "accept": "application/json"}):
        reply = await HttpTools(server).answer("POST", headers, body)
        if isinstance(reply, StreamedCall):
            async with HttpTools(server).served(reply) as messages:
                *_, event = [event async for event in events_of(messages)]
            answer = json.loads(event.split(b"\r\n")[1].removeprefix(b"data: "))
        else:
            answer = json.loads(reply.body)

        assert answer["id"] == 4
        assert ("error" in answer) != ("result" in answer)


async def test_a_cancellation_of_no_call_is_taken(server: ToolServer) -> None:
    for number in (b"null", b"{}", b"[" * 900 + b"]" * 900, b"7"):
        body = (
            b'{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": %b}}'
            % number
        )
        headers = {**HEADERS, "mcp-session-id": "c"}
        assert await HttpTools(server).answer("POST", headers, body) == Reply(202)


async def test_a_call_is_cancelled_by_a_request_of_the_same_client_and_no_other(
    server: ToolServer, tmp_path: Path
) -> None:
    with Actor(tmp_path).open():
        async with waited_for(server) as found:
            cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
            for client in ("d", ""):
                headers = {"mcp_session_id": client} if client else {}
                await replied(server, {**cancel, "params": {"requestId": 5}}, **headers)
            assert len(server.calls) == 1
            await replied(server, {**cancel, "params": {"requestId": 5}}, mcp_session_id="c")

    (answer,) = found
    assert answer["result"]["content"][0]["text"] == "cancelled"


async def test_a_client_that_leaves_ends_its_calls(server: ToolServer, tmp_path: Path) -> None:
    with Actor(tmp_path).open():
        async with waited_for(server) as found:
            tools = HttpTools(server)
            assert await tools.answer("DELETE", {"mcp-session-id": "d"}, b"") == Reply(200)
            assert len(server.calls) == 1
            assert await tools.answer("DELETE", {"mcp-session-id": "c"}, b"") == Reply(200)

    assert found[0]["result"]["isError"]


async def test_a_connection_that_is_cut_leaves_nothing_running(
    server: ToolServer, tmp_path: Path
) -> None:
    with Actor(tmp_path).open():
        await streamed(server, call(1, "wait_for", session=str(ID)))
        before = Counts.now()
        for number in range(3):
            asked = await post(server, call(number, "wait_for", text="never", timeout_s=60))
            assert isinstance(asked, StreamedCall)
            async with HttpTools(server).served(asked):
                while not server.calls:
                    await anyio.sleep(0.001)

        assert len(server.calls) == 0
        assert Counts.at_rest(before) == before


async def test_when_the_server_stops_calls_are_answered(server: ToolServer, tmp_path: Path) -> None:
    asked = await post(server, call(1, "wait_for", text="never", timeout_s=60))
    assert isinstance(asked, StreamedCall)
    assert isinstance(asked.request, JSONRPCRequest)
    tools = HttpTools(server)
    async with tools.served(asked) as messages:
        while not server.calls:
            await anyio.sleep(0.001)
        tools.stop()
        events = [event async for event in events_of(messages) if event]

    assert b"the server stops. Nothing is lost: " in events[-1]

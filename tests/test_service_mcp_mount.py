"""``/mcp`` of a server in a process of its own, as the SDK's own client meets it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from actors import Actor
from commands import ONE, closed
from samples import ID
from served import Served
from services import client as client_of
from sessiontail import SessionStore
from sessiontail.service import create_app, end_streams
from sessiontail.service.live.clients import Clients
from test_mcp_http import HEADERS
from test_mcp_server import Waiting
from test_mcp_stdio import INITIALIZE, call
from toolmates import asked, refused

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:Use `streamable_http_client`")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # httpx and uvicorn are the other end; our own end: test_mcp_http


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Path]]:
    directory = tmp_path_factory.mktemp("sessions")
    with Served("--dir", directory, "--token", "sesame") as server:
        yield server, directory


@asynccontextmanager
async def connected(server: Served, token: str = "sesame") -> AsyncIterator[ClientSession]:
    headers = {"authorization": f"Bearer {token}"}
    async with (
        streamablehttp_client(f"{server.url}/mcp", headers=headers) as (read, write, _),
        ClientSession(read, write) as client,
    ):
        await client.initialize()
        await client.list_tools()
        yield client


async def test_the_sdks_client_has_all_tools_over_http(served: tuple[Served, Path]) -> None:
    server, directory = served
    path = closed(directory, ONE, "hello", "world")
    try:
        async with connected(server) as client:
            listed = await asked(client, "list_sessions")
            read = await asked(client, "read_session", session="4f2c")
            found = await asked(client, "search", pattern="WORLD")
            used = await asked(client, "usage")
            kin = await asked(client, "lineage", session="4f2c")
            ended = await asked(client, "wait_for", session="4f2c", text="never")
            told = await refused(client, "read_session", session="beef")
    finally:
        path.unlink()

    assert [one["id"] for one in listed["sessions"]] == [ONE]
    assert [one["kind"] for one in read["records"]] == ["header", "user", "user", "trailer"]
    assert [one["line"] for one in found["matches"]] == [3]
    assert used["all"]["unknown"] == 1
    assert kin["focus"] == ONE
    assert ended["outcome"] == "closed"
    assert told.startswith("no session is called 'beef'")


async def test_a_wait_whose_connection_is_cut_is_begun_again_and_loses_nothing(
    served: tuple[Served, Path],
) -> None:
    server, directory = served
    with Actor(directory).open().say("before") as actor:
        async with connected(server) as client:
            start = await asked(client, "read_session", session=str(ID))
        headers = {**HEADERS, "authorization": "Bearer sesame"}
        arguments = {"session": str(ID), "text": "now", "after": start["next"]}
        body = call(1, "wait_for", **arguments)
        url = f"{server.url}/mcp"
        async with (
            httpx.AsyncClient(verify=False) as raw,
            raw.stream("POST", url, json=body, headers=headers) as cut,
        ):
            assert cut.headers["content-type"].startswith("text/event-stream")
            actor.say("not yet", "now")
        async with connected(server) as client:
            found = await asked(client, "wait_for", **arguments)
            again = await asked(client, "wait_for", **arguments)

    assert found == again
    assert (found["record"]["line"], found["passed"]) == (4, 1)
    actor.wal.unlink()


async def test_a_wait_tells_that_it_waits_and_ends_with_what_is_written(
    served: tuple[Served, Path],
) -> None:
    server, directory = served
    async with connected(server) as client:
        waiting = Waiting(client, text="now", timeout_s=60)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiting.run)
            await waiting.begun()
            with Actor(directory).open().say("now") as actor:
                while not waiting.text:
                    await anyio.sleep(0.001)

    assert f"session {ID}\nline 2: user\n  | now" in waiting.text
    actor.wal.unlink()


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {}, 401),
        ("POST", {"authorization": "Bearer wrong"}, 401),
        ("POST", {"authorization": "Bearer sesame", "host": "evil.example"}, 421),
        ("POST", {"authorization": "Bearer sesame", "origin": "http://evil.example"}, 403),
        ("POST", {"authorization": "Bearer sesame", "content-type": "text/plain"}, 415),
        ("PUT", {"authorization": "Bearer sesame"}, 405),
        ("GET", {"authorization": "Bearer sesame", "accept": "text/event-stream"}, 405),
        ("DELETE", {"authorization": "Bearer sesame"}, 200),
        ("POST", {"authorization": "Bearer sesame"}, 200),
    ],
)
async def test_only_who_may_is_answered(
    served: tuple[Served, Path], method: str, headers: dict[str, str], status: int
) -> None:
    server, _ = served
    async with httpx.AsyncClient(verify=False) as raw:
        answer = await raw.request(
            method,
            f"{server.url}/mcp",
            content=json.dumps(INITIALIZE),
            headers={**HEADERS, **headers},
        )

    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.slow  # the SDK is loaded once more
async def test_a_restart_of_the_server_costs_a_client_only_the_call_that_was_in_flight(
    served: tuple[Served, Path],
) -> None:
    server, directory = served
    async with connected(server) as client:
        waiting = Waiting(client, text="now", timeout_s=60)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiting.run)
            await waiting.begun()
            await anyio.to_thread.run_sync(server.stop)
        begin, cursor = waiting.text.removesuffix(" once it is back").split(" after=")
        with Actor(directory).open().say("now") as actor:
            await anyio.to_thread.run_sync(server.start)
            found = await asked(client, "wait_for", text="now", after=cursor)

    assert begin == "the server stops. Nothing is lost: call again with"
    assert (found["session_id"], found["record"]["line"]) == (str(ID), 2)
    actor.wal.unlink()


async def test_who_takes_json_alone_is_told_too_that_the_server_stops(tmp_path: Path) -> None:
    app = create_app(SessionStore(tmp_path))
    headers = {**HEADERS, "accept": "application/json"}
    answers: list[httpx.Response] = []

    async def wait(raw: httpx.AsyncClient) -> None:
        body = call(1, "wait_for", session=str(ID), timeout_s=60)
        answers.append(await raw.post("/mcp", json=body))

    with Actor(tmp_path).open():
        async with client_of(app, **headers) as raw, anyio.create_task_group() as tasks:
            tasks.start_soon(wait, raw)
            while not app.state.context.part(Clients):
                await anyio.sleep(0.001)
            end_streams(app)

    assert "the server stops. Nothing is lost: call again with" in answers[0].text


async def test_a_message_has_a_size(tmp_path: Path) -> None:
    async with client_of(create_app(SessionStore(tmp_path)), **HEADERS) as raw:
        answer = await raw.post("/mcp", content=b" " * (4 * 1024 * 1024 + 1))

    assert answer.status_code == 413


async def test_without_the_extra_it_says_so_and_the_service_serves_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.startswith("sessiontail.mcp"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)
    async with client_of(create_app(SessionStore(tmp_path)), **HEADERS) as raw:
        answer = await raw.post("/mcp", content=b"{}")
        rest = await raw.get("/api/sessions")

    assert (answer.status_code, answer.json()["detail"]) == (
        501,
        "the tools for agents need the package mcp: pip install 'mcp>=1.22,<2'",
    )
    assert rest.status_code == 200

"""Calls through the SDK's protocol: errors, progress, cancellation, and an end for all of them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.types import CancelledNotification, CancelledNotificationParams, ClientNotification

from actors import Actor, Counts
from samples import ID
from sessiontail import SessionStore
from sessiontail.mcp import server as serving
from sessiontail.mcp.answers import Answer
from sessiontail.mcp.server import ToolServer
from sessiontail.mcp.toolbox import Toolbox
from sessiontail.mcp.tools import TOOLS, ToolRow
from toolmates import asked, connected, refused, text_of

pytestmark = pytest.mark.anyio


class Waiting:
    """A call of ``wait_for`` in a task of its own; it has begun when its first progress came."""

    def __init__(self, client: Any, **arguments: Any) -> None:
        self.progress: list[tuple[float, float | None, str | None]] = []
        self.text = ""
        self._begun = anyio.Event()
        self._client, self._arguments = client, arguments

    async def run(self) -> None:
        result = await self._client.call_tool(
            "wait_for", self._arguments, progress_callback=self._tell
        )
        self.text = text_of(result)

    async def begun(self) -> None:
        with anyio.fail_after(30):
            await self._begun.wait()

    async def _tell(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append((progress, total, message))
        self._begun.set()


def made(directory: Path, progress_s: float = 0.01) -> ToolServer:
    return ToolServer(Toolbox(SessionStore(directory), progress_s=progress_s))


async def test_an_unknown_tool_and_wrong_arguments_are_told(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        assert await refused(client, "delete_session") == (
            "there is no such tool; there are list_sessions, read_session, search, usage, lineage, "
            "wait_for"
        )
        assert await refused(client, "list_sessions", limit=201) == (
            "wrong argument: Expected `int` <= 200 - at `limit`"
        )


async def test_a_wait_tells_that_it_waits_so_that_its_client_does_not_give_up(
    tmp_path: Path,
) -> None:
    with Actor(tmp_path).open() as actor:
        async with connected(tmp_path, progress_s=0.01) as client:
            waiting = Waiting(client, session=str(ID), text="now", timeout_s=60)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(waiting.run)
                await waiting.begun()
                actor.say("now")

    seconds, total, message = waiting.progress[0]
    assert 0.01 <= seconds < 60
    assert total == 60
    assert message is not None
    assert message.startswith("waiting; so far up to st1.")
    assert "| now" in waiting.text


async def test_a_wait_that_its_client_cancels_ends_and_leaves_nothing_running(
    tmp_path: Path,
) -> None:
    with Actor(tmp_path).open() as actor:
        server = made(tmp_path)
        async with connected(tmp_path, server=server) as client:
            await asked(client, "wait_for", session=str(ID))
            before = Counts.now()
            waiting = Waiting(client, session=str(ID), text="now", timeout_s=60)
            async with anyio.create_task_group() as tasks:

                async def run() -> None:
                    with pytest.raises(Exception, match="Request cancelled"):
                        await waiting.run()

                tasks.start_soon(run)
                await waiting.begun()
                assert len(server.calls) == 1
                # initialize, list_tools, and the first wait were 0, 1 and 2.
                params = CancelledNotificationParams(requestId=3)
                await client.send_notification(
                    ClientNotification(
                        CancelledNotification(method="notifications/cancelled", params=params)
                    )
                )
            assert len(server.calls) == 0
            assert Counts.at_rest(before) == before
            actor.say("now")
            again = await asked(client, "wait_for", session=str(ID), text="now")

    assert again["record"]["line"] == 2


async def test_when_the_server_stops_a_wait_says_where_it_goes_on(tmp_path: Path) -> None:
    server = made(tmp_path)
    async with connected(tmp_path, server=server) as client:
        waiting = Waiting(client, text="now", timeout_s=60)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiting.run)
            await waiting.begun()
            server.calls.stop()
    with Actor(tmp_path).open().say("now"):
        begin, cursor = waiting.text.removesuffix(" once it is back").split(" after=")
        async with connected(tmp_path) as client:
            found = await asked(client, "wait_for", text="now", after=cursor)

    assert begin == "the server stops. Nothing is lost: call again with"
    assert (found["session_id"], found["record"]["line"]) == (str(ID), 2)


async def test_a_call_that_comes_when_the_server_stops_is_told_so(tmp_path: Path) -> None:
    server = made(tmp_path)
    async with connected(tmp_path, server=server) as client:
        server.calls.stop()

        assert await refused(client, "list_sessions") == (
            "the server stops. Nothing is lost: call again with the same arguments once it is back"
        )


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools that fail, each in its way."""

    async def fails(*_: object) -> Answer:
        raise ZeroDivisionError("/home/me/secret")

    async def sleeps(*_: object) -> Answer:
        await anyio.sleep_forever()
        raise AssertionError

    shape = TOOLS[0].shape
    rows = (
        ToolRow("fails", "", "", shape, {}, fails),
        ToolRow("sleeps", "", "", shape, {}, sleeps, most_s=0.01),
    )
    monkeypatch.setattr(serving, "TOOLS", rows)


async def test_what_nobody_foresaw_is_logged_and_told_without_a_word_of_it(
    broken: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(tmp_path) as client:
        with caplog.at_level(logging.ERROR, "sessiontail"):
            told = await refused(client, "fails")

    assert told == "the tool failed (ZeroDivisionError); the server's log says why"
    assert "/home/me/secret" in caplog.text


async def test_many_that_read_at_once_take_turns_and_a_wait_takes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = [0]
    waits = anyio.Event()
    row = next(row for row in TOOLS if row.name == "list_sessions")

    async def reads(*_: object) -> Answer:
        at_once.append(at_once[-1] + 1)
        await waits.wait()
        at_once.append(at_once[-1] - 1)
        return Answer(found={"sessions": [], "total": 0, "next": None}, data="", told="")

    async def frees(*_: object) -> Answer:
        await anyio.wait_all_tasks_blocked()
        waits.set()
        return Answer(found={}, data="", told="")

    rows = (
        ToolRow("list_sessions", "", "", row.shape, row.gives, reads),
        ToolRow("frees", "", "", row.shape, {}, frees, waits=True),
    )
    monkeypatch.setattr(serving, "TOOLS", rows)
    async with connected(tmp_path) as client, anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(client.call_tool, "list_sessions")
        await client.call_tool("frees")

    assert max(at_once) == 8
    assert len(at_once) == 41


async def test_what_takes_too_long_is_given_up_with_a_hint(broken: None, tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        assert await refused(client, "sleeps") == (
            "that took more than 0.01 s and was given up; ask for less: one session, a smaller limit, a "
            "later since"
        )

"""Calls in flight: one is cancelled by its own client only, all are ended when the server stops."""

from __future__ import annotations

from typing import Self

import anyio
import pytest

from sessiontail.mcp.calls import Calls, Ending

pytestmark = pytest.mark.anyio


class Run:
    """Calls that sleep until they are ended; what each ended by, None for those that did not."""

    def __init__(self, calls: Calls, *made: tuple[str, str, bool]) -> None:
        self.endings: dict[tuple[str, str], Ending | None] = {}
        self._calls, self._made = calls, made

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        for client, number, waits in self._made:
            self._tasks.start_soon(self._one, client, number, waits)
        await anyio.wait_all_tasks_blocked()
        return self

    async def __aexit__(self, *_: object) -> None:
        await anyio.wait_all_tasks_blocked()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def _one(self, client: str, number: str, waits: bool) -> None:  # noqa: FBT001 - passed through start_soon
        with self._calls.running(client, number, waits=waits) as call:
            await anyio.sleep_forever()
        self.endings[client, number] = call.ending


async def test_a_client_cancels_its_own_call_and_no_other() -> None:
    calls = Calls()
    async with Run(calls, ("a", "1", True), ("a", "2", True), ("b", "1", False)) as run:
        calls.cancel("a", "1")
        calls.cancel("c", "1")
        calls.cancel("b", "2")

    assert run.endings == {("a", "1"): Ending.CANCELLED}
    assert len(calls) == 0


async def test_a_client_that_leaves_ends_all_that_it_has_asked() -> None:
    calls = Calls()
    async with Run(calls, ("a", "1", True), ("a", "2", False), ("b", "1", True)) as run:
        calls.cancel("a")

    assert run.endings == {("a", "1"): Ending.CANCELLED, ("a", "2"): Ending.CANCELLED}


async def test_when_the_server_stops_all_calls_end_also_those_that_come_then() -> None:
    calls = Calls()
    async with Run(calls, ("a", "1", True), ("b", "1", False)) as run:
        calls.cancel("a", "1")
        calls.stop()
    async with Run(calls, ("c", "1", False)) as late:
        pass

    assert run.endings == {("a", "1"): Ending.CANCELLED, ("b", "1"): Ending.STOPPING}
    assert late.endings == {("c", "1"): Ending.STOPPING}


async def test_where_only_waits_end_the_others_are_finished() -> None:
    calls = Calls()
    async with Run(calls, ("a", "1", True), ("a", "2", False)) as run:
        calls.stop(only_waits=True)
    async with Run(calls, ("a", "3", True), ("a", "4", False)) as late:
        pass

    assert run.endings == {("a", "1"): Ending.STOPPING}
    assert late.endings == {("a", "3"): Ending.STOPPING}

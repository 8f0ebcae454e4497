"""Who asks gets what is there now, and many who ask cost one round."""

from __future__ import annotations

import anyio
import pytest

from sessiontail.system.rounds import Rounds

pytestmark = pytest.mark.anyio


class Gate:
    """A function that gives how often it was called, when it is let."""

    def __init__(self) -> None:
        self.calls = 0
        self.began = anyio.Event()
        self.go = anyio.Event()
        self.fails = False

    async def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        self.began.set()
        await self.go.wait()
        if self.fails:
            raise ZeroDivisionError
        return number


async def test_one_after_the_other_is_a_round_each() -> None:
    gate = Gate()
    gate.go.set()
    rounds = Rounds(gate)

    assert [await rounds.ask(), await rounds.ask()] == [1, 2]


async def test_all_who_ask_while_a_round_runs_share_the_next() -> None:
    gate = Gate()
    rounds = Rounds(gate)
    found: list[int] = []

    async def ask() -> None:
        found.append(await rounds.ask())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await gate.began.wait()
        for _ in range(100):
            tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        gate.go.set()

    assert sorted(found) == [1] + [2] * 100


async def test_where_the_one_who_goes_is_cancelled_another_goes() -> None:
    gate = Gate()
    rounds = Rounds(gate)
    found: list[int] = []

    async def ask() -> None:
        found.append(await rounds.ask())

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as first:
                first.start_soon(rounds.ask)
                await gate.began.wait()
                tasks.start_soon(ask)
                tasks.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        gate.go.set()

    assert found == [2, 2]


async def test_an_error_is_of_the_one_who_went_and_the_next_goes_again() -> None:
    gate = Gate()
    gate.fails = True
    gate.go.set()
    rounds = Rounds(gate)

    with pytest.raises(ZeroDivisionError):
        await rounds.ask()
    gate.fails = False

    assert await rounds.ask() == 2

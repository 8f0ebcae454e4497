"""Requests that come at once begin in several turns of the event loop, and no turn takes long."""

from __future__ import annotations

import asyncio

import pytest

from sessiontail.service.turns import AT_ONCE, Turns

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # what uvicorn runs on


class Requests:
    """Requests by number, and in which turn of the loop each one began."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.tasks: list[asyncio.Task[None]] = []
        self.begun: list[list[int]] = []
        self._turn = 0

    def come(self, *numbers: int) -> None:
        self.tasks += [asyncio.create_task(self._one(number)) for number in numbers]

    async def count_turns(self, turns: int) -> None:
        for _ in range(turns):
            self.begun.append([])
            await asyncio.sleep(0)
        while not self.begun[-1]:
            self.begun.pop()

    async def _one(self, number: int) -> None:
        await self.turns.take()
        self.begun[-1].append(number)


async def test_as_many_as_may_begin_at_once_do_so() -> None:
    requests = Requests()
    requests.come(*range(AT_ONCE))
    await requests.count_turns(10)

    assert requests.begun == [[*range(AT_ONCE)]]


async def test_of_more_the_oldest_and_the_newest_begin_in_the_next_turns() -> None:
    requests = Requests()
    requests.come(*range(3 * AT_ONCE))
    await requests.count_turns(20)

    first, *others = filter(None, requests.begun)
    half = AT_ONCE // 2
    assert first == [*range(AT_ONCE)]
    assert [sorted(one) for one in others] == [
        [*range(AT_ONCE, AT_ONCE + half), *range(3 * AT_ONCE - half, 3 * AT_ONCE)],
        [*range(AT_ONCE + half, 3 * AT_ONCE - half)],
    ]


async def test_who_comes_while_others_wait_does_not_wait_for_all_of_them() -> None:
    requests = Requests()
    requests.come(*range(1000))
    requests.begun.append([])
    await asyncio.sleep(0)
    requests.come(1000)
    await requests.count_turns(3)

    assert len(requests.turns) > 900
    assert 1000 in [number for turn in requests.begun for number in turn]
    await requests.count_turns(100)
    assert sorted(number for turn in requests.begun for number in turn) == [*range(1001)]


async def test_who_leaves_while_it_waits_takes_no_turn() -> None:
    requests = Requests()
    requests.come(*range(3 * AT_ONCE))
    requests.begun.append([])
    await asyncio.sleep(0)
    for task in requests.tasks[AT_ONCE : 2 * AT_ONCE + 1]:
        task.cancel()
    await requests.count_turns(20)

    first, *others = filter(None, requests.begun)
    assert first == [*range(AT_ONCE)]
    assert [sorted(one) for one in others] == [[*range(2 * AT_ONCE + 1, 3 * AT_ONCE)]]
    assert len(requests.turns) == 0

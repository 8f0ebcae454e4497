"""Many tails that wake together take turns; one alone has its at once."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from sessiontail.system import pace as pacing
from sessiontail.system.pace import Pace, pace

pytestmark = pytest.mark.anyio


class Clock:
    """Stands for the module ``time``; who works sets it on."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_many_tails_that_wake_together_let_other_tasks_have_their_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, shared = Clock(), Pace()
    monkeypatch.setattr(pacing, "time", clock)
    order: list[str] = []

    async def tail() -> None:
        await shared.turn()
        clock.now_s += 0.6 * pacing._TURN_S
        order.append("tail")

    async def other() -> None:
        while order.count("tail") < 9:
            order.append("other")
            await checkpoint()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            for _ in range(9):
                tasks.start_soon(tail)

    runs = [len(run.split()) for run in " ".join(order).split("other") if run.strip()]
    assert sum(runs) == 9
    assert max(runs) == 2


async def test_a_lone_tail_has_its_turn_at_once_and_a_loop_one_pace() -> None:
    with anyio.fail_after(30):
        await pace().turn()

    assert pace() is pace()

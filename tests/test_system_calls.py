"""A call goes on whether or not somebody waits for it, and so does a task in the background."""

from __future__ import annotations

import asyncio
import gc
import threading

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from sessiontail.system.calls import Background, Call
from sessiontail.system.signals import Home, Signal

pytestmark = pytest.mark.anyio


async def test_who_was_cancelled_asks_again_and_gets_the_result() -> None:
    released = threading.Event()
    calls: list[int] = []

    def work(number: int) -> int:
        released.wait(30)
        calls.append(number)
        return number

    call = Call("here", work, 7)
    for _ in range(3):
        with anyio.move_on_after(0.001) as scope:
            await call.wait()
        assert (scope.cancelled_caught, call.over) == (True, False)
    released.set()

    with anyio.fail_after(30):
        assert await call.wait() == 7
    assert (call.over, call.result(), calls) == (True, 7, [7])


async def test_what_a_call_raises_is_raised_to_who_waits() -> None:
    call = Call("here", divmod, 1, 0)
    await call.settled()

    with pytest.raises(ZeroDivisionError):
        await call.wait()


async def test_a_call_that_is_left_ends_by_itself_and_wakes_who_waits() -> None:
    released, over = threading.Event(), threading.Event()
    call = Call("here", released.wait, 30)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.settled)
            await wait_all_tasks_blocked()
            call.leave(over.set)
    left = over.is_set()
    released.set()

    assert left is False
    assert await anyio.to_thread.run_sync(over.wait, 30)


async def test_two_tasks_wait_for_one_call_and_both_get_the_result() -> None:
    released, got = threading.Event(), list[int]()

    def work() -> int:
        released.wait(30)
        return 7

    call = Call("here", work)

    async def wait() -> None:
        got.append(await call.wait())

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            tasks.start_soon(wait)
            await wait_all_tasks_blocked()
            released.set()

    assert got == [7, 7]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_call_is_waited_for_on_another_loop_than_it_was_made_on(backend: str) -> None:
    released = threading.Event()

    async def make() -> Call[bool]:
        call = Call("here", released.wait, 30)
        with anyio.move_on_after(0.01):
            await call.wait()
        return call

    async def wait(call: Call[bool]) -> bool:
        threading.Timer(0.05, released.set).start()
        with anyio.fail_after(30):
            return await call.wait()

    assert anyio.run(wait, anyio.run(make, backend=backend), backend=backend) is True


async def test_a_call_tells_the_loop_when_it_is_over() -> None:
    signal = Signal()
    call = Call("here", int, "7", done=signal.set, home=Home())
    with anyio.fail_after(30):
        await signal.wait()

    assert call.result() == 7


async def test_a_background_task_goes_on_until_it_is_stopped() -> None:
    began, ended = anyio.Event(), anyio.Event()

    async def tend() -> None:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    with anyio.fail_after(30):
        background = Background(tend)
        await began.wait()
        running = ended.is_set()
        background.stop()
        await ended.wait()

    assert running is False


def test_a_background_task_that_was_shut_down_with_its_loop_is_let_go() -> None:
    async def main() -> Background:
        background = Background(anyio.sleep_forever)
        await checkpoint()
        assert tasks_of(background) == 1
        return background

    assert tasks_of(anyio.run(main)) == 0


def tasks_of(background: Background) -> int:
    return sum(isinstance(held, asyncio.Task) for held in gc.get_referents(background))

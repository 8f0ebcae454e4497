"""A task that waits goes on when something happened, and loses nothing when it is cancelled."""

from __future__ import annotations

import asyncio
import gc
import threading

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from sessiontail.system import pace as pacing
from sessiontail.system.calls import Background, Call
from sessiontail.system.pace import Pace, pace
from sessiontail.system.signals import Home, Signal, on_asyncio

pytestmark = pytest.mark.anyio


def test_outside_of_a_task_there_is_no_asyncio() -> None:
    assert on_asyncio() is False


async def test_the_running_loop_is_known(anyio_backend_name: str) -> None:
    assert on_asyncio() is (anyio_backend_name == "asyncio")
    assert (Home().loop is not None) is on_asyncio()
    assert (Home().here, Home().closed) == (True, False)


@pytest.mark.parametrize("timeout_s", [None, 30])
async def test_a_signal_wakes_who_waits_and_who_comes_to_wait(timeout_s: float | None) -> None:
    signal = Signal()
    woken = 0

    async def wait() -> None:
        nonlocal woken
        await signal.wait(timeout_s)
        woken += 1

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await wait_all_tasks_blocked()
            signal.set()
        signal.set()
        signal.set()
        await wait()

    assert woken == 2


async def test_a_signal_set_twice_is_set_once_and_a_wait_clears_it() -> None:
    signal = Signal()
    signal.set()
    signal.set()
    await signal.wait()
    with anyio.move_on_after(0.01) as scope:
        await signal.wait()

    assert scope.cancelled_caught


async def test_a_wait_with_a_deadline_ends_without_a_signal() -> None:
    with anyio.fail_after(30):
        await Signal().wait(0.001)


async def test_a_signal_after_a_cancelled_wait_is_not_lost() -> None:
    signal = Signal()
    with anyio.move_on_after(0.01):
        await signal.wait()
    signal.set()

    with anyio.fail_after(30):
        await signal.wait()


async def test_soon_comes_from_any_thread() -> None:
    home, signal = Home(), Signal()
    here: list[bool] = []

    def note() -> None:
        here.append(home.here)
        signal.set()

    await anyio.to_thread.run_sync(home.soon, note)
    with anyio.fail_after(30):
        await signal.wait()

    assert here == [True]
    assert await anyio.to_thread.run_sync(lambda: home.here) is False


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_has_ended_is_told_nothing(backend: str) -> None:
    async def main() -> Home:
        return Home()

    assert anyio.run(main, backend=backend).soon(pytest.fail) is False


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

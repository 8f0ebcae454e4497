"""A task that waits goes on when something happened, and loses nothing when it is cancelled."""

from __future__ import annotations

import anyio
import pytest
from anyio import wait_all_tasks_blocked

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

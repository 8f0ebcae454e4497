"""What runs beside a command ends it with the error itself, and with its reader."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from sessiontail.cli.beside import unwrapped, watch_stdout
from sessiontail.errors import PatternTooSlow

pytestmark = pytest.mark.anyio


async def fail() -> None:
    raise PatternTooSlow("it takes too long")


async def within_two_groups(task: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with unwrapped():
        async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
            outer.start_soon(anyio.sleep_forever)
            inner.start_soon(task)


async def test_what_a_task_within_a_task_raises_comes_as_it_is() -> None:
    with pytest.raises(PatternTooSlow, match="it takes too long"):
        await within_two_groups(fail)


def test_what_no_task_raised_is_left_alone() -> None:
    with pytest.raises(KeyboardInterrupt), unwrapped():
        raise KeyboardInterrupt


@pytest.mark.skipif(sys.platform != "linux", reason="there, a pipe does not tell of its end")
async def test_a_reader_that_goes_ends_what_is_silent() -> None:
    async def watched() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(watch_stdout)
            await anyio.wait_all_tasks_blocked()
            os.close(reads)

    reads, writes = os.pipe()
    stdout = os.dup(1)
    os.dup2(writes, 1)
    try:
        with anyio.fail_after(30), pytest.raises(BrokenPipeError):
            await within_two_groups(watched)
    finally:
        os.dup2(stdout, 1)
        for fd in (stdout, writes):
            os.close(fd)

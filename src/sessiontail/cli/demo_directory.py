"""A directory in which agents write sessions, for as long as it is entered; then it is gone."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import Process

from sessiontail.system.files import change

__all__ = ["demo_directory"]

# It ends at once, unless the machine is very busy.
_END_S = 5.0


@asynccontextmanager
async def demo_directory() -> AsyncIterator[Path]:
    """Let agents write into a directory of their own; what was before is there when it is entered.

    Agents and directory are gone afterwards, and also where this process is killed.

    Raises:
        OSError: there is no room for it.
    """
    directory = await anyio.to_thread.run_sync(tempfile.mkdtemp, None, "sessiontail-demo-")
    command = [sys.executable, "-m", "sessiontail.cli.demo_crew", directory]
    try:
        # In a session of its own: Ctrl-C is for this process, which then ends it.
        async with await anyio.open_process(command, stderr=None, start_new_session=True) as crew:
            try:
                assert crew.stdout is not None
                try:
                    await crew.stdout.receive()
                except anyio.EndOfStream:
                    raise OSError("the demo's agents do not start") from None
                yield Path(directory)
            finally:
                await _end(crew)
    finally:
        with anyio.CancelScope(shield=True):
            await change(lambda: shutil.rmtree(directory, ignore_errors=True))


async def _end(crew: Process) -> None:
    """End the agents, by the end of their input."""
    assert crew.stdin is not None
    with anyio.CancelScope(shield=True):
        await crew.stdin.aclose()
        with anyio.move_on_after(_END_S):
            await crew.wait()
        if crew.returncode is None:
            crew.kill()

"""Readers that have nothing to read do next to nothing.

Counted by the kernel, in processes of their own: how often one woke up, how often it read, how
long it ran. Whoever makes fewer than 5 system calls a second wakes up less than 5 times a second;
whoever makes more in few wakes reads or runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest

from actors import Actor

SESSIONS = 200
WINDOW_S = 3.0
MOST_WINDOWS = 10
MOST_WAKES = int(5 * WINDOW_S)
MOST_TICKS = int(0.02 * WINDOW_S * os.sysconf("SC_CLK_TCK"))

# A reader of 200 live sessions, or of the first of them; it says so when it has read them.
READER = """
import sys
import anyio
from contextlib import AsyncExitStack
from uuid import UUID
from sessiontail import SessionStore

directory, way, backend = sys.argv[1:]

async def main():
    store = SessionStore(directory, events=way != "polling", sweep_interval_s=60)
    async with AsyncExitStack() as stack:
        if way in ("store", "directory"):
            await stack.enter_async_context(store)
        feed = store.tail_all() if way == "directory" else store.tail(UUID(int=0))
        for _ in range(%d if way == "directory" else 1):
            await anext(feed)
        # What follows the first look (names, locks) belongs to it.
        with anyio.move_on_after(1):
            await anext(feed)
        print("idle", flush=True)
        await anext(feed)

anyio.run(main, backend=backend)
"""


def counted(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Wakes of all threads, and CPU time in ticks, so far.

    Not calls that read: one look at the lock table takes as many as the machine has locks.
    """
    proc = Path("/proc", str(process.pid))
    wakes = 0
    for task in (proc / "task").iterdir():
        status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
        wakes += int(status["voluntary_ctxt_switches"])
    utime, stime = (proc / "stat").read_text().rpartition(")")[2].split()[11:13]
    return wakes, int(utime) + int(stime)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's counters are in /proc")
def test_an_idle_reader_wakes_under_5_times_a_second(tmp_path: Path) -> None:
    ways = ("lone", "store", "directory")
    wanted = [(way, backend) for way in ways for backend in ("asyncio", "trio")]
    with ExitStack() as stack:
        for i in range(SESSIONS):
            stack.enter_context(Actor(tmp_path, UUID(int=i)).open())
        readers = {}
        for way, backend in [*wanted, ("polling", "asyncio")]:
            command = [sys.executable, "-c", READER % SESSIONS, str(tmp_path), way, backend]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            stack.callback(process.kill)
            readers[way, backend] = process
        for process in readers.values():
            assert process.stdout is not None
            assert process.stdout.readline() == b"idle\n"

        for _ in range(MOST_WINDOWS):
            before = {key: counted(process) for key, process in readers.items()}
            time.sleep(WINDOW_S)
            done = {
                key: tuple(
                    now - then for now, then in zip(counted(process), before[key], strict=True)
                )
                for key, process in readers.items()
            }
            busy = [
                (key, done[key])
                for key in wanted
                if done[key][0] >= MOST_WAKES or done[key][1] > MOST_TICKS
            ]
            # Who looks by itself ten times a second is counted, so the counter counts.
            assert done["polling", "asyncio"][0] > MOST_WAKES
            if not busy:
                break  # on a busy machine the first looks may take longer
        assert busy == []

"""The watch of a directory, held, and those who follow it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from actors import Counts
from sessiontail.system.stats import StoreStats
from sessiontail.system.subscriptions import Subscription
from sessiontail.system.watching import DirectoryWatch, watch_of

__all__ = ["follow", "instances", "sweeps", "until", "watched", "write"]


@asynccontextmanager
async def watched(
    directory: Path, *, sweep_s: float = 60, poll_s: float = 0.01, events: bool = True
) -> AsyncIterator[DirectoryWatch]:
    """The watch of a directory, held."""
    watch = await watch_of(
        directory, sweep_interval_s=sweep_s, poll_interval_s=poll_s, events=events
    )
    try:
        yield watch
    finally:
        watch.release()


def follow(watch: DirectoryWatch, stem: str | None = None) -> Subscription:
    return watch.subscribe(stem, StoreStats())


def write(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x\n")


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():
            await anyio.sleep(0.001)


async def sweeps(stats: StoreStats, count: int) -> None:
    """Until the directory was looked at so often."""
    wanted = stats.sweeps + count
    await until(lambda: stats.sweeps >= wanted)


def instances() -> int:
    return Counts.now()[1]

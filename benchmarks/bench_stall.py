"""How long does reading hold the event loop at most?

A second task does nothing but note when it runs. The loop is otherwise idle and the garbage
collector is as it is by default, so a gap between two of its turns is what reading held.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.corpus import Corpus
from benchmarks.timing import Budget, Row, percentile, quiet
from sessiontail import load_session, read_session


def run(corpus: Corpus, rounds: int) -> list[Row]:
    from rath.session.persistence import load_session as reference_load

    async def reference(path: Path) -> None:
        reference_load("", path=path)

    gaps: dict[str, list[list[float]]] = {"reference": [], "read": [], "load": []}
    for _ in range(min(rounds, 3)):
        gaps["reference"].append(_gaps(reference, corpus.long))
        gaps["read"].append(_gaps(_read, corpus.huge))
        gaps["load"].append(_gaps(_load, corpus.long))
    rival = [max(each) for each in gaps["reference"]]
    budget = Budget(20, 5, of_ratio=False)
    rows = []
    for name, what in (
        ("read", f"reading {corpus.huge_mb:.0f} MB"),
        ("load", f"loading {corpus.long_mb:.0f} MB"),
    ):
        rows += [
            Row(
                f"hold of the loop, {what}, max",
                "ms",
                "openrath load",
                rival,
                [max(each) for each in gaps[name]],
                budget=budget,
            ),
            Row(
                f"hold of the loop, {what}, p99.9",
                "ms",
                "openrath load",
                rival,
                [percentile(each, 0.999) for each in gaps[name]],
            ),
        ]
    return rows


def _gaps(job: Callable[[Path], Awaitable[None]], path: Path) -> list[float]:
    """Return the gaps between a ticker's turns while the job runs, in ms."""
    quiet()
    return asyncio.run(_ticked(job, path))


async def _ticked(job: Callable[[Path], Awaitable[None]], path: Path) -> list[float]:
    gaps: list[float] = []

    async def tick() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            gaps.append((now - last) * 1000)
            last = now

    ticker = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    await job(path)
    await asyncio.sleep(0)
    ticker.cancel()
    return gaps


async def _read(path: Path) -> None:
    async with read_session(path=path) as reader:
        async for _records in reader.batches():
            pass


async def _load(path: Path) -> None:
    await load_session(path=path)

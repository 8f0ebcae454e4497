"""How long does loading every session of a directory take, one by one and several at once?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import anyio

from benchmarks.corpus import Corpus
from benchmarks.timing import Budget, Row, interleave
from sessiontail import load_session

AT_ONCE = 4


def run(corpus: Corpus, rounds: int) -> list[Row]:
    from rath.session.persistence import load_session as reference_load

    files = corpus.files

    def reference() -> float:
        start = time.perf_counter()
        for path in files:
            reference_load("", path=path)
        return time.perf_counter() - start

    figures = interleave(
        rounds,
        {
            "reference": reference,
            "one by one": lambda: anyio.run(_one_by_one, files),
            "at once": lambda: anyio.run(_at_once, files),
        },
    )
    job = f"load {len(files)} sessions, {corpus.sessions_mb:.0f} MB"
    rival = figures["reference"]
    return [
        Row(job, "s", "openrath", rival, figures["one by one"], budget=Budget(4.2, 5)),
        Row(f"{job}, {AT_ONCE} at once", "s", "openrath", rival, figures["at once"]),
    ]


async def _one_by_one(files: list[Path]) -> float:
    start = time.perf_counter()
    for path in files:
        await load_session(path=path)
    return time.perf_counter() - start


async def _at_once(files: list[Path]) -> float:
    start = time.perf_counter()
    left: Iterator[Path] = iter(files)

    async def work() -> None:
        for path in left:
            await load_session(path=path)

    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(work)
    return time.perf_counter() - start

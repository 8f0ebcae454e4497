"""How many MB/s of typed records does a tail give while it catches up on one long file?"""

from __future__ import annotations

import time
from pathlib import Path

import anyio

from benchmarks.corpus import Corpus
from benchmarks.timing import Budget, Row, interleave
from sessiontail import tail_session


def run(corpus: Corpus, rounds: int) -> list[Row]:
    from rath.session.persistence import load_session as reference_load

    def reference() -> float:
        start = time.perf_counter()
        reference_load("", path=corpus.long)
        return corpus.long_mb / (time.perf_counter() - start)

    figures = interleave(
        rounds,
        {
            "reference": reference,
            "batches": lambda: corpus.long_mb / anyio.run(_batches, corpus.long),
            "one by one": lambda: corpus.long_mb / anyio.run(_one_by_one, corpus.long),
        },
    )
    return [
        Row(
            f"catch up on {corpus.long_mb:.0f} MB, {how}",
            "MB/s",
            "openrath load",
            figures["reference"],
            figures[name],
            more_is_better=True,
            budget=Budget(400, 800, of_ratio=False),
        )
        for name, how in (("batches", "batches()"), ("one by one", "async for"))
    ]


async def _batches(path: Path) -> float:
    start = time.perf_counter()
    async with tail_session(path=path) as tail:
        async for _records in tail.batches():
            pass
    return time.perf_counter() - start


async def _one_by_one(path: Path) -> float:
    start = time.perf_counter()
    async with tail_session(path=path) as tail:
        async for _record in tail:
            pass
    return time.perf_counter() - start

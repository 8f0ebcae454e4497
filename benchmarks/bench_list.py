"""How long does listing a directory take, warm and cold, and does a longer file cost more?"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import anyio

from benchmarks.corpus import Corpus
from benchmarks.timing import Budget, Row, interleave
from sessiontail import list_persisted_sessions

_DROP_CACHES = Path("/proc/sys/vm/drop_caches")
# One listing of one file is too short to time.
_TIMES = 50


def run(corpus: Corpus, rounds: int) -> list[Row]:
    from rath.session.persistence import list_persisted_sessions as reference_list

    # The reference lists the directory ``sessions`` below its home.
    os.environ["OPENRATH_HOME"] = str(corpus.home)

    def reference() -> float:
        start = time.perf_counter()
        reference_list()
        return time.perf_counter() - start

    def ours(directory: Path, times: int = 1) -> Callable[[], float]:
        return lambda: anyio.run(_listed, directory, times)

    jobs = {"reference": reference, "ours": ours(corpus.directory)}
    job = f"list {len(corpus.files)} sessions, {corpus.sessions_mb:.0f} MB"
    warm = interleave(rounds, jobs)
    rows = [
        Row(
            f"{job}, warm",
            "s",
            "openrath",
            warm["reference"],
            warm["ours"],
            budget=Budget(30, 60),
        )
    ]
    if _can_drop_caches():
        cold = interleave(min(rounds, 3), jobs, warm=False, before=_drop_caches)
        rows.append(Row(f"{job}, cold", "s", "openrath", cold["reference"], cold["ours"]))
    one = interleave(
        rounds,
        {
            "short": ours(corpus.short.parent, _TIMES),
            "long": ours(corpus.long.parent, _TIMES),
        },
    )
    rows.append(
        Row(
            "list one file, ten times as long",
            "s",
            "short",
            one["short"],
            one["long"],
            # The same, but for the noise of two medians.
            budget=Budget(0.8, None),
        )
    )
    return rows


async def _listed(directory: Path, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        await list_persisted_sessions(directory=directory)
    return (time.perf_counter() - start) / times


def _can_drop_caches() -> bool:
    try:
        _drop_caches()
    except OSError:
        return False
    return True


def _drop_caches() -> None:
    os.sync()
    _DROP_CACHES.write_text("1\n")

"""How long does listing a directory take: warm, cold, again; and does a longer file cost more?"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio

from benchmarks.corpus import Corpus
from benchmarks.timing import Budget, Row, interleave
from sessiontail import list_persisted_sessions
from sessiontail.session.known import forget

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

    def again() -> float:
        return anyio.run(_listed_again, corpus.directory)

    def next_process() -> float:
        return _in_another_process(corpus)

    os.environ["SESSIONTAIL_CACHE"] = "off"
    next_process()
    jobs = {
        "reference": reference,
        "ours": ours(corpus.directory),
        "again": again,
        "next process": next_process,
    }
    job = f"list {len(corpus.files)} sessions, {corpus.sessions_mb:.0f} MB"
    warm = interleave(rounds, jobs)
    rows = [
        Row(
            f"{job}, warm",
            "s",
            "openrath",
            warm["reference"],
            warm["ours"],
            budget=Budget(40, 60),
        ),
        Row(
            f"{job}, unchanged, again",
            "s",
            "openrath",
            warm["reference"],
            warm["again"],
            budget=Budget(100, 200),
        ),
        Row(
            f"{job}, unchanged, next process",
            "s",
            "openrath",
            warm["reference"],
            warm["next process"],
            budget=Budget(100, None),
        ),
    ]
    if _can_drop_caches():
        del jobs["again"], jobs["next process"]
        cold = interleave(min(rounds, 3), jobs, warm=False, before=_drop_caches)
        rows.append(
            Row(
                f"{job}, cold",
                "s",
                "openrath",
                cold["reference"],
                cold["ours"],
                budget=Budget(8, None),
            )
        )
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
    spent = 0.0
    for _ in range(times):
        forget()  # what was kept of the files; crashed ones stay counted
        start = time.perf_counter()
        await list_persisted_sessions(directory=directory)
        spent += time.perf_counter() - start
    return spent / times


async def _listed_again(directory: Path) -> float:
    # What changed within the last ten minutes is believed only 2.5 s after it was first seen.
    await list_persisted_sessions(directory=directory)
    start = time.perf_counter()
    await list_persisted_sessions(directory=directory)
    return time.perf_counter() - start


def _in_another_process(corpus: Corpus) -> float:
    """Return how long the first listing of a new process takes, which another has kept."""
    run = subprocess.run(
        [sys.executable, "-c", _LIST, corpus.directory],
        env={
            **os.environ,
            "SESSIONTAIL_CACHE": str(corpus.home / "cache.sqlite"),
            # As installed: nothing is compiled.
            "PYTHONDONTWRITEBYTECODE": "",
        },
        stdout=subprocess.PIPE,
        check=True,
    )
    return float(run.stdout)


_LIST = """
import sys, time, anyio
from sessiontail import SessionStore
async def listed():
    store = SessionStore(sys.argv[1])
    start = time.perf_counter()
    await store.list()
    return time.perf_counter() - start
print(anyio.run(listed))
"""


def _can_drop_caches() -> bool:
    try:
        _drop_caches()
    except OSError:
        return False
    return True


def _drop_caches() -> None:
    os.sync()
    _DROP_CACHES.write_text("1\n")

"""How long does it take to audit every session of a directory, on one core, on two, and again?

Beside it: openrath loads them all, and DuckDB counts the kinds of the rows of each file with two threads.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from benchmarks.corpus import Corpus
from benchmarks.timing import Budget, Row, interleave
from sessiontail import audit_sessions

_COLUMNS = {"record_type": "VARCHAR", "kind": "VARCHAR"}


def run(corpus: Corpus, rounds: int) -> list[Row]:
    import duckdb
    from rath.session.persistence import load_session

    files = corpus.files
    cache = corpus.home / "audits.sqlite"
    os.environ["SESSIONTAIL_CACHE"] = str(cache)

    def reference() -> float:
        start = time.perf_counter()
        for path in files:
            load_session("", path=path)
        return time.perf_counter() - start

    def counted() -> float:
        start = time.perf_counter()
        with duckdb.connect(config={"threads": 2}) as database:
            lines = database.read_json(
                [str(path) for path in files],
                format="newline_delimited",
                columns=_COLUMNS,
                filename=True,
                ignore_errors=True,
                maximum_object_size=64 << 20,
            )
            lines.aggregate("filename, kind, count(*)").fetchall()
        return time.perf_counter() - start

    def first() -> float:
        for path in cache.parent.glob(f"{cache.name}*"):
            path.unlink()
        return ours(cache=True)()

    def ours(**options: Any) -> Callable[[], float]:
        return lambda: anyio.run(lambda: _audited(corpus.directory, **options))

    jobs = {
        "reference": reference,
        "duckdb": counted,
        "one core": ours(jobs=1, cache=False),
        "two cores": ours(jobs=2, cache=False),
        "first": first,
        "again": ours(cache=True),
        "next process": lambda: _in_another_process(corpus.directory, cache),
    }
    found = interleave(rounds, jobs)
    job = f"audit {len(files)} sessions, {corpus.sessions_mb:.0f} MB"
    rival, duck, once = found["reference"], found["duckdb"], found["first"]
    return [
        Row(f"{job}, one core", "s", "openrath load", rival, found["one core"], budget=Budget(5)),
        Row(f"{job}, two cores", "s", "openrath load", rival, found["two cores"], budget=Budget(8)),
        Row(f"{job}, two cores", "s", "DuckDB", duck, found["two cores"], budget=Budget(1)),
        Row(f"{job}, unchanged", "s", "first", once, found["again"], budget=Budget(20)),
        Row(f"{job}, unchanged, next process", "s", "first", once, found["next process"], budget=Budget(20)),
    ]  # fmt: skip


async def _audited(directory: Path, **options: Any) -> float:
    start = time.perf_counter()
    async with audit_sessions(directory=directory, **options) as audits:
        async for _ in audits:
            pass
    return time.perf_counter() - start


def _in_another_process(directory: Path, cache: Path) -> float:
    """Return how long the first pass of a new process takes, whose folds another has kept."""
    run = subprocess.run(
        [sys.executable, "-c", _AUDIT, directory],
        env={**os.environ, "SESSIONTAIL_CACHE": str(cache), "PYTHONDONTWRITEBYTECODE": ""},
        stdout=subprocess.PIPE,
        check=True,
    )
    return float(run.stdout)


_AUDIT = """
import sys, time, anyio
from sessiontail import audit_sessions
async def audited():
    start = time.perf_counter()
    async with audit_sessions(directory=sys.argv[1]) as audits:
        async for _ in audits:
            pass
    return time.perf_counter() - start
print(anyio.run(audited))
"""

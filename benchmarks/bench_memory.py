"""How much memory above its start does a process need to tail a long file?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import anyio

from benchmarks.corpus import Corpus
from benchmarks.timing import Budget, Row, interleave
from sessiontail import tail_session


def run(corpus: Corpus, rounds: int) -> list[Row]:
    figures = interleave(
        min(rounds, 3),
        {
            "reference": lambda: _in_child("load", corpus.long),
            "long": lambda: _in_child("tail", corpus.long),
            "huge": lambda: _in_child("tail", corpus.huge),
        },
        warm=False,
    )
    rival = f"openrath load of {corpus.long_mb:.0f} MB"
    return [
        Row(
            f"memory above start, tailing {size:.0f} MB",
            "MB",
            rival,
            figures["reference"],
            figures[name],
            budget=Budget(16, None, of_ratio=False),
        )
        for name, size in (("long", corpus.long_mb), ("huge", corpus.huge_mb))
    ]


def _in_child(job: str, path: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.bench_memory", job, str(path)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


async def _tail(path: Path) -> None:
    async with tail_session(path=path) as tail:
        async for _record in tail:
            pass


async def _nothing() -> None:
    pass


def _status_mb(name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _measure(job: str, path: Path) -> float:
    if job == "load":
        from rath.session.persistence import load_session as reference_load
    anyio.run(_nothing)  # the loop's own modules are no part of it
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    start = _status_mb("VmRSS")
    if job == "load":
        reference_load("", path=path)
    else:
        anyio.run(_tail, path)
    return _status_mb("VmHWM") - start


if __name__ == "__main__":
    print(_measure(sys.argv[1], Path(sys.argv[2])))

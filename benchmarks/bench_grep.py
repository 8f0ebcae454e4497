"""How long does it take to find a rare word in all sessions of a directory, beside ripgrep?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio

from benchmarks.corpus import Corpus
from benchmarks.timing import Budget, Row, interleave
from sessiontail import search

# It stands in one of so many sessions.
_WORD = "Zanzibar"
_RARE = 300


def run(corpus: Corpus, rounds: int) -> list[Row]:
    ripgrep = shutil.which("rg")
    if ripgrep is None:
        print("grep: left out, there is no rg (Debian: apt-get install ripgrep)", file=sys.stderr)
        return []
    directory = _with_the_word(corpus)

    def rival() -> float:
        return _run(ripgrep, "-c", _WORD, directory)

    def ours(**options: bool) -> Callable[[], float]:
        return lambda: anyio.run(lambda: _searched(directory, **options))

    figures = interleave(
        rounds,
        {
            "rg": rival,
            "search": ours(),
            "any case": ours(ignore_case=True),
            "rg, any case": lambda: _run(ripgrep, "-c", "-i", _WORD, directory),
            "command": lambda: _run(
                sys.executable, "-m", "sessiontail", "grep", "-c", "--dir", directory, _WORD
            ),
        },
    )
    job = f"find a rare word in {len(corpus.files)} sessions, {corpus.sessions_mb:.0f} MB"
    rival_name = "rg -c"
    return [
        # At most three times as long.
        Row(job, "s", rival_name, figures["rg"], figures["search"], budget=Budget(1 / 3, 0.5)),
        Row(f"{job}, any case", "s", "rg -c -i", figures["rg, any case"], figures["any case"]),
        Row(f"{job}, the whole command", "s", rival_name, figures["rg"], figures["command"]),
    ]


def _with_the_word(corpus: Corpus) -> Path:
    """Return a directory with the same sessions, some of which have the word."""
    directory = corpus.home / "grep"
    if directory.is_dir():
        return directory
    building = corpus.home / f"grep.{os.getpid()}"
    building.mkdir()
    for number, path in enumerate(corpus.files):
        target = building / path.name
        if number % _RARE:
            target.hardlink_to(path)
            continue
        lines = path.read_bytes().splitlines(keepends=True)
        half = len(lines) // 2
        lines[half] = lines[half].replace(b'"content": "', b'"content": "%b ' % _WORD.encode(), 1)
        target.write_bytes(b"".join(lines))
    building.rename(directory)
    return directory


def _run(*command: str | Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


async def _searched(directory: Path, **options: bool) -> float:
    start = time.perf_counter()
    async with search(_WORD, directory=directory, **options) as found:  # type: ignore[arg-type] # options of search, by name
        async for _ in found:
            pass
    return time.perf_counter() - start

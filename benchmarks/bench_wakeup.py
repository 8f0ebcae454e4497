"""How long after an append by another process does a record reach its consumer?

The writer stamps each record with the system's monotonic clock. A line of ``tail -F`` counts as
there when it is read from the pipe, before it is decoded. The floor is what asyncio itself takes:
one callback of ``add_reader`` that reads the event and the bytes and parses them.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import msgspec

from benchmarks.corpus import SEED, Corpus
from benchmarks.timing import Budget, Row, percentile, quiet
from sessiontail import Chunk, tail_session
from sessiontail.system.inotify import MODIFY, Inotify

_APPENDS = 200
# Behind the consumer's start: these wait for nothing, or for imports.
_FIRST = 20
_SPACING_MS = (2.0, 8.0)

Consumer = Callable[[Path, "list[int]"], Awaitable[None]]


def run(corpus: Corpus, rounds: int) -> list[Row]:
    del corpus
    with tempfile.TemporaryDirectory(prefix="sessiontail-wakeup-") as home:
        figures = asyncio.run(_rounds(Path(home), rounds))
    return [
        Row(
            f"wake after an append, {name}",
            "ms",
            "tail -F",
            [percentile(latencies, share) / 1e6 for latencies in figures["tail"]],
            [percentile(latencies, share) / 1e6 for latencies in figures["ours"]],
            budget=budget,
        )
        for name, share, budget in (("p50", 0.5, None), ("p99", 0.99, None))
    ] + [
        Row(
            "wake after an append, p50",
            "ms",
            "one asyncio callback",
            [percentile(latencies, 0.5) / 1e6 for latencies in figures["floor"]],
            [percentile(latencies, 0.5) / 1e6 for latencies in figures["ours"]],
            # 1.5 and 1.3 times the floor.
            budget=Budget(0.67, 0.77),
        )
    ]


async def _rounds(home: Path, rounds: int) -> dict[str, list[list[int]]]:
    consumers: dict[str, Consumer] = {"tail": _tail_f, "floor": _floor, "ours": _ours}
    figures: dict[str, list[list[int]]] = {name: [] for name in consumers}
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.bench_wakeup", str(home), str(SEED),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert writer.stdin is not None
    assert writer.stdout is not None
    for number in range(rounds):
        for name, consume in consumers.items():
            session = UUID(int=number * 3 + list(consumers).index(name), version=4)
            writer.stdin.write(f"open {session}\n".encode())
            wal = Path((await writer.stdout.readline()).decode().strip())
            quiet()
            latencies: list[int] = []
            task = asyncio.ensure_future(consume(wal, latencies))
            await asyncio.sleep(0.3)  # until it watches
            writer.stdin.write(f"write {_FIRST + _APPENDS}\n".encode())
            await writer.stdout.readline()
            await task
            assert len(latencies) == _FIRST + _APPENDS
            figures[name].append(latencies[_FIRST:])
    writer.stdin.close()
    await writer.wait()
    return figures


async def _ours(wal: Path, latencies: list[int]) -> None:
    async with tail_session(wal.name.partition(".")[0], directory=wal.parent) as tail:
        async for record in tail:
            now = time.monotonic_ns()
            if isinstance(record, Chunk):
                latencies.append(now - record.payload["at_ns"])


async def _tail_f(wal: Path, latencies: list[int]) -> None:
    process = await asyncio.create_subprocess_exec(
        "tail", "-n", "+1", "-F", str(wal),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, limit=1 << 20,
    )  # fmt: skip
    assert process.stdout is not None
    async for line in process.stdout:
        now = time.monotonic_ns()
        record = json.loads(line)
        if record["record_type"] == "chunk":
            latencies.append(now - record["payload"]["at_ns"])
        elif record["record_type"] == "trailer":
            break
    process.kill()
    await process.wait()


async def _floor(wal: Path, latencies: list[int]) -> None:
    inotify = Inotify()
    inotify.add(str(wal), MODIFY)
    fd = os.open(wal, os.O_RDONLY)
    loop = asyncio.get_running_loop()
    closed = loop.create_future()
    read = b""

    def wake() -> None:
        nonlocal read
        os.read(inotify.fd, 4096)
        *lines, read = (read + os.read(fd, 1 << 20)).split(b"\n")
        for line in lines:
            record = msgspec.json.decode(line)
            if record["record_type"] == "chunk":
                latencies.append(time.monotonic_ns() - record["payload"]["at_ns"])
            elif record["record_type"] == "trailer":
                closed.set_result(None)

    loop.add_reader(inotify.fd, wake)
    await closed
    loop.remove_reader(inotify.fd)
    inotify.close()
    os.close(fd)


def _write_as_told(home: Path, seed: int) -> None:
    """Serve ``open ID`` and ``write COUNT`` from stdin, in the writer's process."""
    from rath.session.chunk import ChunkKind, ChunkRow, ChunkTable
    from rath.session.persistence import SessionWriter
    from rath.session.session import Session

    spacing = random.Random(seed)
    writer: SessionWriter | None = None
    for line in sys.stdin:
        command, argument = line.split()
        if command == "open":
            session = Session(ChunkTable(), id=UUID(argument))
            writer = SessionWriter(session, path=home / f"{argument}.jsonl")
            print(writer.partial_path, flush=True)
            continue
        for index in range(int(argument)):
            time.sleep(spacing.uniform(*_SPACING_MS) / 1000)
            payload = {"content": "x" * 1000, "at_ns": time.monotonic_ns()}
            writer.write_chunk(index, ChunkRow(ChunkKind.USER, payload))
        writer.close()
        print("written", flush=True)


if __name__ == "__main__":
    os.environ["OPENRATH_HOME"] = sys.argv[1]
    _write_as_told(Path(sys.argv[1]), int(sys.argv[2]))

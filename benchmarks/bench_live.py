"""Does one process keep up with thousands of running sessions, and what do idle ones cost?

Sessions are written by the real openrath writer in other processes. Every record carries its time
and is verified by content: per session, the checksum over all texts equals the writer's own.
Rivals over the same names, in the same run: ``tail -F`` and a reader driven by ``watchfiles``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import anyio

from benchmarks.timing import figure
from sessiontail import Chunk, SessionStore, Trailer

PROCESSES = 2


@dataclass
class Tally:
    """What a consumer got."""

    counts: dict[object, int] = field(default_factory=dict)
    sums: dict[object, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    disorder: int = 0
    closed: int = 0

    def add(self, session_id: object, index: int, payload: dict[str, Any]) -> None:
        self.latencies.append(time.monotonic() - payload["at"])
        seen = self.counts.get(session_id, 0)
        self.disorder += index != seen
        self.counts[session_id] = seen + 1
        text = payload["content"].encode()
        self.sums[session_id] = zlib.crc32(text, self.sums.get(session_id, 0))

    @property
    def records(self) -> int:
        return len(self.latencies)


@dataclass
class Row:
    """One line of the result."""

    what: str
    written: int
    delivered: int
    exact: bool
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_cores: float
    memory_mb: float
    writer_late_ms: float

    #: Seconds until every session was known.
    join_s: float

    def __str__(self) -> str:
        cells = (
            self.what,
            f"{self.delivered:,} of {self.written:,}",
            "exact" if self.exact else "NOT EXACT",
            *map(figure, (self.p50_ms, self.p99_ms, self.max_ms, self.cpu_cores)),
            *map(figure, (self.memory_mb, self.join_s, self.writer_late_ms)),
        )
        return f"| {' | '.join(cells)} |"


_COLUMNS = (
    "what", "delivered", "content", "p50 ms", "p99 ms", "max ms", "cores", "MB", "join s",
    "writer late ms",
)  # fmt: skip
HEAD = f"| {' | '.join(_COLUMNS)} |\n| {' | '.join(['---'] * len(_COLUMNS))} |"


class Load:
    """Writer processes, ready and waiting for the word."""

    #: Whether the writers write by themselves, in one process.
    light = False

    def __init__(self, sessions: int, rate_hz: float, seconds: float) -> None:
        count = 1 if self.light else PROCESSES
        self.root = Path(tempfile.mkdtemp(prefix="sessiontail-live-"))
        self.directory = self.root / "sessions"
        self.directory.mkdir()
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.live_writer", str(self.directory),
                 str(sessions // count), str(rate_hz), str(seconds), str(seed),
                 *(["light"] if self.light else [])],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for seed in range(count)
        ]  # fmt: skip
        self.reports: list[dict[str, Any]] = []
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def start(self) -> None:
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    def running(self) -> bool:
        return any(process.poll() is None for process in self.processes)

    async def end(self) -> None:
        """Wait until the writers have written all."""
        for process in self.processes:
            out, _ = await anyio.to_thread.run_sync(process.communicate)
            self.reports.append(json.loads(out))

    def row(
        self,
        what: str,
        tally: Tally,
        *,
        cpu_s: float,
        wall_s: float,
        memory_mb: float,
        join_s: float,
    ) -> Row:
        wanted = {k: v for report in self.reports for k, v in report["sessions"].items()}
        tally.counts = {str(key): count for key, count in tally.counts.items()}
        tally.sums = {str(key): checksum for key, checksum in tally.sums.items()}
        exact = not tally.disorder and all(
            (tally.counts.get(session_id, 0), tally.sums.get(session_id, 0)) == (count, checksum)
            for session_id, (count, checksum, _) in wanted.items()
        )
        ordered = sorted(tally.latencies) or [float("nan")]
        return Row(
            what,
            sum(count for count, _, _ in wanted.values()),
            tally.records,
            exact,
            ordered[len(ordered) // 2] * 1e3,
            ordered[int(len(ordered) * 0.99)] * 1e3,
            ordered[-1] * 1e3,
            cpu_s / wall_s,
            memory_mb,
            max(report["late_s"] for report in self.reports) * 1e3,
            join_s,
        )

    def clean(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.root)


@contextmanager
def load(sessions: int, rate_hz: float, seconds: float) -> Iterator[Load]:
    made = Load(sessions, rate_hz, seconds)
    try:
        yield made
    finally:
        made.clean()


Consume = Callable[[Load, Tally, anyio.Event], Awaitable[None]]


async def consume_with_us(made: Load, tally: Tally, ready: anyio.Event) -> None:
    headers = len(list(made.directory.iterdir()))
    async with SessionStore(made.directory) as store:
        async for session_id, record in store.tail_all():
            if type(record) is Chunk:
                tally.add(session_id, record.index or 0, record.payload)
            elif isinstance(record, Trailer):
                tally.closed += 1
            else:
                headers -= 1
                if not headers:
                    ready.set()


async def consume_with_tail(made: Load, tally: Tally, ready: anyio.Event) -> None:
    names = sorted(str(path) for path in made.directory.iterdir())
    process = await asyncio.create_subprocess_exec(
        "tail", "-F", "-n", "0", "-v", *names,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=1 << 24,
    )  # fmt: skip
    assert process.stdout is not None
    current = ""
    try:
        seen = 0
        async for line in process.stdout:
            if line.startswith(b"==> "):
                current = Path(line[4:-5].decode()).name.split(".")[0]
                seen += 1
                if seen == len(names):
                    ready.set()
            elif line.startswith(b"{") and b'"chunk"' in line:
                record = json.loads(line)
                tally.add(current, record["index"], record["payload"])
    finally:
        process.kill()
        await process.wait()


async def consume_with_watchfiles(made: Load, tally: Tally, ready: anyio.Event) -> None:
    import watchfiles

    offsets = {path.name.split(".")[0]: path.stat().st_size for path in made.directory.iterdir()}
    ready.set()
    changes = watchfiles.awatch(made.directory, step=10, debounce=50, recursive=False)
    async for changed in changes:
        for _, name in changed:
            path = Path(name)
            session_id = path.name.split(".")[0]
            try:
                with path.open("rb") as file:
                    file.seek(offsets.get(session_id, 0))
                    data = file.read()
            except FileNotFoundError:
                continue
            end = data.rfind(b"\n") + 1
            offsets[session_id] = offsets.get(session_id, 0) + end
            for line in data[:end].splitlines():
                if b'"chunk"' in line:
                    record = json.loads(line)
                    tally.add(session_id, record["index"], record["payload"])


async def measure(
    what: str, consume: Consume, sessions: int, rate_hz: float, seconds: float
) -> Row:
    with load(sessions, rate_hz, seconds) as made:
        memory = resident_mb()
        tally = Tally()
        ready = anyio.Event()
        began = time.monotonic()
        async with anyio.create_task_group() as group:
            group.start_soon(consume, made, tally, ready)
            with anyio.move_on_after(30):
                await ready.wait()
            join_s = time.monotonic() - began
            cpu, wall = cpu_s(), time.monotonic()
            made.start()
            await made.end()
            cpu, wall = cpu_s() - cpu, time.monotonic() - wall
            await settle(tally)
            grown = resident_mb() - memory - len(tally.latencies) * 32 / 1e6
            group.cancel_scope.cancel()
        return made.row(what, tally, cpu_s=cpu, wall_s=wall, memory_mb=grown, join_s=join_s)


async def settle(tally: Tally) -> None:
    """Wait until nothing has come for two seconds."""
    seen = -1
    while seen != tally.records:
        seen = tally.records
        await anyio.sleep(2)


async def measure_idle(sessions: int, seconds: float) -> dict[str, float]:
    with load(sessions, 1, 0) as made:
        memory = resident_mb()
        began = time.monotonic()
        seen = anyio.Event()
        ids: set[str] = set()

        async def follow() -> None:
            async with SessionStore(made.directory) as store:
                async for session_id, _ in store.tail_all():
                    ids.add(str(session_id))
                    if len(ids) == sessions:
                        seen.set()

        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            await seen.wait()
            start_s = time.monotonic() - began
            await anyio.sleep(6)  # the first verdicts and the first sweep
            cpu, wall = cpu_s(), time.monotonic()
            await anyio.sleep(seconds)
            share = (cpu_s() - cpu) / (time.monotonic() - wall)
            grown = resident_mb() - memory
            group.cancel_scope.cancel()
    return {"sessions": sessions, "start_s": start_s, "core_percent": share * 100, "mb": grown}


async def measure_fan_out(consumers: int, rate_hz: float, seconds: float) -> dict[str, float]:
    with load(PROCESSES, rate_hz, seconds) as made:
        session_id = min(path.name.split(".")[0] for path in made.directory.iterdir())
        latencies: list[float] = []
        counts: list[int] = []
        memory = resident_mb()
        ready = anyio.Semaphore(0)

        async with SessionStore(made.directory) as store:

            async def follow() -> None:
                count = 0
                async for record in store.tail(session_id):
                    if type(record) is Chunk:
                        latencies.append(time.monotonic() - record.payload["at"])
                        count += 1
                    else:
                        ready.release()
                counts.append(count)

            async with anyio.create_task_group() as group:
                for _ in range(consumers):
                    group.start_soon(follow)
                for _ in range(consumers):
                    await ready.acquire()
                grown = resident_mb() - memory
                cpu, wall = cpu_s(), time.monotonic()
                made.start()
                await made.end()
                cpu, wall = cpu_s() - cpu, time.monotonic() - wall
        wanted = next(r["sessions"] for r in made.reports if session_id in r["sessions"])
        count = wanted[session_id][0]
        latencies.sort()
        return {
            "consumers": consumers,
            "delivered": sum(counts),
            "wanted": count * consumers,
            "p50_ms": latencies[len(latencies) // 2] * 1e3,
            "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
            "cores": cpu / wall,
            "mb": grown,
        }


def cpu_s() -> float:
    """Processor time of this process and of the children that it still has (``tail``)."""
    own = time.process_time()
    ticks = os.sysconf("SC_CLK_TCK")
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            if Path(f"/proc/{child}/comm").read_text() == "tail\n":
                own += (int(fields[11]) + int(fields[12])) / ticks
    return own


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def run(options: argparse.Namespace) -> dict[str, Any]:
    results: dict[str, Any] = {"python": platform.python_version(), "kernel": platform.release()}
    rows: list[Row] = []

    async def row(what: str, consume: Consume, rate_hz: float, seconds: float) -> Row:
        found = await measure(what, consume, options.sessions, rate_hz, seconds)
        rows.append(found)
        print(found, flush=True)
        return found

    print(HEAD, flush=True)
    load_text = f"{options.sessions} x {options.rate:g}/s, {options.seconds:g} s"
    await row(f"sessiontail, {load_text}", consume_with_us, options.rate, options.seconds)
    if not options.alone:
        short = min(options.seconds, 20.0)
        await row(f"tail -F, {short:g} s", consume_with_tail, options.rate, short)
        await row(f"watchfiles, {short:g} s", consume_with_watchfiles, options.rate, short)
    rate = options.rate
    while options.ramp:
        rate *= 1.5
        found = await row(f"sessiontail, {rate:g}/s, 15 s", consume_with_us, rate, 15.0)
        if found.p99_ms > 50 or not found.exact:
            break
    results["live"] = [asdict(found) for found in rows]
    if options.idle:
        results["idle"] = await measure_idle(options.idle, 30.0)
        idle = results["idle"]
        print(
            f"\n{options.idle:,} idle live sessions: all known after {idle['start_s']:.1f} s, "
            f"then {idle['core_percent']:.2f} % of a core, {idle['mb']:.1f} MB",
            flush=True,
        )
    if options.consumers:
        results["fan_out"] = await measure_fan_out(options.consumers, 10.0, 10.0)
        fan = results["fan_out"]
        print(
            f"\none session to {options.consumers:,} consumers, 10 records/s: "
            f"{fan['delivered']:,.0f} of {fan['wanted']:,.0f}, p50 {fan['p50_ms']:.0f} ms, "
            f"p99 {fan['p99_ms']:.0f} ms, {fan['cores']:.2f} cores",
            flush=True,
        )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=10.0, help="records a second and session")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--idle", type=int, default=5000, help="idle live sessions; 0 leaves out")
    parser.add_argument("--consumers", type=int, default=1000, help="of one session; 0 leaves out")
    parser.add_argument("--ramp", action="store_true", help="raise the rate until p99 > 50 ms")
    parser.add_argument("--alone", action="store_true", help="without the rivals")
    parser.add_argument("--light", action="store_true", help="writers that leave us a processor")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    Load.light = options.light
    results = anyio.run(run, options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()

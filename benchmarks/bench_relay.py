"""How soon, and for how much, does a record of one machine reach a tail on another one, by Redis?

A relay, ``redis-server``, and a mirror with a tail over it are processes of their own, as is the
writer; each record carries the time when it was written. Every record is compared with what was
written. The rival, in the same rounds, is what one writes first: ``tail -F``, an XADD a line, and
XREAD on the other side; it makes no files there, and what is lost is lost.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from benchmarks.bench_live import Tally
from benchmarks.children import cpu_s, line_of, resident_kb, tell
from benchmarks.timing import Row, percentile, table, versions

_RIVAL = "tail -F, XADD, XREAD"
_OURS, _PLAIN = "relay and tail", "without hiredis"
# How long anything may take that nobody measures.
_MOST_S = 60.0
# The part of the time in which processor time is measured.
_SHARE = 0.9


@dataclass
class Figures:
    """What one way gave, round by round; processor time is for each record, in us."""

    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    publish_us: list[float] = field(default_factory=list)
    read_us: list[float] = field(default_factory=list)
    redis_us: list[float] = field(default_factory=list)
    publish_mb: list[float] = field(default_factory=list)
    read_mb: list[float] = field(default_factory=list)
    #: Records that came, of those that were written; sessions that came whole and in order.
    came: int = 0
    written: int = 0
    exact: int = 0
    sessions: int = 0
    #: How late the writer was at most: a busy machine shows here.
    late_ms: float = 0.0


@dataclass(frozen=True)
class Options:
    """How much there is to do."""

    sessions: int
    rate_hz: float
    seconds: float
    rounds: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_relay", description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument(
        "--rate", type=float, default=1000.0, help="records a second, of all (1000)"
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=2, help="without hiredis there is one (2)")
    chosen = parser.parse_args()
    options = Options(chosen.sessions, chosen.rate, chosen.seconds, chosen.rounds)
    if shutil.which("redis-server") is None:
        parser.error("there is no redis-server")
    figures = {_OURS: Figures(), _RIVAL: Figures(), _PLAIN: Figures()}
    for number in range(options.rounds):
        for name, into in figures.items():
            if number == 0 or name != _PLAIN:
                _round(name, into, options)
    found = {name: importlib.metadata.version(name) for name in ("redis", "hiredis")}
    print(", ".join(f"{name} {version}" for name, version in {**versions(), **found}.items()))
    print(f"Python {platform.python_version()}, {options.rounds} rounds of {options.seconds:g} s")
    print(table([*_rows(figures, options)]))
    for name, one in figures.items():
        print(
            f"{name}: {one.came:,} of {one.written:,} records, {one.exact:,} of {one.sessions:,} "
            f"sessions whole and in order; the writer was {one.late_ms:.0f} ms late at most"
        )


def _rows(figures: dict[str, Figures], options: Options) -> Iterator[Row]:
    rival = figures[_RIVAL]
    many = f"{options.sessions:,} sessions, {options.rate_hz:,.0f} records/s"
    measures: tuple[tuple[str, str, Callable[[Figures], list[float]]], ...] = (
        ("p50", "ms", lambda one: one.p50_ms),
        ("p99", "ms", lambda one: one.p99_ms),
        ("processor a record, publishing", "us", lambda one: one.publish_us),
        ("processor a record, reading", "us", lambda one: one.read_us),
        ("processor a record, Redis", "us", lambda one: one.redis_us),
        ("memory, publishing", "MB", lambda one: one.publish_mb),
        ("memory, reading", "MB", lambda one: one.read_mb),
    )
    for name in (_OURS, _PLAIN):
        for what, unit, of in measures:
            yield Row(f"{name}, {many}, {what}", unit, _RIVAL, of(rival), of(figures[name]))


def _round(name: str, figures: Figures, options: Options) -> None:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sessiontail-relay-")))
        directory = home / "sessions"
        directory.mkdir()
        redis, url = stack.enter_context(_redis(home))
        each_hz = options.rate_hz / options.sessions
        load = map(str, (directory, options.sessions, each_hz, options.seconds, 0, "light"))
        writer = stack.enter_context(_process("-m", "benchmarks.live_writer", *load))
        _await(writer, "ready")
        module = "benchmarks.bench_relay" + "_rival" * (name == _RIVAL)
        plain = ("plain",) * (name == _PLAIN)
        roles = [
            stack.enter_context(_process("-m", module, *arguments, *plain))
            for arguments in (
                ("publish", url, str(directory)),
                ("read", url, str(options.sessions)),
            )
        ]
        for role in roles:
            _await(role, "ready")
        processes = (*roles, redis)
        before = [cpu_s(process.pid, children=True) for process in processes]
        tell(writer, "go")
        # Not to the end: then all sessions are closed at once.
        time.sleep(_SHARE * options.seconds)
        used = [
            cpu_s(process.pid, children=True) - was
            for process, was in zip(processes, before, strict=True)
        ]
        written = json.loads(line_of(writer))
        tell(roles[1], str(sum(count for count, _, _ in written["sessions"].values())))
        report = json.loads(line_of(roles[1]))
        memory = [resident_kb(role.pid) / 1e3 for role in roles]
    each_us = [1e6 * cpu_s / (_SHARE * options.seconds * options.rate_hz) for cpu_s in used]
    _add(figures, written, report, each_us, memory)


def _add(
    figures: Figures,
    written: dict[str, Any],
    report: dict[str, Any],
    each_us: list[float],
    memory_mb: list[float],
) -> None:
    latencies, wanted = report["latencies"] or [float("nan")], written["sessions"]
    count = sum(one[0] for one in wanted.values())
    figures.p50_ms.append(percentile(latencies, 0.5) * 1e3)
    figures.p99_ms.append(percentile(latencies, 0.99) * 1e3)
    figures.publish_us.append(each_us[0])
    figures.read_us.append(each_us[1])
    figures.redis_us.append(each_us[2])
    figures.publish_mb.append(memory_mb[0])
    figures.read_mb.append(memory_mb[1])
    figures.came += len(report["latencies"])
    figures.written += count
    figures.sessions += len(wanted)
    if not report["disorder"]:
        figures.exact += sum(
            [records, checksum] == report["sessions"].get(session_id)
            for session_id, (records, checksum, _) in wanted.items()
        )
    figures.late_ms = max(figures.late_ms, written["late_s"] * 1e3)


@contextmanager
def _redis(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(home)]
    with subprocess.Popen(
        ["redis-server", *arguments], stdout=subprocess.DEVNULL, text=True
    ) as process:
        try:
            until_s = time.monotonic() + _MOST_S
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > until_s:
                    raise RuntimeError("redis-server does not answer")
                time.sleep(0.01)
            yield process, f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as asked:
        asked.sendall(b"PING\r\n")
        return asked.recv(16).startswith(b"+PONG")
    return False


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with its tail


def _await(process: subprocess.Popen[str], word: str) -> None:
    said = line_of(process)
    if said != word:
        raise RuntimeError(f"{process.args!r} says {said!r}")


async def _publish(url: str, directory: str) -> None:
    from sessiontail import relay_sessions

    async with anyio.create_task_group() as group:
        await group.start(partial(relay_sessions, url, directory=directory, name="bench"))
        print("ready", flush=True)


async def _read(url: str, sessions: int) -> None:
    """Tail a mirror, both in this process, as ``sessiontail tail -f --from`` does."""
    from sessiontail import Chunk, Header, SessionStore, mirror_sessions

    tally, headers, ready = Tally(), 0, anyio.Event()

    async def follow(directory: str) -> None:
        nonlocal headers
        async with SessionStore(directory) as store:
            async for session_id, record in store.tail_all():
                if type(record) is Chunk:
                    tally.add(str(session_id), record.index or 0, record.payload)
                elif isinstance(record, Header):
                    headers += 1
                    if headers == sessions:
                        ready.set()

    with tempfile.TemporaryDirectory(prefix="sessiontail-mirror-") as directory:
        async with anyio.create_task_group() as group:
            await group.start(partial(mirror_sessions, url, directory))
            group.start_soon(follow, directory)
            with anyio.fail_after(_MOST_S):
                await ready.wait()
            print("ready", flush=True)
            wanted = int(await anyio.to_thread.run_sync(sys.stdin.readline))
            with anyio.move_on_after(_MOST_S):
                while tally.records < wanted:
                    await anyio.sleep(0.01)
            print(json.dumps(report_of(tally)), flush=True)
            await anyio.to_thread.run_sync(sys.stdin.readline)


def report_of(tally: Tally) -> dict[str, Any]:
    """Return what a reader tells of what it got."""
    sessions = {str(key): [count, tally.sums[key]] for key, count in tally.counts.items()}
    return {"latencies": tally.latencies, "sessions": sessions, "disorder": tally.disorder}


if __name__ == "__main__":
    # A mirror holds a file of each session that runs.
    _, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _most))
    if sys.argv[4:] == ["plain"]:
        sys.modules["hiredis"] = None  # type: ignore[assignment] # as if it were not installed
    match sys.argv[1:]:
        case ["publish", url, directory, *_]:
            anyio.run(_publish, url, directory)
        case ["read", url, sessions, *_]:
            anyio.run(_read, url, int(sessions))
        case _:
            main()

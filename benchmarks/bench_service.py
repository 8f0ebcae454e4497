"""Does one server give one running session to a thousand clients, each record once, and at once?

Server, clients and writer are three processes. Each record carries the time when it was written; the
clients check that each of them gets each record once and in order. The rival, in the same rounds, is
what one writes first: Starlette's ``StreamingResponse`` over one ``tail -F``, with a queue a client, on
the same uvicorn; it sends bare lines, and nobody can resume there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import anyio

from benchmarks.children import cpu_s, line_of, resident_kb, tell
from benchmarks.timing import Budget, Row, percentile, table, versions
from sessiontail import Chunk, ChunkKind, Header, SessionWriter

_RIVAL = "StreamingResponse over tail -F"
# What they shut down with, and how long that may take before they are killed.
_STREAMS_AT_END = 200
_KILLED_AFTER_S = 5.0
# Of a record, besides when it was written: some 500 bytes, as a short turn has.
_TEXT = "It was the day's last build, and it was green. " * 10
_STAMP = re.compile(rb'"index": ?(\d+),.*?"at": ?([0-9.]+)')


@dataclass
class Figures:
    """What one server gave, round by round."""

    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    last_ms: list[float] = field(default_factory=list)
    client_kb: list[float] = field(default_factory=list)
    #: Of clients that begin where the session does, and have caught up.
    late_kb: list[float] = field(default_factory=list)
    end_ms: list[float] = field(default_factory=list)
    #: Of the server, for each record and client.
    cpu_us: list[float] = field(default_factory=list)
    #: Records that came to their client once and in order, of those that were owed.
    exact: int = 0
    owed: int = 0
    #: Streams that were ended cleanly, of those that were open.
    ended: int = 0
    open: int = 0


@dataclass(frozen=True)
class Options:
    """How much there is to do."""

    clients: int
    rate_hz: float
    seconds: float
    rounds: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_service", description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=10.0, help="records a second (10)")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    options = Options(chosen.clients, chosen.rate, chosen.seconds, chosen.rounds)
    figures = {"ours": Figures(), "directory": Figures(), "rival": Figures()}
    for _ in range(options.rounds):
        for name, into in figures.items():
            _round(name, into, options)
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    print(f"Python {platform.python_version()}, {options.rounds} rounds of {options.seconds:g} s")
    print(table([*_rows(figures, options)]))
    for name, one in figures.items():
        print(
            f"{name}: {one.exact:,} of {one.owed:,} records once and in order; "
            f"{one.ended} of {one.open} streams ended cleanly"
        )


def _rows(figures: dict[str, Figures], options: Options) -> Iterator[Row]:
    rival = figures["rival"]
    many = f"{options.clients} clients, {options.rate_hz:g} records/s"
    for name, one in (("one session", figures["ours"]), ("/api/events", figures["directory"])):
        yield Row(f"{name}, {many}, p50", "ms", _RIVAL, rival.p50_ms, one.p50_ms)
        yield Row(f"{name}, {many}, p99", "ms", _RIVAL, rival.p99_ms, one.p99_ms)
        yield Row(
            f"{name}, {many}, last client",
            "ms",
            _RIVAL,
            rival.last_ms,
            one.last_ms,
            budget=Budget(500, of_ratio=False),
        )
        yield Row(
            f"{name}, {many}, processor a record and client",
            "us",
            _RIVAL,
            rival.cpu_us,
            one.cpu_us,
        )
        yield Row(
            f"{name}, memory a client",
            "KB",
            _RIVAL,
            rival.client_kb,
            one.client_kb,
            budget=Budget(40, of_ratio=False),
        )
        if one is figures["ours"]:
            yield Row(
                f"{name}, memory a client that has caught up",
                "KB",
                _RIVAL,
                rival.late_kb,
                one.late_kb,
                budget=Budget(40, of_ratio=False),
            )
        yield Row(
            f"{name}, SIGTERM with {_STREAMS_AT_END} streams",
            "ms",
            _RIVAL,
            rival.end_ms,
            one.end_ms,
            budget=Budget(1000, of_ratio=False),
        )


def _round(name: str, figures: Figures, options: Options) -> None:
    session_id = uuid4()
    with tempfile.TemporaryDirectory(prefix="sessiontail-service-") as home:
        directory = Path(home)
        with _writer(directory, session_id, options) as writer:
            with _server(name, directory, session_id) as (server, port):
                _follow(name, port, figures, options, server, session_id, writer)
            with _server(name, directory, session_id) as (server, port):
                _end(name, port, figures, server, session_id)


def _follow(  # noqa: PLR0917 - called once
    name: str,
    port: int,
    figures: Figures,
    options: Options,
    server: subprocess.Popen[str],
    session_id: UUID,
    writer: subprocess.Popen[str],
) -> None:
    """Have clients follow a session that is being written."""
    with _clients(name, port, session_id, 1):
        pass  # what the first one costs is not a client's
    before_kb = resident_kb(server.pid)
    with _clients(name, port, session_id, options.clients) as clients:
        figures.client_kb.append((resident_kb(server.pid) - before_kb) / options.clients)
        before_s = cpu_s(server.pid)
        written = _write(writer)
        got = _report(clients, written)
        sent = max(1, len(got["latencies"]))
        figures.cpu_us.append((cpu_s(server.pid) - before_s) / sent * 1e6)
    figures.p50_ms.append(percentile(got["latencies"], 0.5) * 1e3)
    figures.p99_ms.append(percentile(got["latencies"], 0.99) * 1e3)
    figures.last_ms.append(max(got["latencies"]) * 1e3)
    figures.exact += got["exact"]
    figures.owed += written * options.clients


def _end(
    name: str, port: int, figures: Figures, server: subprocess.Popen[str], session_id: UUID
) -> None:
    """Have a server end that has streams open, of clients that came when all was written."""
    with _clients(name, port, session_id, 1):
        pass
    before_kb = resident_kb(server.pid)
    with _clients(name, port, session_id, _STREAMS_AT_END) as clients:
        figures.late_kb.append((resident_kb(server.pid) - before_kb) / _STREAMS_AT_END)
        start_s = time.monotonic()
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(_KILLED_AFTER_S)
        except subprocess.TimeoutExpired:
            server.kill()
        figures.end_ms.append((time.monotonic() - start_s) * 1e3)
        figures.ended += _report(clients, 0)["ended"]
        figures.open += _STREAMS_AT_END


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def _server(
    name: str, directory: Path, session_id: UUID
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    ours = ("-m", "sessiontail", "--dir", str(directory), "serve", "--port", "0")
    rival = (
        "-m",
        "benchmarks.bench_service_rival",
        str(directory / f"{session_id}.jsonl.__partial__"),
    )
    with _process(*(rival if name == "rival" else ours)) as process:
        yield process, int(line_of(process).rpartition(":")[2])


@contextmanager
def _clients(name: str, port: int, session_id: UUID, count: int) -> Iterator[subprocess.Popen[str]]:
    paths = {
        "ours": f"/api/sessions/{session_id}/events",
        "directory": f"/api/events?session={session_id}",
    }
    arguments = ("clients", str(port), paths.get(name, "/"), str(count))
    with _process("-m", "benchmarks.bench_service", *arguments) as process:
        line_of(process)  # all are connected, and have got something
        yield process


@contextmanager
def _writer(directory: Path, session_id: UUID, options: Options) -> Iterator[subprocess.Popen[str]]:
    arguments = (str(directory), str(session_id), str(options.rate_hz), str(options.seconds))
    with _process("-m", "benchmarks.bench_service", "writer", *arguments) as process:
        line_of(process)
        yield process


def _write(writer: subprocess.Popen[str]) -> int:
    """Have all records written; return how many."""
    tell(writer, "go")
    return int(line_of(writer))


def _report(clients: subprocess.Popen[str], written: int) -> dict[str, Any]:
    """Return what the clients got, once each of them has so many records or its stream has ended."""
    tell(clients, str(written))
    report: dict[str, Any] = json.loads(line_of(clients))
    return report


class _Client(asyncio.Protocol):
    """One client: it looks at each record that comes, and keeps what it needs to judge it."""

    def __init__(self, path: str, told: asyncio.Event) -> None:
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        self._rest = b""
        self._told = told
        self.begun = self.gone = self.ended = False
        self.indexes: list[int] = []
        self.latencies: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now_s = time.monotonic()
        self.ended = data.endswith(b"0\r\n\r\n")
        self.begun = True
        data = self._rest + data
        cut = data.rfind(b"\n") + 1
        self._rest = data[cut:]
        for found in _STAMP.finditer(data, 0, cut):
            self.indexes.append(int(found[1]))
            self.latencies.append(now_s - float(found[2]))
        self._told.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own name
        self.gone = True
        self._told.set()


async def _be_clients(port: int, path: str, count: int) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    clients = [_Client(path, told) for _ in range(count)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    while not all(client.begun for client in clients):
        told.clear()
        await told.wait()
    # Of what was there before nothing counts.
    await asyncio.sleep(0.5)
    for client in clients:
        client.indexes.clear()
        client.latencies.clear()
    print("connected", flush=True)
    wanted = int(await loop.run_in_executor(None, sys.stdin.readline))
    with anyio.move_on_after(30):
        while not all(c.gone or (wanted and len(c.indexes) >= wanted) for c in clients):
            told.clear()
            await told.wait()
    owed = [*range(wanted)]
    report = {
        "exact": sum(len(owed) for client in clients if client.indexes == owed),
        "latencies": [latency for client in clients for latency in client.latencies],
        "ended": sum(client.ended for client in clients),
    }
    print(json.dumps(report), flush=True)


async def _be_writer(directory: str, session_id: UUID, rate_hz: float, seconds: float) -> None:
    head = Header(id=session_id, created_at=datetime.now(UTC))
    async with SessionWriter(head, directory=directory) as writer:
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        count = int(rate_hz * seconds)
        start_s = time.monotonic()
        for i in range(count):
            await anyio.sleep(max(0.0, start_s + i / rate_hz - time.monotonic()))
            payload = {"content": _TEXT, "at": time.monotonic()}
            await writer.write(Chunk(kind=ChunkKind.USER, payload=payload))
        print(count, flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)


if __name__ == "__main__":
    # A thousand connections have a thousand descriptors.
    _soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))
    match sys.argv[1:]:
        case ["clients", port, path, count]:
            asyncio.run(_be_clients(int(port), path, int(count)))
        case ["writer", directory, session_id, rate, seconds]:
            anyio.run(_be_writer, directory, UUID(session_id), float(rate), float(seconds))
        case _:
            main()

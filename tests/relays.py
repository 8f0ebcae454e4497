"""Relays and mirrors in processes that die, agents that misbehave, and what is to be equal then."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import redis

from samples import chunk_line, header_line, trailer_line
from sessiontail.relay.connecting import prefix_in
from sessiontail.relay.entries import Hole, Keys, lines_in
from sessiontail.relay.relayed import mirror_sessions, relay_sessions
from sessiontail.session.wal import WalFile
from sessiontail.system.paths import stem_paths

__all__ = [
    "Agents",
    "files_in",
    "in_redis",
    "mirroring",
    "relaying",
    "soon",
    "start_mirror",
    "start_relay",
    "until",
]

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    ["relays", "sessiontail.relay.relaying", "sessiontail.relay.mirroring"]
)


def until(said: Callable[[], object], *, within_s: float = 60) -> None:
    """Wait until something is true, which nothing tells."""
    end_s = time.monotonic() + within_s
    while not said():
        assert time.monotonic() < end_s, "it never came true"
        time.sleep(0.01)


def start_relay(
    url: str,
    directory: Path,
    name: str = "one",
    *,
    include_closed: bool = True,
    cache: Path | None = None,
) -> BaseProcess:
    """A relay in a process of its own, until it is killed."""
    options = {"directory": directory, "name": name, "include_closed": include_closed}
    return _start(partial(_relay, url, cache, timeout=1.0, **options))


async def _relay(url: str, cache: Path | None, **options: Any) -> None:
    os.environ["SESSIONTAIL_CACHE"] = str(cache or "off")
    await relay_sessions(url, **options)


def start_mirror(url: str, directory: Path) -> BaseProcess:
    """A mirror in a process of its own, until it is killed."""
    return _start(partial(mirror_sessions, url, directory, timeout=1.0))


@asynccontextmanager
async def relaying(url: str, directory: Path, **options: Any) -> AsyncIterator[list[str]]:
    """A relay in this process, beyond its first look; what it tells."""
    async with _running(partial(relay_sessions, url, directory=directory, **options)) as told:
        yield told


@asynccontextmanager
async def mirroring(url: str, directory: Path, **options: Any) -> AsyncIterator[list[str]]:
    """A mirror in this process, beyond its first look; what it tells."""
    async with _running(partial(mirror_sessions, url, directory, **options)) as told:
        yield told


@asynccontextmanager
async def _running(function: Callable[..., Any]) -> AsyncIterator[list[str]]:
    told: list[str] = []
    async with anyio.create_task_group() as group:
        await group.start(partial(function, on_note=told.append))
        yield told
        group.cancel_scope.cancel()


async def soon(said: Callable[[], object], *, within_s: float = 60) -> None:
    """Wait until something is true, while the event loop goes on."""
    with anyio.fail_after(within_s):
        while not await anyio.to_thread.run_sync(said):
            await anyio.sleep(0.01)


def _start(function: Callable[[], object]) -> BaseProcess:
    process = _processes.Process(target=_run, args=(function,), daemon=True)
    process.start()
    return process


def _run(function: Callable[[], object]) -> None:
    anyio.run(function)  # type: ignore[arg-type]  # a partial of a coroutine function


def files_in(directory: Path) -> dict[str, bytes]:
    """The whole lines of all session files."""
    found = {}
    for path in directory.iterdir():
        if path.name.startswith("."):
            continue
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        found[path.name] = data[: data.rfind(b"\n") + 1]
    return found


def in_redis(url: str, host: str = "one") -> dict[str, bytes]:
    """What Redis has, as the files that it stands for; a gap ends a file."""
    keys, found = Keys(prefix_in(url)), {}
    with redis.Redis.from_url(url.partition("?")[0]) as client:
        names: Any = client.zrange(keys.of(host, "sessions"), 0, -1)
        for name in names:
            stem = os.fsdecode(name)
            both = client.pipeline()  # of one moment
            both.hgetall(keys.session(host, stem))
            both.xrange(keys.lines(host, stem))
            both.xrange(keys.closed(host, stem))
            meta, entries, beside = both.execute()
            if not meta:
                continue
            ending = ".jsonl" if meta[b"state"] == b"closed" else ".jsonl.__partial__"
            found[stem + ending] = _file(entries, int(meta[b"generation"]), int(meta[b"lines"]))
            if b"closed" in meta:
                generation, count, *_ = map(int, meta[b"closed"].split())
                found[f"{stem}.jsonl"] = _file(beside, generation, count)
            else:
                assert not beside
    return found


def _file(entries: list[Any], generation: int, count: int) -> bytes:
    lines = lines_in(entries, generation, 1)
    assert not any(isinstance(line, Hole) for line in lines)
    assert (len(lines), len(entries)) == (count, count)
    return b"".join(map(bytes, lines))  # type: ignore[arg-type] # none is a Hole


_ODD: tuple[bytes, ...] = (
    b"\n",
    b"  \n",
    b"\xff\xfe no text\n",
    b'{"record_type": "chunk"\n',
    b"\0" * 300 + b"\n",
    '{"a": "\u2028\u202e"}\n'.encode(),
)


class Agents:
    """Agents at work in a directory, by chance: they write, close, crash, come back, delete, replace."""

    def __init__(self, directory: Path, seed: int, *, most: int = 8, deletes: bool = True) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._deletes = deletes
        self._directory = directory
        self._random = random.Random(seed)
        self._most = most
        self._open: dict[UUID, WalFile] = {}
        self._crashed: list[UUID] = []
        self._closed: list[UUID] = []
        self._lines = 0

    def work(self, steps: int) -> None:
        deeds: Mapping[Callable[[], None], int] = {
            self._begin: 6, self._write: 60, self._odd: 6, self._big: 2, self._close: 5,
            self._crash: 4, self._resume: 5, self._delete: 2 * self._deletes, self._replace: 3, self._tear: 3,
            self._open_again: 3,
        }  # fmt: skip
        for _ in range(steps):
            [deed] = self._random.choices([*deeds], [*deeds.values()])
            deed()

    def finish(self) -> None:
        """End all: some are closed, some crash."""
        for session_id in [*self._open]:
            self._end(session_id, close=self._random.random() < 0.5)

    def _paths(self, session_id: UUID) -> Path:
        return stem_paths(str(session_id), self._directory).wal

    def _one(self, of: Mapping[UUID, object] | list[UUID]) -> UUID | None:
        return self._random.choice([*of]) if of else None

    def _text(self) -> bytes:
        # Of few lengths, and with the same last bytes: one file looks like another from its ends.
        self._lines += 1
        length = self._random.choice([0, 40, 300, 300])
        return chunk_line(self._lines % 10, f"line {self._lines:06} {'x' * length}")

    def _begin(self) -> None:
        if len(self._open) >= self._most:
            return
        session_id = UUID(int=self._random.getrandbits(128))
        wal = WalFile(stem_paths(str(session_id), self._directory))
        wal.open()
        wal.append(header_line(session_id))
        self._open[session_id] = wal

    def _write(self) -> None:
        session_id = self._one(self._open)
        if session_id is not None:
            self._open[session_id].append(
                b"".join(self._text() for _ in range(self._random.randrange(1, 5)))
            )

    def _odd(self) -> None:
        session_id = self._one(self._open)
        if session_id is not None:
            self._open[session_id].append(self._random.choice(_ODD))

    def _big(self) -> None:
        session_id = self._one(self._open)
        if session_id is not None:
            self._open[session_id].append(chunk_line(0, "y" * 600_000))

    def _close(self) -> None:
        session_id = self._one(self._open)
        if session_id is not None:
            self._end(session_id, close=True)

    def _crash(self) -> None:
        session_id = self._one(self._open)
        if session_id is not None:
            self._end(session_id, close=False)

    def _end(self, session_id: UUID, *, close: bool) -> None:
        wal = self._open.pop(session_id)
        if close:
            wal.append(trailer_line(1))
            wal.rename()
            self._closed.append(session_id)
        else:
            self._crashed.append(session_id)
        wal.release()

    def _resume(self) -> None:
        session_id = self._one(self._crashed)
        if session_id is None or len(self._open) >= self._most:
            return
        self._crashed.remove(session_id)
        wal = WalFile(stem_paths(str(session_id), self._directory))
        wal.open()
        data = self._paths(session_id).read_bytes()
        wal.cut(data.rfind(b"\n") + 1)  # as the real writer does
        wal.append(self._text())
        self._open[session_id] = wal

    def _open_again(self) -> None:
        """A closed session goes on in a new file, beside the closed one."""
        session_id = self._one(self._closed)
        if session_id is None or len(self._open) >= self._most:
            return
        self._closed.remove(session_id)
        wal = WalFile(stem_paths(str(session_id), self._directory))
        wal.open()
        wal.append(header_line(session_id))
        self._open[session_id] = wal

    def _tear(self) -> None:
        """A writer dies in the middle of a line."""
        session_id = self._one(self._open)
        if session_id is not None:
            self._open[session_id].append(self._text()[:-20])
            self._end(session_id, close=False)

    def _delete(self) -> None:
        session_id = self._one(self._closed)
        if session_id is not None:
            self._closed.remove(session_id)
            stem_paths(str(session_id), self._directory).final.unlink()
        session_id = self._one(self._crashed)
        if session_id is not None:
            self._crashed.remove(session_id)
            self._paths(session_id).unlink()
            if stem_paths(str(session_id), self._directory).final.exists():
                self._closed.append(session_id)

    def _replace(self) -> None:
        """A file is exchanged for another one of the same session, or cut short in place."""
        session_id = self._one(self._crashed)
        if session_id is None:
            return
        path = self._paths(session_id)
        data = header_line(session_id) + self._text() + self._text()
        if self._random.random() < 0.5:
            new = path.with_name("new")
            new.write_bytes(data)
            new.rename(path)
        else:
            path.write_bytes(data)

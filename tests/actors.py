"""One session file, written by hand, or by children that hold openrath's own ``SessionWriter``.

``Actor`` does what a writer can do, step by step, and keeps the lines that a reader owes.
``WriterServer`` imports openrath once and forks a child for each session.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Generator
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

import anyio
import pytest

from bursts import Burst
from samples import ID, chunk_line, header_line, trailer_line
from sessiontail import Record
from sessiontail.directory.lane import Lane
from sessiontail.directory.schedule import LaneState
from sessiontail.directory.tail import DirectoryTail
from sessiontail.format import Block, LineFramer, RecordDecoder
from sessiontail.system.threads import threads

__all__ = [
    "Actor",
    "Counts",
    "WriterServer",
    "cancelled_at",
    "drain",
    "handed_over",
    "heard",
    "may_lock",
    "nothing_more",
    "overflow",
    "owed",
    "records_of",
    "take",
    "where_the_user_has_no",
]

_T = TypeVar("_T")

# In 2026; beyond any difference of clocks.
LONG_AGO_S = 1_770_000_000


def records_of(data: bytes) -> list[Record]:
    """The records of a file's bytes, decoded in one go."""
    decoder = RecordDecoder()
    return [record for item in LineFramer().feed(data) for record in decoder.decode(item).records]


async def take(source: AsyncIterator[Record], count: int) -> list[Record]:
    """The next ``count`` records; more than 30 s is a failure."""
    with anyio.fail_after(30):
        return [await anext(source) for _ in range(count)]


async def drain(source: AsyncIterator[Record]) -> list[Record]:
    """Everything up to the end; more than 30 s is a failure."""
    with anyio.fail_after(30):
        return [record async for record in source]


class Actor:
    """A writer that does one thing at a time."""

    def __init__(self, directory: Path, session_id: UUID = ID) -> None:
        self.final = directory / f"{session_id}.jsonl"
        self.wal = directory / f"{session_id}.jsonl.__partial__"
        self.id = session_id
        #: Bytes of the file, torn tail included.
        self.data = bytearray()
        self._fd = -1
        self._count = 0
        # The records of the first so many bytes and lines, and what decodes those behind them.
        self._records: list[Record] = []
        self._decoded = (0, 0)
        self._decoder = RecordDecoder()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def writing(self) -> bool:
        return self._fd >= 0

    @property
    def whole(self) -> bytes:
        """The bytes up to the last newline."""
        return bytes(self.data[: self.data.rfind(b"\n") + 1])

    @property
    def torn(self) -> int:
        """Bytes after the last newline."""
        return len(self.data) - self.data.rfind(b"\n") - 1

    @property
    def records(self) -> list[Record]:
        """What a reader owes so far; each line is decoded once, however often this is asked."""
        start, lines = self._decoded
        end = self.data.rfind(b"\n", start) + 1
        if end:
            block = Block.cut(bytes(self.data[start:end]), offset=start, line=lines + 1)
            self._records += self._decoder.decode(block).records
            self._decoded = (end, lines + block.lines)
        return self._records.copy()

    def open(self, *, header: bool = True) -> Self:
        """Open the WAL, lock it, and write the header."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self.wal, flags, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if header:
            self.write(header_line(self.id))
        return self

    def write(self, data: bytes) -> None:
        """Append bytes, whole lines or not."""
        rest = memoryview(data)
        while rest:
            count = os.write(self._fd, rest)
            self.data += rest[:count]
            rest = rest[count:]

    def chunk(self, content: str = "hi") -> bytes:
        """The next chunk's line, not written."""
        self._count += 1
        return chunk_line(self._count - 1, content)

    def lines(self, burst: Burst) -> bytes:
        """The next lines of a shape, not written."""
        self._count += burst.lines
        return burst.data(self._count - burst.lines)

    def say(self, *contents: str) -> Self:
        """Append one chunk for each text."""
        for content in contents:
            self.write(self.chunk(content))
        return self

    def finish(self) -> None:
        """Write the trailer and let go; the WAL keeps its name."""
        self.write(trailer_line(self._count))
        self.kill()

    def rename(self) -> None:
        self.wal.replace(self.final)

    def close(self) -> None:
        """Close as the real writer does."""
        self.finish()
        self.rename()

    def kill(self) -> None:
        """Let go of the file, as the kernel does for a process that died long ago.

        Who did not see its lock would watch a file that is not old for a minute.
        """
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.utime(fd, (LONG_AGO_S, LONG_AGO_S))
            os.close(fd)

    def resume(self, *, cut: bool) -> Self:
        """Come back as another writer, with or without cutting the torn tail off."""
        if cut:
            self.cut(len(self.whole))
        return self.open()

    def cut(self, size: int) -> None:
        """Truncate the file."""
        os.truncate(self.wal, size)
        del self.data[size:]
        if size < self._decoded[0]:
            self._records, self._decoded, self._decoder = [], (0, 0), RecordDecoder()


class cancelled_at:  # noqa: N801 - reads as what it does
    """Awaits ``coroutine`` and calls ``cancel`` at its ``moment``-th suspension, from 1."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, _T], moment: int, cancel: Callable[[], object]
    ) -> None:
        self._coroutine = coroutine
        self._moment = moment
        self._cancel = cancel
        #: How often the coroutine was suspended.
        self.suspensions = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._coroutine.__await__()
        resume: Callable[[], Any] = lambda: next(inner)  # noqa: E731 - replaced in each turn
        while True:
            try:
                trap = resume()
            except StopIteration as stop:
                return stop.value
            self.suspensions += 1
            if self.suspensions == self._moment:
                self._cancel()
            try:
                value = yield trap
            except BaseException as error:  # noqa: BLE001 - handed to the coroutine
                resume = _thrower(inner, error)
            else:
                resume = _sender(inner, value)


def _thrower(inner: Generator[Any, Any, Any], error: BaseException) -> Callable[[], Any]:
    return lambda: inner.throw(error)


def _sender(inner: Generator[Any, Any, Any], value: Any) -> Callable[[], Any]:
    return lambda: inner.send(value)


def links() -> list[str]:
    """What the descriptors of this process lead to."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:
            continue  # the listing's own, or another thread's
    return found


def held_of(directory: Path) -> list[str]:
    """Files of a directory that this process holds open, and its inotify instances."""
    return sorted(
        link for link in links() if link.startswith(f"{directory}/") or link.endswith("inotify")
    )


def may_lock(path: Path) -> bool:
    """Whether a writer could take its lock now."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def threads_at_rest() -> None:
    """Wait until no thread of ours works: a call whose caller is gone ends by itself.

    Whose test counts calls waits for those of the tests before it.
    """
    until_s = time.monotonic() + 10
    while threads().busy and time.monotonic() < until_s:
        time.sleep(0.001)


class Counts(tuple[int, int, int]):
    """Descriptors, inotify instances and threads of this process, now."""

    __slots__ = ()

    @classmethod
    def now(cls) -> Counts:
        import threading

        threads_at_rest()
        held = links()
        watches = sum("inotify" in link for link in held)
        # Pools keep idle workers for their loop; they end with it.
        pools = ("asyncio_", "AnyIO worker", "Trio thread", "sessiontail")
        others = [t for t in threading.enumerate() if not t.name.startswith(pools)]
        return cls((len(held), watches, len(others)))

    @classmethod
    def at_rest(cls, before: Counts) -> Counts:
        """What it is once threads that were given up are done; ``before`` if that is no more.

        A cancelled caller goes at once, its thread when it has looked: a busy machine takes long.
        """
        until = time.monotonic() + 30
        while True:
            found = cls.now()
            if all(now <= then for now, then in zip(found, before, strict=True)):
                return before
            if time.monotonic() > until:
                return found
            time.sleep(0.01)


async def heard(
    stream: AsyncIterator[tuple[UUID, Record]], count: int, seconds: float = 30
) -> dict[UUID, list[Record]]:
    """The next ``count`` records of a directory, by session; more than 30 s is a failure."""
    found: dict[UUID, list[Record]] = {}
    with anyio.fail_after(seconds):
        for _ in range(count):
            session_id, record = await anext(stream)
            found.setdefault(session_id, []).append(record)
    return found


async def nothing_more(stream: AsyncIterator[object], seconds: float = 0.05) -> bool:
    """Whether a stream that has begun stays silent for so long: what comes behind this is new to it."""
    begun = False
    while not begun:
        with anyio.move_on_after(seconds):
            await anext(stream)
            return False
        begun = getattr(getattr(stream, "_following", None), "begun", True)
    return True


def lanes(tail: DirectoryTail) -> Collection[Lane]:
    return tail._following.sessions.lanes.values()


def resting(tail: DirectoryTail, *, judged: bool = False) -> bool:
    """Whether all have had their turns; ``judged``: and their verdicts."""
    busy = {LaneState.UNOPENED, LaneState.READY, LaneState.AWAY, LaneState.SETTLING}
    return not any(lane.state in busy or (judged and lane.judge) for lane in lanes(tail))


def overflow(directory: Path) -> int:
    """Write so often to two files in turn that the kernel's queue is full; return its length."""
    length = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    fds = [os.open(directory / name, os.O_CREAT | os.O_WRONLY) for name in ("one", "two")]
    for n in range(length + 2):
        os.write(fds[n % 2], b"x")  # in turn, so that the kernel cannot merge them
    for fd in fds:
        os.close(fd)
    return length


def where_the_user_has_no(limit: str, code: str, *args: str | Path) -> str:
    """Run a program as a user of its own who may have none of these; return what it prints.

    In a namespace of its own: the other programs of the machine keep theirs.
    """
    script = f'echo 0 > /proc/sys/user/{limit} && exec "$0" "$@"'
    command = ["unshare", "-Ur", "sh", "-c", script, sys.executable, "-c", code, *map(str, args)]
    try:
        probe = subprocess.run(["unshare", "-Ur", "true"], check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no unshare(1)")
    if probe.returncode:
        pytest.skip("this machine gives no user namespaces")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def owed(*actors: Actor) -> dict[UUID, list[Record]]:
    """What these owe a reader of their directory."""
    return {actor.id: actor.records for actor in actors}


def handed_over(lines: bytes) -> tuple[int, int]:
    """Offset and line number behind these bytes."""
    return len(lines), lines.count(b"\n")


class WriterServer:
    """A process that has openrath loaded and forks one writer for each session.

    A job is a dict: ``id``, ``home``, ``seed``, ``chunks``; and where it ends: ``kill_at_byte``
    (SIGKILL to itself in the midst of a write), ``kill_after_s`` (SIGKILL from outside),
    ``kill_before_rename``, or none of them (closes). ``cut`` cuts a torn tail off first.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "sessions").mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("actors.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPENRATH_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def __enter__(self) -> Self:
        # A busy machine takes half a minute for it, and those that wait for a writer do not.
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"loaded\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=120)

    def start(self, **job: Any) -> None:
        """Fork a writer; returns before it has begun."""
        self._send({"do": "write", **job})

    def load(self, path: Path) -> Any:
        """What openrath's loader says: contents and ``closed``, or the error's name."""
        self._send({"do": "load", "path": str(path)})
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


# What follows runs in the server and in its children.


class _InParts:
    """The writer's own file object, written to in parts; at a byte, its process dies."""

    def __init__(self, file: Any, rng: Any, kill_at_byte: int | None) -> None:
        self._file, self._rng, self._left = file, rng, kill_at_byte
        # What is gathered for a burst; None outside of one.
        self._burst: list[str] | None = None

    def begin_burst(self) -> None:
        self._burst = []

    def end_burst(self) -> None:
        lines, self._burst = self._burst, None
        self._write("".join(lines or ()).encode(), (1 << 30,))

    def write(self, text: str) -> None:
        if self._burst is not None:
            self._burst.append(text)
        else:
            self._write(text.encode(), (1, 7, 100, 4096, 1 << 20))

    def _write(self, data: bytes, sizes: tuple[int, ...]) -> None:
        import signal

        while data:
            part = data[: self._rng.choice(sizes)]
            if self._left is not None:
                part = part[: self._left]
                self._left -= len(part)
            self._file.buffer.write(part)
            self._file.buffer.flush()
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            data = data[len(part) :]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _write_session(job: dict[str, Any]) -> None:
    import random
    import signal

    from rath.session.chunk import ChunkTable, user_text_chunk
    from rath.session.persistence import writer as module
    from rath.session.session import Session

    rng = random.Random(job["seed"])
    session_id = UUID(job["id"])
    wal = Path(os.environ["OPENRATH_HOME"], "sessions", f"{session_id}.jsonl.__partial__")
    if job.get("cut"):
        data = wal.read_bytes()
        os.truncate(wal, data.rfind(b"\n") + 1)
    if job.get("kill_before_rename"):
        module.os = type("os", (), {"replace": lambda *_: os.kill(os.getpid(), signal.SIGKILL)})
    plain_open = module.SessionWriter._open

    def open_in_parts(self: Any) -> None:
        plain_open(self)
        self._file = _InParts(self._file, rng, job.get("kill_at_byte"))

    module.SessionWriter._open = open_in_parts
    writer = module.SessionWriter(Session(ChunkTable(), id=session_id))
    for index in range(job["chunks"]):
        text = f"{job['seed']}/{index} " + rng.choice("aé€😀\u2028") * rng.choice((0, 3, 90, 3000))
        writer.write_chunk(index, user_text_chunk(text))
    if job.get("burst"):
        writer._file.begin_burst()
        for index in range(job["chunks"], job["chunks"] + job["burst"]):
            writer.write_chunk(index, user_text_chunk(f"{job['seed']}/{index}"))
        writer._file.end_burst()
    writer.close()


def _load(path: Path) -> Any:
    from rath.session.persistence.loader import load_session

    try:
        session = load_session(path.name.partition(".")[0], path=path)
    except Exception as error:  # noqa: BLE001 - it lets several kinds escape
        return type(error).__name__
    return [[row.payload["content"] for row in session.chunk_table], session.closed]


def _serve() -> None:
    import select
    import signal
    import traceback

    import rath.session.persistence.loader
    import rath.session.persistence.writer  # noqa: F401 - loaded once, for all children

    os.write(1, b"loaded\n")
    deadlines: dict[int, float] = {}
    ids: dict[int, str] = {}
    buffer = b""
    while True:
        pause_s = max(0.0, min(deadlines.values()) - time.monotonic()) if deadlines else None
        if not select.select([0], [], [], pause_s)[0]:
            for pid in [pid for pid, at in deadlines.items() if at <= time.monotonic()]:
                stem = Path(os.environ["OPENRATH_HOME"], "sessions", ids[pid] + ".jsonl")
                if not (stem.exists() or stem.with_name(f"{stem.name}.__partial__").exists()):
                    deadlines[pid] = time.monotonic() + 0.002  # nothing to kill it at yet
                    continue
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                del deadlines[pid]
            continue
        data = os.read(0, 65536)
        if not data:
            break
        *lines, buffer = (buffer + data).split(b"\n")
        for job in map(json.loads, lines):
            if job["do"] == "load":
                os.write(1, json.dumps(_load(Path(job["path"]))).encode() + b"\n")
                continue
            pid = os.fork()
            if not pid:
                try:
                    _write_session(job)
                except BaseException:  # noqa: BLE001 - a child must not go on as a server
                    traceback.print_exc()
                    os._exit(1)
                os._exit(0)
            if job.get("kill_after_s") is not None:
                deadlines[pid] = time.monotonic() + job["kill_after_s"]
                ids[pid] = job["id"]


if __name__ == "__main__":
    _serve()

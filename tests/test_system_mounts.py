"""Where a directory lies decides how it is read: on another machine, never on the event loop."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

from actors import Actor, drain, heard, owed, take
from samples import ID, header_line
from sessiontail import (
    Chunk,
    DirectoryTail,
    EventKind,
    Outcome,
    SessionStore,
    SessionTail,
)
from sessiontail.session import ending
from sessiontail.system import files, mounts
from sessiontail.system.mounts import Mount, filesystem_type, look_up, mount_of

OTHER = UUID(int=7)

away = anyio.to_thread.run_sync


@pytest.fixture(autouse=True)
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "_known", {})


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every directory is on another machine."""
    monkeypatch.setattr(mounts, "look_up", lambda _: Mount("nfs4", remote=True, watchable=False))


class Watched:
    """Notes calls in this thread that ask the file system for something of a directory."""

    _CALLS = ("stat", "lstat", "open", "fstat", "pread", "preadv", "scandir", "listdir", "readlink")

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._directory = os.fsencode(directory)
        self._readlink = os.readlink
        self._here = threading.get_ident()
        #: What was called here, and for what.
        self.calls: list[tuple[str, bytes]] = []
        #: How often it was called elsewhere.
        self.elsewhere = 0
        for name in self._CALLS:
            monkeypatch.setattr(os, name, partial(self._call, name, getattr(os, name)))
        cached = partial(self._call, "openat2", files._open_cached)
        monkeypatch.setattr(files, "_open_cached", cached)

    def _call(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        target = args[0] if args else "."
        if isinstance(target, int):
            try:
                target = self._readlink(f"/proc/self/fd/{target}")
            except OSError:
                target = ""
        path = os.fsencode(target)
        if path.startswith(self._directory):
            if threading.get_ident() == self._here:
                self.calls.append((name, path[len(self._directory) :]))
            else:
                self.elsewhere += 1
        return function(*args, **kwargs)


def delete(actor: Actor) -> None:
    actor.kill()
    actor.wal.unlink()


def rewrite(actor: Actor) -> None:
    actor.cut(0)
    actor.write(header_line(actor.id))
    actor.say("x" * 99)


async def by_tail(store: SessionStore, actor: Actor) -> None:
    tail = store.tail(ID)
    assert await take(tail, 2) == actor.records
    await away(actor.say, "two")
    assert await take(tail, 1) == actor.records[-1:]
    await away(actor.close)
    assert await drain(tail) == actor.records[-1:]
    assert tail.outcome is Outcome.CLOSED


async def by_tail_of_a_file_made_later(store: SessionStore, _: Actor) -> None:
    tail = store.tail(OTHER, wait=True)
    other = Actor(store.directory, OTHER)
    waits = anyio.Event()
    tail._gate = lambda moment: waits.set() if moment == "before waiting" else None
    async with anyio.create_task_group() as tasks:

        async def listen() -> None:
            assert await take(tail, 1) == other.records

        tasks.start_soon(listen)
        await waits.wait()
        await away(other.open)
    await away(delete, other)
    assert await drain(tail) == []
    assert tail.outcome is Outcome.DELETED


async def by_tail_all(store: SessionStore, actor: Actor) -> None:
    foreign = store.directory / "notes.jsonl.__partial__"
    await away(foreign.write_text, '{"no": "header"}\n')
    other = Actor(store.directory, OTHER)
    told: list[tuple[UUID, str]] = []

    async def until(news: str) -> None:
        with anyio.fail_after(30), anyio.CancelScope() as scope:
            tail._gate = lambda _: scope.cancel() if (OTHER, news) in told else None
            raise AssertionError(await anext(tail))
        tail._gate = lambda _: None

    options: dict[str, Any] = {"max_open": 1, "include_closed": True}
    async with store.tail_all(on_event=lambda *news: told.append(news), **options) as tail:
        assert await heard(tail, 2) == owed(actor)
        await away(lambda: other.open().say("new"))
        assert await heard(tail, 2) == owed(other)
        await away(foreign.write_text, '{"no": "header"}\n' * 2)
        await away(actor.say, "two")
        assert (await heard(tail, 1))[ID] == actor.records[-1:]
        await away(actor.close)
        assert (await heard(tail, 1))[ID] == actor.records[-1:]
        await away(rewrite, other)
        assert await heard(tail, 2) == owed(other)
        await away(other.kill)
        await until("abandoned")
        await away(lambda: other.resume(cut=False).say("again"))
        await heard(tail, 2)
        await away(delete, other)
        await until("deleted")
        assert tail.cursor


async def by_a_directory_cursor(store: SessionStore, actor: Actor) -> None:
    async with store.tail_all() as tail:
        await heard(tail, 2)
        cursor = tail.cursor
    await away(lambda: actor.say("two").close())
    async with store.tail_all(after=cursor) as tail:
        assert (await heard(tail, 2))[ID] == actor.records[2:]


async def by_last(store: SessionStore, actor: Actor) -> None:
    async with store.tail_all(last=1) as tail:
        assert (await heard(tail, 1))[ID] == actor.records[-1:]


async def by_wait_for(store: SessionStore, _: Actor) -> None:
    with anyio.fail_after(30):
        await store.wait_for(ID, lambda record: isinstance(record, Chunk))


async def by_list(store: SessionStore, _: Actor) -> None:
    assert [meta.id for meta in await store.list()] == [ID]
    assert [meta.id for meta in await store.list(verify=True)] == [ID]
    assert (await store.meta(ID)).id == ID


async def by_read(store: SessionStore, actor: Actor) -> None:
    assert await drain(store.read(ID)) == actor.records


async def by_watch(store: SessionStore, actor: Actor) -> None:
    async with store.watch(include_existing=True) as watch:
        with anyio.fail_after(30):
            kinds = [(await anext(watch)).kind]
            await away(actor.close)
            while kinds[-1] is not EventKind.CLOSED:
                kinds.append((await anext(watch)).kind)


async def by_entering(store: SessionStore, _: Actor) -> None:
    async with store:
        assert store.polled_because == "events do not tell all on nfs4"


WAYS = [
    by_tail,
    by_tail_of_a_file_made_later,
    by_tail_all,
    by_a_directory_cursor,
    by_last,
    by_wait_for,
    by_list,
    by_read,
    by_watch,
    by_entering,
]


@pytest.mark.anyio
@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("way", WAYS)
async def test_a_directory_on_another_machine_is_never_asked_on_the_event_loop(
    tmp_path: Path,
    remote: None,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[SessionStore, Actor], Awaitable[None]],
    *,
    entered: bool,
) -> None:
    store = SessionStore(tmp_path, poll_interval_s=0.01)
    actor = Actor(tmp_path).open().say("one")
    watched = Watched(tmp_path, monkeypatch)
    if entered:
        async with store:
            await way(store, actor)
    else:
        await way(store, actor)
    calls, elsewhere = watched.calls, watched.elsewhere
    monkeypatch.undo()

    assert calls == []
    assert elsewhere or way is by_entering


class StaleSizes:
    """A cache of attributes, as a client of a file server has: sizes of a while ago."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self._directory = os.fsencode(directory)
        #: What is believed of a file's size, by inode; an inode that is not here is seen as it is.
        self.sizes: dict[int, int] = {}
        self.hidden = 0
        self._fstat, self._pread = os.fstat, os.pread
        monkeypatch.setattr(os, "fstat", self.fstat)
        monkeypatch.setattr(os, "pread", self.pread)

    def believe(self, path: Path) -> None:
        """Remember the size that a file has now, and go on believing it."""
        status = path.stat()
        self.sizes[status.st_ino] = status.st_size

    def fstat(self, fd: int) -> os.stat_result:
        status = self._fstat(fd)
        size = self.sizes.get(status.st_ino)
        if size is None:
            return status
        self.hidden += 1
        times = {name: getattr(status, name) for name in ("st_mtime_ns", "st_ctime_ns")}
        return os.stat_result([*status[:6], size, *status[7:]], times)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        end = self.sizes.get(self._fstat(fd).st_ino)
        return self._pread(fd, size if end is None else max(0, min(size, end - offset)), offset)


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["one", "all"])
async def test_what_a_remote_writer_wrote_last_arrives_though_its_size_is_shown_late(
    tmp_path: Path, remote: None, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(ending, "REMOTE_RECHECK_S", 0.01)
    store = SessionStore(tmp_path, poll_interval_s=0.01)
    actor = Actor(tmp_path).open().say("one")
    told: list[str] = []
    cache = StaleSizes(monkeypatch, tmp_path)

    def close_unseen() -> None:
        cache.believe(actor.wal)
        actor.say(*map(str, range(300))).close()

    if way == "one":
        tail = store.tail(ID)
        got = await take(tail, 2)
        await away(close_unseen)
        _show_after(cache, tail, looks=5)
        got += await drain(tail)
        told.append(str(tail.outcome))
    else:
        async with store.tail_all(on_event=lambda _, news: told.append(str(news))) as every:
            got = (await heard(every, 2))[ID]
            await away(close_unseen)
            _show_after(cache, every, looks=5)
            got += (await heard(every, 301))[ID]
            with anyio.fail_after(30), anyio.CancelScope() as scope:
                every._gate = lambda _: scope.cancel() if len(told) > 1 else None
                await anext(every)
        assert told.pop(0) == "started"

    assert got == actor.records
    assert told == ["closed"]
    assert cache.hidden


def _show_after(cache: StaleSizes, tail: SessionTail | DirectoryTail, *, looks: int) -> None:
    """Show the true sizes once the tail has waited in vain so often."""
    left = iter(range(looks))

    def gate(moment: str) -> None:
        if moment == "before waiting" and next(left, None) is None:
            cache.sizes.clear()

    tail._gate = gate


def mounted() -> list[tuple[Path, str]]:
    """Mount points and types as /proc/mounts has them, the last of each point."""
    rows = [line.split(b" ")[1:3] for line in Path("/proc/mounts").read_bytes().splitlines()]
    points = {point.decode("unicode_escape"): kind.decode() for point, kind in rows}
    return [(Path(point), kind) for point, kind in points.items()]


def test_the_type_of_every_mounted_file_system_is_known() -> None:
    found = [(point, filesystem_type(point / "not" / "there")) for point, _ in mounted()]

    assert found == mounted()


@pytest.mark.parametrize("name", ["a b", "tab\tand\nnewline", "back\\slash", "é"])
def test_the_type_of_a_file_system_under_a_name_that_is_escaped_is_known(
    tmp_path: Path, name: str
) -> None:
    point = tmp_path / name
    point.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", point], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.decode()}")
    try:
        assert filesystem_type(point / "sessions") == "tmpfs"
        assert filesystem_type(tmp_path / f"{name} beside") != "tmpfs"
    finally:
        subprocess.run(["umount", point], check=True)


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (["/ ext4"], "ext4"),
        (["/ ext4", "/data nfs4"], "nfs4"),
        (["/data nfs4", "/ ext4"], "nfs4"),
        (["/ ext4", "/data/sessions cifs", "/data nfs4"], "cifs"),
        (["/ ext4", "/data/sess nfs4"], "ext4"),
        (["/ ext4", "/data nfs4", "/data tmpfs"], "tmpfs"),  # the one on top
        (["/ ext4", "/data/sessions\\040 nfs4"], "ext4"),
        (["/ ext4", "/dat\\141 fuse.sshfs"], "fuse.sshfs"),
        ([], ""),
    ],
)
def test_the_longest_mount_point_above_a_directory_counts(
    monkeypatch: pytest.MonkeyPatch, lines: list[str], kind: str
) -> None:
    text = "".join(
        f"36 35 98:0 / {point} rw,noatime master:1 - {kind} /dev/root rw\n"
        for point, kind in map(str.split, lines)
    )
    monkeypatch.setattr(Path, "read_bytes", lambda _: text.encode())
    monkeypatch.setattr(os.path, "realpath", str)

    assert filesystem_type("/data/sessions") == kind


def test_a_system_that_does_not_tell_its_mounts_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: Path) -> bytes:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_bytes", absent)

    assert look_up("/data") == Mount("", remote=False, watchable=True)


@pytest.mark.parametrize(
    ("kind", "remote_", "watchable"),
    [
        ("ext4", False, True),
        ("", False, True),
        ("tmpfs", False, True),
        ("overlay", False, False),
        ("nfs", True, False),
        ("nfs4", True, False),
        ("cifs", True, False),
        ("9p", True, False),
        ("virtiofs", True, False),
        ("fuse", True, False),
        ("fuse.sshfs", True, False),
        ("fuseblk", True, False),
        ("fusectl", False, True),
    ],
)
def test_a_kind_says_whether_calls_may_hang_and_events_tell_all(
    monkeypatch: pytest.MonkeyPatch, kind: str, *, remote_: bool, watchable: bool
) -> None:
    monkeypatch.setattr(mounts, "filesystem_type", lambda _: kind)

    assert look_up("/data") == Mount(kind, remote_, watchable)


@pytest.mark.anyio
async def test_a_mount_is_looked_up_in_a_thread_and_remembered_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, bool]] = []
    now_s = 1000.0

    def look(directory: str) -> Mount:
        asked.append((directory, threading.get_ident() == here))
        return Mount("ext4", remote=False, watchable=True)

    here = threading.get_ident()
    monkeypatch.setattr(mounts, "look_up", look)
    monkeypatch.setattr(mounts, "time", Clock(lambda: now_s))
    for directory in ("/a", Path("/a"), "/b", "/a"):
        assert (await mount_of(directory)).kind == "ext4"
    remembered = len(asked)
    now_s += 10
    await mount_of("/a")

    assert remembered == 2
    assert asked == [("/a", False), ("/b", False), ("/a", False)]


class Clock:
    """Stands for the module ``time``."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.monotonic = now


@pytest.mark.anyio
async def test_no_more_mounts_are_remembered_than_a_program_has_directories(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mounts, "_MOST_KNOWN", 3)
    for number in range(10):
        await mount_of(f"/{number}")

    assert len(mounts._known) <= 3


@pytest.mark.parametrize(
    ("kind", "remote", "same"),
    [("ext4", False, True), ("overlay", False, True), ("nfs4", True, False), ("", False, False)],
)
def test_times_are_by_this_clock_where_the_files_are_known_to_be_here(
    kind: str, *, remote: bool, same: bool
) -> None:
    assert Mount(kind, remote, watchable=True).same_clock is same

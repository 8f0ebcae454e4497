from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from samples import ID, session_bytes
from sessiontail import watching
from sessiontail.stats import StoreStats
from sessiontail.watching import Watcher, filesystem_type

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's"),
]


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[Watcher]:
    directory = tmp_path / "sessions"
    directory.mkdir()
    watcher = Watcher(directory, stats=StoreStats(), sweep_interval_s=30, poll_interval_s=0.01)
    yield watcher
    watcher.close()


def settle(watcher: Watcher) -> None:
    while watcher.drain():
        pass


def write(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x\n")


@pytest.mark.parametrize(
    ("act", "marked"),
    [
        (lambda d: os.close(os.open(d / "new.jsonl", os.O_CREAT)), {"new": False}),
        (lambda d: (d / "new.jsonl").write_bytes(b"x"), {"new": True}),
        (lambda d: os.truncate(d / "a.jsonl", 1), {"a": False}),
        (lambda d: write(d / "a.jsonl.__partial__"), {"a": True}),
        (lambda d: (d / "a.jsonl.__partial__").rename(d / "b.jsonl"), {"a": True, "b": True}),
        (lambda d: (d / "a.jsonl").unlink(), {"a": True}),
        (lambda d: (d / "a.jsonl").rename(d.parent / "out.jsonl"), {"a": True}),
        (lambda d: (d / "a.jsonl").read_bytes(), {}),
        (lambda d: (d / "notes.txt").write_text("x"), {}),
        (lambda d: (d / os.fsdecode(b"\xff.jsonl")).touch(), {"\udcff": True}),
        (lambda d: (d / "two\nlines.jsonl").touch(), {"two\nlines": True}),
    ],
    ids=["create", "fill", "truncate", "write", "rename", "delete", "away", "read", "other",
         "no text", "newline"],
)  # fmt: skip
def test_what_happens_to_a_session_file_marks_it(
    watcher: Watcher, act: Callable[[Path], object], marked: dict[str, bool]
) -> None:
    for name in ("a.jsonl", "a.jsonl.__partial__"):
        (watcher.directory / name).write_bytes(session_bytes())
    settle(watcher)
    every, one = watcher.subscribe(), watcher.subscribe("a")

    act(watcher.directory)
    settle(watcher)

    assert every.take() == (marked, False)
    assert one.take() == ({stem: end for stem, end in marked.items() if stem == "a"}, False)


def test_a_write_by_an_open_writer_is_no_end_and_its_close_is_one(watcher: Watcher) -> None:
    subscription = watcher.subscribe("a")
    with (watcher.directory / "a.jsonl.__partial__").open("ab", buffering=0) as file:
        file.write(b"x\n")
        settle(watcher)
        written = subscription.take_decisive()
    settle(watcher)

    assert (written, subscription.take_decisive()) == (False, True)


def test_marks_of_a_slow_consumer_take_no_room(watcher: Watcher) -> None:
    subscription = watcher.subscribe()
    for _ in range(50):
        write(watcher.directory / "a.jsonl")
        settle(watcher)

    assert subscription.marked == {"a": True}


def test_a_closed_subscription_gets_no_more_marks(watcher: Watcher) -> None:
    subscriptions = watcher.subscribe("a"), watcher.subscribe()
    for subscription in subscriptions * 2:
        subscription.close()

    write(watcher.directory / "a.jsonl")
    settle(watcher)

    assert [s.take() for s in subscriptions] == [({}, False)] * 2
    assert (watcher._by_stem, watcher._all) == ({}, [])


async def test_a_waiting_subscriber_is_woken_with_and_without_a_pump(watcher: Watcher) -> None:
    for pumped in (False, True):
        async with anyio.create_task_group() as group:
            if pumped:
                watcher.pumped = True
                group.start_soon(watcher.pump)
            subscription = watcher.subscribe("a")
            group.start_soon(anyio.to_thread.run_sync, write, watcher.directory / "a.jsonl")
            with anyio.fail_after(30):
                woken = await subscription.wait(20)
            group.cancel_scope.cancel()

        assert woken
        assert "a" in subscription.take()[0]
        subscription.close()


async def test_waiting_ends_without_a_mark_when_nothing_happens(watcher: Watcher) -> None:
    subscription = watcher.subscribe("a")

    assert await subscription.wait(0.01) is False


@pytest.fixture
def short_queue() -> Iterator[int]:
    limit = Path("/proc/sys/fs/inotify/max_queued_events")
    before = limit.read_text()
    try:
        limit.write_text("16")
    except OSError:
        pytest.skip("the length of the event queue is root's to set")
    yield 16
    limit.write_text(before)


def test_a_queue_that_overflows_marks_everything(short_queue: int, tmp_path: Path) -> None:
    watcher = Watcher(tmp_path)
    subscriptions = watcher.subscribe("other"), watcher.subscribe()
    for i in range(2 * short_queue):
        (tmp_path / f"{i}.jsonl").touch()
    settle(watcher)
    watcher.close()

    assert [subscription.everything for subscription in subscriptions] == [True, True]
    assert watcher.stats.overflows == 1


def test_where_no_descriptor_is_left_the_directory_is_polled(tmp_path: Path) -> None:
    code = """
import os, resource, sys
from pathlib import Path
from inotify_simple import INotify
from sessiontail.watching import Watcher
INotify().close()  # which finds the system's library the first time
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
watcher = Watcher(Path(sys.argv[1]))
print(watcher.polled_because, watcher.fd, watcher.interval_s == watcher.poll_interval_s)
print(watcher.check_directory())
"""
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True, timeout=30
    )

    assert answer.stderr == b""
    because = f"no inotify instance: {os.strerror(errno.EMFILE)}"
    assert answer.stdout.decode() == f"{because} None True\nTrue\n"


async def test_polling_waits_for_the_poll_interval(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path, events=False, poll_interval_s=0.01)
    subscription = watcher.subscribe("a")

    with anyio.fail_after(30):
        assert await subscription.wait(60) is False
    assert watcher.polled_because == "events are switched off"


@pytest.mark.parametrize("back", ["absent", "removed", "renamed", "exchanged"])
def test_a_directory_that_comes_back_is_watched_again(tmp_path: Path, back: str) -> None:
    directory = tmp_path / "sessions"
    if back != "absent":
        directory.mkdir()
    watcher = Watcher(directory, sweep_interval_s=30, poll_interval_s=0.01)
    subscription = watcher.subscribe("a")
    if back == "removed":
        shutil.rmtree(directory)
    elif back != "absent":
        directory.rename(tmp_path / "old")
    if back != "exchanged":
        settle(watcher)
        assert (watcher.check_directory(), watcher.interval_s) == (False, 0.01)
        assert watcher.check_directory() is False
    subscription.take()

    directory.mkdir()
    there = watcher.check_directory()
    told = subscription.take()
    write(directory / "a.jsonl")
    settle(watcher)

    assert (there, told, watcher.interval_s) == (True, ({}, True), 30)
    assert "a" in subscription.take()[0]
    assert watcher.polled_because is None
    watcher.close()


def test_what_happens_in_a_directory_that_was_moved_away_marks_nothing(
    watcher: Watcher, tmp_path: Path
) -> None:
    subscription = watcher.subscribe("a")
    watcher.directory.rename(tmp_path / "old")
    settle(watcher)
    assert subscription.take() == ({}, True)

    write(tmp_path / "old" / "a.jsonl")
    settle(watcher)

    assert subscription.take() == ({}, False)


async def test_two_missed_events_end_the_trust_in_events(watcher: Watcher) -> None:
    subscription = watcher.subscribe("a")

    first = await watcher.was_missed(subscription)
    trusted = watcher.polled_because
    second = await watcher.was_missed(subscription)

    assert (first, trusted) == (True, None)
    assert (second, watcher.polled_because) == (True, "events failed to come")
    assert (watcher.stats.missed, watcher.stats.distrusted) == (2, 1)
    assert watcher.interval_s == watcher.poll_interval_s
    assert await watcher.was_missed(subscription) is False


async def test_an_event_that_was_on_its_way_is_not_missed(watcher: Watcher) -> None:
    subscription = watcher.subscribe("a")
    write(watcher.directory / "a.jsonl")

    assert await watcher.was_missed(subscription) is False
    assert watcher.stats.missed == 0


def test_a_lone_file_is_watched_through_its_rename(watcher: Watcher) -> None:
    wal = watcher.directory / f"{ID}.jsonl.__partial__"
    subscription = watcher.subscribe(str(ID))
    with wal.open("ab", buffering=0) as file:
        settle(watcher)
        watcher.narrow(file.fileno(), str(ID))
        subscription.take()

        write(watcher.directory / "another.jsonl")
        settle(watcher)
        others = subscription.take()
        wal.rename(watcher.directory / f"{ID}.jsonl")
        settle(watcher)
        renamed = subscription.take()
        file.write(b"x\n")
        settle(watcher)

    assert others == ({}, False)
    assert renamed == ({str(ID): True}, False)
    assert subscription.take() == ({str(ID): False}, False)


def test_a_watcher_gives_its_instance_back(tmp_path: Path) -> None:
    def instances() -> int:
        links = Path("/proc/self/fd").iterdir()
        return sum("inotify" in os.path.realpath(link) for link in links)

    before = instances()
    closed, dropped = Watcher(tmp_path), Watcher(tmp_path)
    made = instances()

    closed.close()
    closed.close()
    del dropped

    assert (made, instances()) == (before + 2, before)


def mounts() -> list[tuple[Path, str]]:
    """Mount points and types as /proc/mounts has them, the last of each point."""
    rows = [line.split(b" ")[1:3] for line in Path("/proc/mounts").read_bytes().splitlines()]
    points = {point.decode("unicode_escape"): kind.decode() for point, kind in rows}
    return [(Path(point), kind) for point, kind in points.items()]


def test_the_type_of_every_mounted_file_system_is_known() -> None:
    found = [(point, filesystem_type(point / "not" / "there")) for point, _ in mounts()]

    assert found == mounts()


@pytest.mark.parametrize("name", ["a b", "tab\tand\nnewline", "back\\slash", "é"])
def test_the_type_of_a_file_system_under_a_name_that_is_escaped_is_known(
    tmp_path: Path, name: str
) -> None:
    point = tmp_path / name
    point.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", point], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode()}")
    try:
        assert filesystem_type(point / "sessions") == "tmpfs"
        assert filesystem_type(tmp_path / f"{name} beside") != "tmpfs"
    finally:
        subprocess.run(["umount", point], check=True)


@pytest.mark.parametrize(
    ("kind", "because", "remote"),
    [
        ("nfs4", "events do not tell all on nfs4", True),
        ("fuse.sshfs", "events do not tell all on fuse.sshfs", True),
        ("overlay", "events do not tell all on overlay", False),
        ("ext4", None, False),
        ("", None, False),
    ],
)
def test_file_systems_that_others_change_are_polled(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    because: str | None,
    *,
    remote: bool,
) -> None:
    monkeypatch.setattr(watching, "filesystem_type", lambda _: kind)
    watcher = Watcher(tmp_path)

    assert (watcher.polled_because, watcher.remote) == (because, remote)
    watcher.close()

"""What changes in a directory marks it for all who follow: told by the kernel, or found by a look."""

from __future__ import annotations

import errno
import gc
import os
import sys
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors import Actor, Counts, overflow, take
from followers import follow, instances, until, watched, write
from samples import ID, session_bytes
from sessiontail import SessionStore
from sessiontail.system import watching
from sessiontail.system.inotify import Inotify
from sessiontail.system.mounts import Mount
from sessiontail.system.stats import StoreStats
from sessiontail.system.watching import watch_of

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's"),
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return directory


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
async def test_what_happens_to_a_session_file_marks_it(
    directory: Path, act: Callable[[Path], object], marked: dict[str, bool]
) -> None:
    for name in ("a.jsonl", "a.jsonl.__partial__"):
        (directory / name).write_bytes(session_bytes())
    async with watched(directory) as watch:
        every, one = follow(watch), follow(watch, "a")
        act(directory)
        watch.drain()

        assert every.take() == (marked, False)
        assert one.take() == ({stem: end for stem, end in marked.items() if stem == "a"}, False)
        every.close()
        one.close()


async def test_a_directory_that_is_there_when_somebody_leaves_is_looked_at_at_once(
    directory: Path,
) -> None:
    directory.rmdir()
    async with watched(directory, poll_s=60) as watch:
        every, one = follow(watch), follow(watch, "a")
        assert await watch.take_stock(every) is None
        directory.mkdir()
        write(directory / "b.jsonl")
        one.close()

        await until(lambda: every.everything or "b" in every.dirty)
        every.close()


async def test_a_write_by_an_open_writer_is_no_end_and_its_close_is_one(directory: Path) -> None:
    async with watched(directory) as watch:
        subscription = follow(watch, "a")
        with (directory / "a.jsonl.__partial__").open("ab", buffering=0) as file:
            file.write(b"x\n")
            watch.drain()
            written = subscription.take()
        watch.drain()

        assert (written, subscription.take()) == (({"a": False}, False), ({"a": True}, False))
        subscription.close()


@pytest.mark.parametrize("events", [True, False])
async def test_a_waiting_follower_is_woken_by_a_change(directory: Path, *, events: bool) -> None:
    async with watched(directory, events=events) as watch:
        subscription = follow(watch, "a")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, write, directory / "a.jsonl")
            with anyio.fail_after(30):
                woken = await subscription.wait()

        assert woken
        assert "a" in subscription.take()[0]
        subscription.close()


async def test_a_closed_follower_gets_no_more_marks(directory: Path) -> None:
    async with watched(directory) as watch:
        subscriptions = follow(watch, "a"), follow(watch)
        for subscription in subscriptions * 2:
            subscription.close()
        write(directory / "a.jsonl")
        watch.drain()

        assert [s.take() for s in subscriptions] == [({}, False)] * 2
        assert (list(watch._followers), watch._holders) == ([], 1)


async def test_a_follower_is_closed_from_another_thread(directory: Path) -> None:
    before = Counts.now()
    watch = await watch_of(directory)
    subscription = follow(watch)
    watch.release()
    thread = threading.Thread(target=subscription.close)
    thread.start()
    thread.join(30)
    await until(lambda: not watch._holders)
    await checkpoint()

    assert Counts.at_rest(before) == before


async def test_a_tail_that_another_thread_drops_leaves_nothing(directory: Path) -> None:
    actor = Actor(directory).open()
    before = Counts.now()
    held = [SessionStore(directory).tail(ID)]
    await take(held[0], 1)

    def drop() -> None:
        held.clear()
        gc.collect()

    thread = threading.Thread(target=drop)
    thread.start()
    thread.join(30)
    await until(lambda: instances() == before[1])

    assert Counts.at_rest(before) == before
    assert actor.writing


async def test_stores_of_one_event_loop_share_a_watch_of_a_directory(directory: Path) -> None:
    other = directory.with_name("other")
    other.mkdir()
    before = instances()
    async with AsyncExitStack() as stack:
        stores = [SessionStore(directory), SessionStore(directory), SessionStore(other)]
        for store in stores:
            await stack.enter_async_context(store)
        one, two, third = (store._place._held[0] for store in stores)

        assert one is two
        assert one is not third
        assert instances() == before + 1
    assert instances() == before


async def test_a_queue_that_overflows_marks_everything(directory: Path) -> None:
    async with watched(directory) as watch:
        stats = StoreStats()
        subscriptions = watch.subscribe("other", stats), watch.subscribe(None, stats)
        overflow(directory)
        while watch._watches.notifier is not None and watch._watches.notifier.drain():
            pass

        assert [subscription.everything for subscription in subscriptions] == [True, True]
        assert stats.overflows == 1
        for subscription in subscriptions:
            subscription.close()


@pytest.mark.parametrize(
    ("failing", "because"),
    [
        ("__init__", "no inotify instance: No space left on device"),
        ("add", "the directory cannot be watched: No space left on device"),
    ],
)
async def test_what_the_kernel_has_no_room_for_is_polled(
    directory: Path, monkeypatch: pytest.MonkeyPatch, failing: str, because: str
) -> None:
    def full(self: Inotify, *_: object) -> int:
        if failing == "__init__":
            self.fd = -1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Inotify, failing, full)
    async with watched(directory) as watch:
        subscription = follow(watch)
        await watch.take_stock(subscription)
        write(directory / "a.jsonl")
        with anyio.fail_after(30):
            assert await subscription.wait()

        assert (watch.polled_because, watch.trusted, watch.interval_s) == (because, False, 0.01)
        subscription.close()


@pytest.mark.parametrize(
    ("mount", "because"),
    [
        (Mount("nfs4", remote=True, watchable=False), "events do not tell all on nfs4"),
        (Mount("overlay", remote=False, watchable=False), "events do not tell all on overlay"),
        (Mount("ext4", remote=False, watchable=True), None),
    ],
)
async def test_file_systems_that_others_change_are_polled(
    directory: Path, monkeypatch: pytest.MonkeyPatch, mount: Mount, because: str | None
) -> None:
    async def mount_of(_: str) -> Mount:
        return mount

    monkeypatch.setattr(watching, "mount_of", mount_of)
    async with watched(directory) as watch:
        assert (watch.polled_because, watch.remote) == (because, mount.remote)


async def test_what_happens_in_a_directory_that_was_moved_away_marks_nothing(
    directory: Path,
) -> None:
    async with watched(directory) as watch:
        subscription = follow(watch, "a")
        old = directory.with_name("old")
        directory.rename(old)
        watch.drain()
        assert subscription.take() == ({}, True)
        write(old / "a.jsonl")
        watch.drain()

        assert subscription.take() == ({}, False)
        subscription.close()


async def test_a_follower_of_another_session_is_marked_for_that_one(directory: Path) -> None:
    async with watched(directory) as watch:
        subscription = follow(watch, "a")
        watch.move(subscription, "b")
        moved = subscription.take()
        write(directory / "a.jsonl")
        write(directory / "b.jsonl")
        watch.drain()

        assert moved == ({"b": True}, False)
        assert subscription.take() == ({"b": True}, False)
        subscription.close()


async def test_what_lies_there_is_told_to_a_newcomer_and_to_nobody_else(directory: Path) -> None:
    write(directory / "a.jsonl")
    async with watched(directory) as watch:
        first, second = follow(watch), follow(watch)
        await watch.take_stock(first)
        first.take()
        second.take()
        stock = await watch.take_stock(second)

        assert stock is not None
        assert [*stock] == ["a"]
        assert (first.take(), second.take()) == (({}, False), ({}, False))
        first.close()
        second.close()

"""What changes in a directory marks it for all who follow: told by the kernel, or found by a look."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors import Actor, Counts, cancelled_at, drain, overflow, take
from samples import ID, session_bytes
from sessiontail import PersistenceError, SessionNotFound, SessionStore, tail_session
from sessiontail.system import surveying, watching
from sessiontail.system.calls import Call
from sessiontail.system.files import in_thread
from sessiontail.system.inotify import Inotify
from sessiontail.system.mounts import Mount
from sessiontail.system.stamps import FileId
from sessiontail.system.stats import StoreStats
from sessiontail.system.subscriptions import Subscription
from sessiontail.system.survey import survey
from sessiontail.system.threads import NoThread
from sessiontail.system.watching import DirectoryWatch, watch_of

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's"),
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return directory


@asynccontextmanager
async def watched(
    directory: Path, *, sweep_s: float = 60, poll_s: float = 0.01, events: bool = True
) -> AsyncIterator[DirectoryWatch]:
    """The watch of a directory, held."""
    watch = await watch_of(
        directory, sweep_interval_s=sweep_s, poll_interval_s=poll_s, events=events
    )
    try:
        yield watch
    finally:
        watch.release()


def follow(watch: DirectoryWatch, stem: str | None = None) -> Subscription:
    return watch.subscribe(stem, StoreStats())


def write(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x\n")


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():
            await anyio.sleep(0.001)


async def sweeps(stats: StoreStats, count: int) -> None:
    """Until the directory was looked at so often."""
    wanted = stats.sweeps + count
    await until(lambda: stats.sweeps >= wanted)


def instances() -> int:
    return Counts.now()[1]


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


async def test_marks_of_a_slow_follower_take_no_room(directory: Path) -> None:
    async with watched(directory) as watch:
        subscription = follow(watch)
        for _ in range(50):
            write(directory / "a.jsonl")
            watch.drain()

        assert subscription.marked == {"a": True}
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


async def test_waiting_ends_without_a_mark_when_nothing_happens(directory: Path) -> None:
    async with watched(directory) as watch:
        subscription = follow(watch, "a")

        assert await subscription.wait(0.01) is False
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


async def test_two_hundred_tails_take_one_inotify_instance(directory: Path) -> None:
    actors = [Actor(directory, UUID(int=n + 1)).open() for n in range(200)]
    before = instances()
    tails = [tail_session(actor.id, directory=directory) for actor in actors]
    for tail in tails:
        await take(tail, 1)
    during = instances()
    for actor, tail in zip(actors, tails, strict=True):
        actor.close()
        assert await drain(tail) == actor.records[1:]

    assert (during, instances()) == (before + 1, before)


async def test_a_start_that_fails_gives_its_instance_back_at_the_raise(directory: Path) -> None:
    gc.collect()
    before = instances()
    gc.disable()
    try:
        tails = []
        for _ in range(20):
            tails.append(tail_session(uuid4(), directory=directory))
            with pytest.raises(SessionNotFound):
                await anext(tails[-1])
            assert instances() == before
    finally:
        gc.enable()


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


@pytest.mark.parametrize("back", ["absent", "removed", "renamed", "exchanged"])
async def test_a_directory_that_comes_back_is_watched_again(directory: Path, back: str) -> None:
    if back == "absent":
        directory.rmdir()
    async with watched(directory) as watch:
        subscription = follow(watch, "a")
        if back == "removed":
            shutil.rmtree(directory)
        elif back != "absent":
            directory.rename(directory.with_name("old"))
        if back != "exchanged":
            await until(lambda: not watch.present)
            assert (watch.trusted, watch.interval_s) == (False, 0.01)
        directory.mkdir()
        await until(lambda: subscription.everything)
        await until(lambda: watch.trusted and watch.present and not watch._sweeper._urgent)
        await until(lambda: watch._watches.directory_id == FileId.of(directory.stat()))
        subscription.take()
        write(directory / "a.jsonl")
        watch.drain()

        assert "a" in subscription.take()[0]
        assert (watch.interval_s, watch.polled_because) == (60, None)
        subscription.close()


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


async def test_a_lone_file_is_watched_through_its_rename(directory: Path) -> None:
    wal = directory / f"{ID}.jsonl.__partial__"
    async with watched(directory) as watch:
        subscription = follow(watch, str(ID))
        with wal.open("ab", buffering=0) as file:
            watch.narrow(file.fileno(), str(ID))
            watch.drain()
            subscription.take()
            write(directory / "another.jsonl")
            watch.drain()
            others = watch._sweeper.told, subscription.take()
            wal.rename(directory / f"{ID}.jsonl")
            watch.drain()
            renamed = subscription.take()
            file.write(b"x\n")
            watch.drain()

            assert others == ({str(ID)}, ({}, False))
            assert renamed == ({str(ID): True}, False)
            assert subscription.take() == ({str(ID): False}, False)
            assert (watch._watches.watch, watch.trusted) == (None, True)
        subscription.close()


async def test_a_follower_of_everything_widens_what_was_narrowed(directory: Path) -> None:
    wal = directory / f"{ID}.jsonl.__partial__"
    async with watched(directory) as watch:
        one = follow(watch, str(ID))
        with wal.open("ab", buffering=0) as file:
            watch.narrow(file.fileno(), str(ID))
            every = follow(watch)
            write(directory / "another.jsonl")
            file.write(b"x\n")
            watch.drain()

            assert every.take()[0].keys() == {"another", str(ID)}
            assert one.take()[0].keys() == {str(ID)}
            every.close()
            assert watch._watches.watch is None
        one.close()


async def test_growth_that_no_event_told_is_counted_and_twice_ends_the_trust(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "GRACE_S", 0.0)
    monkeypatch.setattr(surveying, "TRUSTED_SWEEP_SHARE", 1e9)
    plain = DirectoryWatch.told
    async with watched(directory, sweep_s=0.01) as watch:
        stats = StoreStats()
        subscription = watch.subscribe(None, stats)
        write(directory / "a.jsonl")
        await watch.take_stock(subscription)
        await until(lambda: stats.sweeps > 3)
        assert (stats.missed, watch.polled_because) == (0, None)
        monkeypatch.setattr(DirectoryWatch, "told", lambda *_: None)
        found = []
        for misses in (1, 2):
            subscription.take()
            write(directory / "a.jsonl")
            await until(lambda misses=misses: stats.missed == misses)  # type: ignore[misc]
            found.append((subscription.take()[0], watch.polled_because))

        assert found == [({"a": False}, None), ({"a": False}, "events failed to come")]
        assert (stats.missed, stats.distrusted) == (2, 1)
        monkeypatch.setattr(DirectoryWatch, "told", plain)
        subscription.close()


async def test_a_write_that_is_told_only_when_it_has_ended_is_not_missed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of megabytes grows from look to look, and the event comes behind the last byte."""
    monkeypatch.setattr(surveying, "TRUSTED_SWEEP_SHARE", 1e9)
    monkeypatch.setattr(surveying, "GRACE_S", 3600.0)
    told: list[tuple[int, str, int]] = []
    plain = DirectoryWatch.told
    async with watched(directory, sweep_s=0.01) as watch:
        stats = StoreStats()
        subscription = watch.subscribe(None, stats)
        write(directory / "a.jsonl")
        await watch.take_stock(subscription)
        monkeypatch.setattr(DirectoryWatch, "told", lambda _, *event: told.append(event))
        for _ in range(5):
            write(directory / "a.jsonl")
            await sweeps(stats, 2)
        for event in told:
            plain(watch, *event)
        monkeypatch.setattr(surveying, "GRACE_S", 0.0)
        await sweeps(stats, 3)

        assert told
        assert (stats.missed, watch.polled_because) == (0, None)
        subscription.close()


async def test_a_lone_tail_of_an_open_file_is_looked_after_when_it_is_due_and_not_all_the_time(
    directory: Path,
) -> None:
    wal = directory / f"{ID}.jsonl.__partial__"
    async with watched(directory) as watch:
        stats = StoreStats()
        subscription = watch.subscribe(str(ID), stats)
        with wal.open("ab", buffering=0) as file:
            watch.narrow(file.fileno(), str(ID))
            watch._sweeper.look_soon()
            await sweeps(stats, 1)
            for _ in range(100):
                await in_thread(int)  # as long as a look takes

            assert watch.trusted
            assert stats.sweeps == 1
        subscription.close()


async def test_where_no_thread_is_to_be_had_it_is_looked_when_it_is_due_and_not_all_the_time(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, tries = Call, 0

    def none(*args: Any, **options: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries > 50:  # it would never let anybody else have a turn
            return plain(*args, **options)
        raise NoThread

    async with watched(directory, events=False) as watch:
        subscription = follow(watch)
        await watch.take_stock(subscription)
        monkeypatch.setattr(surveying, "Call", none)
        while not tries:
            await anyio.sleep(0.001)
        await anyio.sleep(0.1)
        monkeypatch.setattr(surveying, "Call", plain)
        subscription.take()
        write(directory / "a.jsonl")
        with anyio.fail_after(30):
            await subscription.wait()

        assert 1 <= tries <= 50
        assert subscription.take()[0].keys() == {"a"}
        subscription.close()


async def test_no_mark_is_lost_whenever_the_passing_on_of_differences_is_cut_short(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "MAX_HOLD_S", -1.0)  # a checkpoint before each difference
    stems = {f"{number}" for number in range(20)}
    async with watched(directory, events=False, poll_s=600) as watch:
        one, other = follow(watch), follow(watch)
        await watch.take_stock(one)
        for stem in stems:
            write(directory / f"{stem}.jsonl")
        moment, stock = 0, None
        while stock is None:
            moment += 1
            with anyio.CancelScope() as scope:
                stock = await cancelled_at(watch.take_stock(other), moment, scope.cancel)

        assert moment > 3  # a look and some of the differences each
        assert one.take()[0].keys() == stock.keys() == stems
        one.close()
        other.close()


async def test_what_kept_a_survey_from_looking_is_nothing_to_who_asks_later(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, entered, released = survey, threading.Event(), threading.Event()

    def fail(*_: Any, **__: Any) -> Any:
        entered.set()
        released.wait(30)
        raise PersistenceError("unreadable", path=directory)

    write(directory / "a.jsonl")
    async with watched(directory, events=False, poll_s=600) as watch:
        one, other = follow(watch), follow(watch)
        monkeypatch.setattr(surveying, "survey", fail)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch.take_stock, one)
            while not entered.is_set():
                await checkpoint()
            tasks.cancel_scope.cancel()
        released.set()
        monkeypatch.setattr(surveying, "survey", plain)

        stock = await watch.take_stock(other)

        assert stock is not None
        assert stock.keys() == {"a"}
        one.close()
        other.close()


async def test_an_error_that_nobody_came_for_is_forgotten_once_it_is_over(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise PersistenceError("unreadable", path=directory)

    async with watched(directory, events=False) as watch:
        subscription = follow(watch)
        monkeypatch.setattr(surveying, "survey", fail)
        await until(lambda: subscription.error is not None)
        monkeypatch.setattr(surveying, "survey", survey)
        await until(lambda: subscription.error is None)
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

"""Surveys are taken when they are due, and mark what no event told."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors import cancelled_at
from followers import follow, sweeps, until, watched, write
from samples import ID
from sessiontail import PersistenceError
from sessiontail.system import surveying
from sessiontail.system.calls import Call
from sessiontail.system.files import in_thread
from sessiontail.system.stamps import FileId
from sessiontail.system.stats import StoreStats
from sessiontail.system.survey import survey
from sessiontail.system.threads import NoThread
from sessiontail.system.watching import DirectoryWatch

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's"),
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return directory


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

        def missed(count: int) -> bool:
            return stats.missed == count

        for misses in (1, 2):
            subscription.take()
            write(directory / "a.jsonl")
            await until(partial(missed, misses))
            found.append((subscription.take()[0], watch.polled_because))

        assert found == [({"a": False}, None), ({"a": False}, "events failed to come")]
        assert (stats.missed, stats.distrusted) == (2, 1)
        monkeypatch.setattr(DirectoryWatch, "told", plain)
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


async def test_one_that_fails_as_nobody_foresaw_is_logged_and_others_are_taken(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    async with watched(directory, events=False) as watch:
        subscription = follow(watch)
        await watch.take_stock(subscription)
        monkeypatch.setattr(surveying, "survey", fail)
        await until(lambda: bool(caplog.records))
        monkeypatch.setattr(surveying, "survey", survey)
        write(directory / "a.jsonl")
        await until(lambda: "a" in subscription.dirty)

        assert f"cannot look at {directory}, will try again" in caplog.messages
        assert subscription.error is None
        subscription.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
async def test_that_somebody_has_all_descriptors_for_a_while_is_nobodys_error(
    directory: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_: Path) -> Any:
        raise OSError(number, os.strerror(number))

    async with watched(directory, events=False) as watch:
        stats = StoreStats()
        subscription = watch.subscribe(None, stats)
        await watch.take_stock(subscription)
        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", refuse)
            await sweeps(stats, 3)
        error = subscription.error
        write(directory / "a.jsonl")
        await until(lambda: "a" in subscription.dirty)

        assert error is None
        subscription.close()


async def test_a_directory_that_cannot_be_read_is_an_error_to_who_asks_and_to_who_follows(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    async with watched(directory, events=False) as watch:
        one, other = follow(watch), follow(watch)
        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", refuse)
            with pytest.raises(PersistenceError, match="permission denied"):
                await watch.take_stock(one)
            with anyio.fail_after(30):
                await other.signal.wait()

        assert "permission denied" in str(other.error)
        await until(lambda: other.error is None)
        for subscription in (one, other):
            subscription.close()


async def test_a_look_that_is_wanted_at_once_is_not_waited_for(directory: Path) -> None:
    async with watched(directory, events=False, poll_s=600) as watch:
        stats = StoreStats()
        subscription = watch.subscribe(None, stats)
        await watch.take_stock(subscription)
        write(directory / "a.jsonl")
        watch.look_soon()
        await until(lambda: "a" in subscription.dirty)

        assert watch.interval_s == 600
        subscription.close()


async def test_a_survey_that_is_cut_short_again_and_again_is_the_same_and_comes_to_its_end(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, released = 0, threading.Event()

    def slow(*arguments: Any, **options: Any) -> Any:
        nonlocal taken
        taken += 1
        released.wait(30)
        return survey(*arguments, **options)

    write(directory / "a.jsonl")
    async with watched(directory, events=False, poll_s=600) as watch:
        subscription = follow(watch)
        monkeypatch.setattr(surveying, "survey", slow)
        for _ in range(5):
            with anyio.move_on_after(0.001) as scope:
                await watch.take_stock(subscription)
            assert scope.cancelled_caught
        released.set()
        with anyio.fail_after(30):
            stock = await watch.take_stock(subscription)

        assert stock is not None
        assert ([*stock], taken) == (["a"], 1)
        subscription.close()

"""Surveys, one after another, tell what differs, and whether events should have told it."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from actors import LONG_AGO_S, Actor, cancelled_at
from followers import sweeps, watched, write
from samples import ID
from sessiontail.errors import PersistenceError
from sessiontail.system import surveying
from sessiontail.system.stats import StoreStats
from sessiontail.system.subscriptions import Followers, Subscription
from sessiontail.system.surveying import Look, Surveys
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


class Clock:
    """Stands for the module ``time``; it stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(surveying, "time", clock)
    return clock


class Bed:
    """The surveys of one directory, and one who follows all of it and knows what lay there."""

    def __init__(self, directory: Path) -> None:
        self.stats = StoreStats()
        self.followers = Followers()
        self.surveys = Surveys(directory, self.followers)
        self.follower = self.follow()
        self.follower.has_stock = True

    def follow(self) -> Subscription:
        subscription = Subscription(None, self.stats)
        self.followers.add(subscription)
        self.followers.count_into(self.stats, 1)
        return subscription

    def begin(
        self, *, polled: bool = False, trusted: bool = True, stock_for: Subscription | None = None
    ) -> Look:
        return self.surveys.begin(whole=True, polled=polled, trusted=trusted, stock_for=stock_for)

    async def look(self, **options: Any) -> dict[str, bool]:
        """Take a survey; return what it marked."""
        await self.missed(**options)
        return self.follower.take()[0]

    async def missed(
        self,
        act: Callable[[], object] = lambda: None,
        *,
        trusted: bool = True,
        cost_s: float = 0.0,
        **options: Any,
    ) -> bool:
        """Take a survey, do something while it is under way, and say whether it was missed."""
        look = self.begin(trusted=trusted, **options)
        await look.call.settled()
        act()
        found = self.surveys.result(look)
        assert found is not None
        await self.surveys.pass_on(found)
        return self.surveys.missed(look, found._replace(cost_s=cost_s), trusted=trusted)


@pytest.fixture
def bed(directory: Path, clock: Clock) -> Bed:
    return Bed(directory)


def sleep_through(clock: Clock) -> None:
    clock.now_s += surveying.GRACE_S


async def test_each_survey_marks_what_differs_from_the_one_before(
    bed: Bed, directory: Path
) -> None:
    path = directory / "a.jsonl"
    found = []
    acts: list[Callable[[], object]] = [
        lambda: write(path),
        lambda: None,
        lambda: write(path),
        path.unlink,
        lambda: None,
        lambda: None,
    ]
    for act in acts:
        act()
        found.append(await bed.look())

    # What is gone is told once more.
    assert found == [{"a": False}, {}, {"a": False}, {"a": True}, {"a": True}, {}]
    assert bed.stats.sweeps == 6


async def test_behind_an_absent_directory_everything_is_new(bed: Bed, directory: Path) -> None:
    write(directory / "a.jsonl")
    await bed.look()
    away = directory.rename(directory.with_name("away"))
    look = bed.begin()
    await look.call.settled()
    absent = bed.surveys.result(look)
    away.rename(directory)

    assert absent is None
    assert await bed.look() == {"a": False}


async def test_what_keeps_it_from_looking_is_raised_and_nothing_is_forgotten(
    bed: Bed, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(directory / "a.jsonl")
    await bed.look()

    def refuse(*_: object) -> object:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        look = bed.begin()
        await look.call.settled()
    with pytest.raises(PersistenceError, match="permission denied"):
        bed.surveys.result(look)

    assert await bed.look() == {}


@pytest.mark.parametrize(
    ("trusted", "cost_s", "interval_s", "due_in_s"),
    [
        (True, 0.0, 5.0, 5.0),
        (False, 0.0, 0.1, 0.1),
        (True, 0.1, 5.0, 20.0),
        (False, 0.1, 0.1, 2.0),
    ],
)
async def test_the_more_a_survey_costs_the_more_seldom_it_is_due(
    bed: Bed, clock: Clock, *, trusted: bool, cost_s: float, interval_s: float, due_in_s: float
) -> None:
    for _ in range(2):
        await bed.missed(trusted=trusted, cost_s=cost_s)
    clock.now_s += 0.05

    assert bed.surveys.due_in_s(interval_s, trusted=trusted) == pytest.approx(due_in_s - 0.05)


@pytest.mark.parametrize("costs_s", [(0.0, 1000.0), (1000.0, 0.0), (0.0, 1000.0, 0.0)])
async def test_one_look_that_took_long_does_not_put_off_the_next(
    bed: Bed, costs_s: tuple[float, ...]
) -> None:
    """The interpreter's collector may run in it, or the machine stand still."""
    for cost_s in costs_s:
        await bed.missed(trusted=False, cost_s=cost_s)

    assert bed.surveys.due_in_s(0.1, trusted=False) == pytest.approx(0.1)


async def test_the_time_until_the_next_begins_when_one_is_over(bed: Bed, clock: Clock) -> None:
    def take_long() -> None:
        clock.now_s += 100

    await bed.missed(take_long)

    assert bed.surveys.due_in_s(5.0, trusted=True) == 5.0


@pytest.mark.parametrize("told", ["before", "meanwhile", "later", "at last", "never"])
async def test_growth_is_missed_if_it_was_never_told_and_stood_still_for_a_while(
    bed: Bed, directory: Path, clock: Clock, told: str
) -> None:
    def tell() -> None:
        assert bed.surveys.told is not None
        bed.surveys.told.add("a")

    await bed.missed()
    write(directory / "a.jsonl")
    if told == "before":
        tell()
    found = [await bed.missed(tell if told == "meanwhile" else lambda: None)]
    if told == "later":
        tell()
    sleep_through(clock)
    found.append(await bed.missed(tell if told == "at last" else lambda: None))
    found.append(await bed.missed())

    assert found == [False, told == "never", False]


async def test_growth_that_goes_on_is_not_missed_yet(
    bed: Bed, directory: Path, clock: Clock
) -> None:
    await bed.missed()
    found = []
    for _ in range(4):
        write(directory / "a.jsonl")
        clock.now_s += 0.9 * surveying.GRACE_S
        found.append(await bed.missed())
    sleep_through(clock)

    assert (found, await bed.missed()) == ([False] * 4, True)


@pytest.mark.parametrize("because", ["first", "distrusted", "all may be told", "no growth"])
async def test_nothing_is_missed_where_nothing_was_to_be_told(
    bed: Bed, directory: Path, clock: Clock, because: str
) -> None:
    write(directory / "old.jsonl")
    if because != "first":
        await bed.missed()
    if because == "no growth":
        (directory / "old.jsonl").unlink()
    else:
        write(directory / "a.jsonl")
    if because == "all may be told":
        bed.surveys.told = None
    trusted = because != "distrusted"
    found = [await bed.missed(trusted=trusted)]
    sleep_through(clock)

    assert [*found, await bed.missed(trusted=trusted)] == [False, False]


@pytest.mark.parametrize(
    ("polled", "interval_s"),
    [(True, surveying.LOCKS_INTERVAL_S), (False, surveying.TRUSTED_LOCKS_INTERVAL_S)],
)
async def test_the_lock_table_is_compared_now_and_then_or_when_that_is_asked_for(
    bed: Bed, clock: Clock, *, polled: bool, interval_s: float
) -> None:
    due = []
    for wait_s in (0.0, 0.0, 0.9 * interval_s, 0.1 * interval_s, 0.0):
        clock.now_s += wait_s
        look = bed.begin(polled=polled)
        due.append(look.locks_due)
        await look.call.settled()
        bed.surveys.result(look)
    bed.surveys.compare_soon()
    due.append(bed.begin(polled=polled).locks_due)

    assert due == [True, False, False, True, False, True]


async def test_a_writer_that_is_gone_is_told_once_and_again_when_another_went(
    bed: Bed, directory: Path
) -> None:
    actor = Actor(directory).open()
    os.utime(actor.wal, (LONG_AGO_S, LONG_AGO_S))
    found = []

    async def compare() -> None:
        bed.surveys.compare_soon()
        found.append(await bed.look())

    await compare()
    await compare()
    actor.kill()
    for _ in range(2):
        await compare()
    with actor.wal.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        await compare()
    await compare()

    assert found == [{str(ID): False}, {}, {str(ID): True}, {}, {}, {str(ID): True}]


async def test_a_newcomer_gets_all_that_was_seen_and_others_what_differs(
    bed: Bed, directory: Path
) -> None:
    for name in ("a.jsonl", "b.jsonl.__partial__"):
        write(directory / name)
    await bed.look()
    newcomer = bed.follow()
    write(directory / "c.jsonl")
    marked = await bed.look(stock_for=newcomer)

    assert newcomer.stock is not None
    assert newcomer.stock.keys() == {"a", "b", "c"}
    assert (newcomer.has_stock, newcomer.take()) == (True, ({}, False))
    assert (marked, bed.follower.stock) == ({"c": False}, None)


async def test_what_is_cut_short_while_it_is_passed_on_goes_on_where_it_was(
    bed: Bed, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "MAX_HOLD_S", -1.0)  # a checkpoint before each difference
    stems = {str(number) for number in range(9)}
    for stem in stems:
        write(directory / f"{stem}.jsonl")
    look = bed.begin()
    await look.call.settled()
    found = bed.surveys.result(look)
    assert found is not None
    tries = 0
    while found.changed:
        tries += 1
        with anyio.CancelScope() as scope:
            await cancelled_at(bed.surveys.pass_on(found), 2, scope.cancel)

    assert tries > 3
    assert bed.follower.take() == (dict.fromkeys(stems, False), False)


async def test_where_no_thread_is_to_be_had_what_was_told_is_forgotten_and_all_may_differ(
    bed: Bed, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> object:
        raise NoThread

    clock.now_s += 60
    with monkeypatch.context() as patch:
        patch.setattr(surveying, "Call", none)
        with pytest.raises(NoThread):
            bed.begin()

    assert bed.surveys.told is None
    assert bed.surveys.due_in_s(5.0, trusted=True) == 5.0  # it is not tried all the time

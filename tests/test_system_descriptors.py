"""Half of the process's open files are the program's; what is hot keeps its own; all grows back."""

from __future__ import annotations

import errno
import os
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

from actors import Actor, heard, nothing_more, owed, resting
from cold import Blocked, cold_disk
from sessiontail import DirectoryTail, SessionStore
from sessiontail.directory import holding, turns
from sessiontail.format.marks import WINDOW_BYTES
from sessiontail.system import descriptors, survey
from sessiontail.system.descriptors import Budget, raise_limit
from sessiontail.system.files import SessionFile

LIMIT = 40


class Clock:
    """Stands for the module ``time``; it stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(descriptors, "time", clock)
    return clock


@pytest.fixture
def budget(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Budget:
    """The process's budget, under a soft limit of ``LIMIT``."""
    budget = Budget()
    monkeypatch.setattr(descriptors, "_soft_limit", lambda: LIMIT)
    monkeypatch.setattr(holding, "budget", budget)
    monkeypatch.setattr(SessionFile, "open_now", set())
    return budget


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was opened."""
    counter: Counter[str] = Counter()
    plain = SessionFile.__init__

    def counted(self: SessionFile, path: Any, **options: Any) -> None:
        plain(self, path, **options)
        counter[Path(path).name] += 1

    monkeypatch.setattr(SessionFile, "__init__", counted)
    return counter


@pytest.fixture
def actors(tmp_path: Path) -> Iterator[list[Actor]]:
    directory = tmp_path / "sessions"
    directory.mkdir(exist_ok=True)
    actors = [Actor(directory, UUID(int=number + 1)).open() for number in range(60)]
    yield actors
    for actor in actors:
        actor.kill()


def test_half_of_the_soft_limit_is_for_session_files(budget: Budget) -> None:
    assert budget.limit == LIMIT // 2


@pytest.mark.parametrize(("soft", "limit"), [(0, 4), (8, 4), (10, 5), (1024, 512)])
def test_however_low_the_limit_is_a_few_files_may_be_open(
    monkeypatch: pytest.MonkeyPatch, soft: int, limit: int
) -> None:
    monkeypatch.setattr(descriptors, "_soft_limit", lambda: soft)

    assert Budget().limit == limit


def test_the_soft_limit_is_the_systems_and_bounded_where_that_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    found = descriptors._soft_limit()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)

    assert found == (65536 if soft == resource.RLIM_INFINITY else soft)
    assert descriptors._soft_limit() == 65536


def test_a_limit_that_is_raised_or_lowered_counts_a_second_later(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    budget = Budget()
    found = []
    for soft in (100, 200, 50):
        monkeypatch.setattr(descriptors, "_soft_limit", lambda soft=soft: soft)
        found.append(budget.limit)
        clock.now_s += 0.9
        found.append(budget.limit)
        clock.now_s += 0.2

    assert found == [50, 50, 100, 100, 25, 25]


def test_what_ran_short_doubles_each_second_until_it_is_as_before(
    monkeypatch: pytest.MonkeyPatch, budget: Budget, clock: Clock
) -> None:
    monkeypatch.setattr(SessionFile, "open_now", set(range(6)))
    budget.run_short()
    limits = []
    for _ in range(5):
        limits.append(budget.limit)
        clock.now_s += 1

    assert limits == [3, 6, 12, 20, 20]


def test_one_file_may_be_open_however_often_it_ran_short(
    monkeypatch: pytest.MonkeyPatch, budget: Budget, clock: Clock
) -> None:
    monkeypatch.setattr(SessionFile, "open_now", set())
    for _ in range(6):
        budget.run_short()
    short = budget.limit, budget.room
    clock.now_s += 1e9

    assert short == (1, True)
    assert budget.limit == LIMIT // 2


def test_there_is_room_until_the_limit_is_reached_by_whomever(
    monkeypatch: pytest.MonkeyPatch, budget: Budget
) -> None:
    found = []
    for held in (0, LIMIT // 2 - 1, LIMIT // 2, LIMIT):
        monkeypatch.setattr(SessionFile, "open_now", set(range(held)))
        found.append(budget.room)

    assert found == [True, True, False, False]


def hot(tail: DirectoryTail) -> set[str]:
    """Names of the files that it holds open."""
    return {f"{stem}.jsonl.__partial__" for stem in tail._following.sessions.files._lanes}


async def silent_until(tail: DirectoryTail, condition: Callable[[], bool]) -> None:
    """Pull, and expect no record, until the condition holds."""
    with anyio.fail_after(30), anyio.CancelScope() as scope:
        tail._gate = lambda _: scope.cancel() if condition() else None
        raise AssertionError(await anext(tail))
    tail._gate = lambda _: None


async def at_rest(tail: DirectoryTail) -> None:
    """Give the turns that are due, verdicts too."""
    await silent_until(tail, lambda: resting(tail, judged=True))


def named(actors: list[Actor], names: set[str]) -> list[Actor]:
    return [actor for actor in actors if actor.wal.name in names]


@pytest.mark.anyio
async def test_more_live_sessions_than_descriptors_leave_half_of_these_to_the_program(
    store: SessionStore, actors: list[Actor], budget: Budget
) -> None:
    async with store, store.tail_all() as one, store.tail_all() as two:
        for word in (None, "one", "two"):
            for actor in actors:
                actor.say(word) if word else None
            for tail in (one, two):
                got = await heard(tail, len(actors))
                assert {who: records[-1] for who, records in got.items()} == {
                    actor.id: actor.records[-1] for actor in actors
                }
                assert one.open_files + two.open_files <= len(SessionFile.open_now) <= LIMIT // 2
        for actor in actors:
            actor.close()
        for tail in (one, two):
            assert len(await heard(tail, len(actors))) == len(actors)


@pytest.mark.anyio
async def test_sessions_without_a_descriptor_take_none_from_those_that_are_hot(
    store: SessionStore,
    actors: list[Actor],
    budget: Budget,
    opened: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(holding, "COLD_S", 1e9)
    async with store, store.tail_all() as tail:
        got = await heard(tail, len(actors))
        names = hot(tail)
        assert len(names) == LIMIT // 2
        busy = named(actors, names)
        others = [actor for actor in actors if actor not in busy]
        opened.clear()
        for _ in range(3):
            for actor in (*busy, *others):
                actor.say("word")
            for session_id, records in (await heard(tail, len(actors))).items():
                got[session_id] += records

        assert got == owed(*actors)
        assert hot(tail) == names
        assert names.isdisjoint(opened)


@pytest.mark.anyio
async def test_a_session_that_is_cold_gives_its_descriptor_to_one_that_is_written(
    store: SessionStore,
    actors: list[Actor],
    budget: Budget,
    opened: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # No second look at those that were written a moment ago, which would take them back.
    monkeypatch.setattr(survey, "_FRESH_NS", 0)
    async with store, store.tail_all() as tail:
        await heard(tail, len(actors))
        await at_rest(tail)
        writes = named(actors, {actor.wal.name for actor in actors} - hot(tail))[:10]
        monkeypatch.setattr(holding, "COLD_S", -1)
        for actor in writes:
            actor.say("word")
        await heard(tail, len(writes))
        await at_rest(tail)
        monkeypatch.setattr(holding, "COLD_S", 1e9)
        opened.clear()
        for actor in writes:
            actor.say("word")
        await heard(tail, len(writes))

        assert named(writes, hot(tail)) == writes
        assert not opened
        assert len(SessionFile.open_now) <= LIMIT // 2


@pytest.mark.anyio
async def test_files_that_are_opened_in_threads_stay_within_the_budget(
    store: SessionStore,
    actors: list[Actor],
    budget: Budget,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, most = SessionFile.__init__, 0

    def slow(self: SessionFile, path: Any, *, cached: bool = False, remote: bool = False) -> None:
        nonlocal most
        self.fd = -1
        if cached:
            raise BlockingIOError(errno.EAGAIN, "not in the cache")
        plain(self, path, remote=remote)
        most = max(most, len(SessionFile.open_now))

    monkeypatch.setattr(SessionFile, "__init__", slow)
    for actor in actors:  # both names, which are both opened
        actor.final.write_bytes(actor.whole)
    async with store, store.tail_all(include_closed=True) as tail:
        await heard(tail, len(actors))

    # Each opens both names, one of them twice: three, for a moment. Who finds room may find it for
    # one only; and two go on where there is none.
    assert most <= LIMIT // 2 + 2 + 2 * 3


@pytest.mark.anyio
async def test_two_consumers_do_not_take_the_descriptors_of_each_other(
    store: SessionStore,
    actors: list[Actor],
    budget: Budget,
    opened: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(holding, "COLD_S", 1e9)
    few = actors[: LIMIT // 4]
    for actor in actors[LIMIT // 4 :]:
        actor.kill()
        actor.wal.unlink()
    async with store, store.tail_all() as one, store.tail_all() as two:
        for tail in (one, two):
            await heard(tail, len(few))
        opened.clear()
        for _ in range(5):
            for actor in few:
                actor.say("word")
            for tail in (one, two):
                await heard(tail, len(few))

        assert not opened
        assert (one.open_files, two.open_files) == (len(few), len(few))


@pytest.mark.anyio
async def test_descriptors_that_were_gone_for_a_moment_six_times_are_used_again(
    store: SessionStore, budget: Budget, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "RETRY_S", 0.01)
    actors = [Actor(store.directory, UUID(int=number + 1)).open() for number in range(12)]
    taken = False
    plain = SessionFile.__init__

    def limited(self: SessionFile, path: Any, **options: Any) -> None:
        self.fd = -1
        if taken:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        plain(self, path, **options)

    monkeypatch.setattr(SessionFile, "__init__", limited)
    async with store, store.tail_all() as tail:
        got = await heard(tail, len(actors))
        for number in range(6):
            new = Actor(store.directory, UUID(int=number + 101)).open()
            actors.append(new)
            taken = True
            await silent_until(tail, lambda: bool(tail.errors))
            taken = False
            got |= await heard(tail, 1)
        least = budget.limit
        clock.now_s += 60
        for actor in actors:
            actor.say("word")
        for session_id, records in (await heard(tail, len(actors))).items():
            got[session_id] += records

        assert (got, tail.errors) == (owed(*actors), {})
        assert least == 1
        assert budget.limit == LIMIT // 2
        assert tail.open_files == len(actors)


@pytest.mark.anyio
@pytest.mark.parametrize("opens", ["at hand", "cold"])
@pytest.mark.parametrize("max_open", [1, None])
async def test_on_a_cold_disk_few_more_files_are_open_than_may_be(
    budget: Budget,
    actors: list[Actor],
    monkeypatch: pytest.MonkeyPatch,
    max_open: int | None,
    opens: str,
) -> None:
    most = 0
    read_now = SessionFile.read_now

    def counted(file: SessionFile, offset: int, size: int) -> bytes:
        nonlocal most
        most = max(most, len(SessionFile.open_now))
        return read_now(file, offset, size)

    monkeypatch.setattr(SessionFile, "read_cached", lambda *_: None)
    monkeypatch.setattr(SessionFile, "read_now", counted)
    with cold_disk(float(opens == "cold"), 0):
        async with SessionStore(actors[0].wal.parent).tail_all(max_open=max_open) as tail:
            assert await heard(tail, len(actors)) == owed(*actors)

    # Two more, for as long as threads work for them; who opens has three for a moment.
    assert 1 <= most <= (max_open or budget.limit) + 2 * 3
    with anyio.fail_after(30):
        while SessionFile.open_now:
            await anyio.sleep(0.001)


@pytest.mark.anyio
async def test_who_waited_for_a_descriptor_is_opened_though_no_thread_comes_back_for_it(
    budget: Budget, actors: list[Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = {str(actor.wal) for actor in actors[::15]}
    read_cached = SessionFile.read_cached

    def some(file: SessionFile, offset: int, size: int) -> bytes | None:
        return None if str(file.path) in cold else read_cached(file, offset, size)

    monkeypatch.setattr(SessionFile, "read_cached", some)
    async with SessionStore(actors[0].wal.parent).tail_all() as tail:
        assert await heard(tail, len(actors)) == owed(*actors)


@pytest.mark.anyio
async def test_a_file_that_hangs_holds_up_no_other_where_descriptors_are_short(
    budget: Budget, actors: list[Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    hung, *others = actors
    blocked = Blocked(monkeypatch, hung)
    monkeypatch.setattr(SessionFile, "read_cached", lambda *_: None)
    async with SessionStore(hung.wal.parent).tail_all() as tail:
        assert await heard(tail, len(others)) == owed(*others)
        await blocked.one_waits(tail)
        blocked.released.set()

        assert await heard(tail, 1) == owed(hung)


@pytest.mark.anyio
async def test_sessions_that_fail_and_are_told_of_hold_no_more_than_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actors = [Actor(tmp_path, UUID(int=n + 1, version=4)).open() for n in range(10)]
    plain, tried = SessionFile.read_cached, set[Path]()

    def failing(file: SessionFile, offset: int, size: int) -> bytes | None:
        if size <= WINDOW_BYTES:
            return plain(file, offset, size)  # what was read before is at hand
        tried.add(file.path)
        raise OSError(errno.EIO, "no such sector")

    monkeypatch.setattr(SessionFile, "read_cached", failing)
    async with SessionStore(tmp_path).tail_all(max_open=2) as tail:
        for _ in range(4):
            with anyio.fail_after(30):
                while len(tried) < len(actors):
                    assert await nothing_more(tail, 0.001)
                    assert tail.open_files <= 2 + holding.LEAST_BRIEF
            tried.clear()
            for actor in actors:
                actor.say("more")
        assert len(tail.errors) == len(actors)
        monkeypatch.setattr(SessionFile, "read_cached", plain)

        assert await heard(tail, sum(len(actor.records) for actor in actors)) == owed(*actors)


def test_a_process_is_let_have_as_many_files_open_as_it_may() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard - 1, hard))
        raise_limit()

        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

"""A mark names a session that has changed, for each who follows it; however much happens, once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from followers import follow, watched, write
from sessiontail.errors import PersistenceError
from sessiontail.system.stats import StoreStats
from sessiontail.system.subscriptions import Followers, Subscription

pytestmark = pytest.mark.anyio


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return directory


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
async def test_marks_of_a_slow_follower_take_no_room(directory: Path) -> None:
    async with watched(directory) as watch:
        subscription = follow(watch)
        for _ in range(50):
            write(directory / "a.jsonl")
            watch.drain()

        assert subscription.dirty == {"a": True}
        subscription.close()


async def test_waiting_ends_without_a_mark_when_nothing_happens(directory: Path) -> None:
    async with watched(directory) as watch:
        subscription = follow(watch, "a")

        assert await subscription.wait(0.01) is False
        subscription.close()


def of(stem: str | None) -> Subscription:
    return Subscription(stem, StoreStats())


def marks(*subscriptions: Subscription) -> list[dict[str, bool]]:
    return [subscription.take()[0] for subscription in subscriptions]


@pytest.mark.parametrize(
    ("may_have_ended", "marked"),
    [([False], False), ([True], True), ([True, False], True), ([False, True, False], True)],
)
def test_an_end_that_was_marked_is_not_unmarked_by_what_comes_later(
    may_have_ended: list[bool], *, marked: bool
) -> None:
    subscription = of("a")
    for one in may_have_ended:
        subscription.mark("a", may_have_ended=one)

    assert subscription.take() == ({"a": marked}, False)


def test_what_was_taken_is_not_taken_again() -> None:
    subscription = of(None)
    subscription.mark("a", may_have_ended=True)
    subscription.mark_everything()
    first = subscription.take()
    subscription.mark("b", may_have_ended=False)

    assert first == ({"a": True}, True)
    assert [subscription.take(), subscription.take()] == [({"b": False}, False), ({}, False)]


@pytest.mark.parametrize(
    ("act", "marked"),
    [
        (lambda s: s.mark("a", may_have_ended=False), True),
        (lambda s: s.mark_everything(), True),
        (lambda s: s.fail(PersistenceError("unreadable")), False),
        (lambda s: s.signal.set(), False),
    ],
    ids=["mark", "everything", "error", "signal"],
)
@pytest.mark.parametrize("first", ["waits", "happens"])
async def test_who_waits_or_comes_to_wait_is_woken_and_told_whether_there_is_a_mark(
    act: Callable[[Subscription], None], first: str, *, marked: bool
) -> None:
    subscription, found = of("a"), list[bool]()

    async def wait() -> None:
        found.append(await subscription.wait())

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            if first == "happens":
                act(subscription)
            tasks.start_soon(wait)
            await wait_all_tasks_blocked()
            if first == "waits":
                act(subscription)

    assert found == [marked]


async def test_an_error_that_is_over_is_forgotten_and_wakes_nobody() -> None:
    subscription = of("a")
    subscription.fail(PersistenceError("unreadable"))
    await subscription.signal.wait()
    subscription.fail(None)
    with anyio.move_on_after(0.01) as scope:
        await subscription.wait()

    assert scope.cancelled_caught
    assert subscription.error is None


def test_who_closes_leaves() -> None:
    left: list[Subscription] = []
    subscription = Subscription("a", StoreStats(), leave=left.append)
    subscription.close()

    assert left == [subscription]
    of("a").close()  # one that nobody marks


def test_a_change_is_marked_for_those_who_follow_that_session_and_for_who_follows_all() -> None:
    followers = Followers()
    one, other, every = of("a"), of("b"), of(None)
    for subscription in (one, other, every):
        followers.add(subscription)
    followers.mark("a", may_have_ended=True)
    followers.mark("c", may_have_ended=False)

    assert marks(one, other, every) == [{"a": True}, {}, {"a": True, "c": False}]


def test_what_a_survey_found_is_news_to_those_only_who_know_what_lay_there() -> None:
    followers = Followers()
    one, newcomer, every = of("a"), of(None), of(None)
    every.has_stock = True
    for subscription in (one, newcomer, every):
        followers.add(subscription)
    followers.mark("a", may_have_ended=False, surveyed=True)
    found = marks(one, newcomer, every)
    followers.mark("a", may_have_ended=False)

    assert found == [{"a": False}, {}, {"a": False}]
    assert marks(one, newcomer, every) == [{"a": False}] * 3


def test_who_follows_and_what_is_known_at_any_time() -> None:
    followers = Followers()
    found = []

    def note() -> None:
        found.append(([*followers], followers.stems, followers.want_all, followers.follow("a")))

    one, two, every = of("a"), of("a"), of(None)
    note()
    for subscription in (one, two, every):
        followers.add(subscription)
    note()
    removed = [followers.remove(subscription) for subscription in (one, one, every, every)]
    note()
    removed.append(followers.remove(two))
    note()

    assert removed == [True, False, True, False, True]
    assert found == [
        ([], [], False, 0),
        ([every, one, two], ["a"], True, 2),
        ([two], ["a"], False, 1),
        ([], [], False, 0),
    ]


def test_lost_marks_and_errors_are_told_to_everybody() -> None:
    followers, error = Followers(), PersistenceError("unreadable")
    subscriptions = of("a"), of("a"), of("b"), of(None)
    for subscription in subscriptions:
        followers.add(subscription)
    followers.mark_everything()
    followers.fail(error)

    assert [(one.everything, one.error) for one in subscriptions] == [(True, error)] * 4
    followers.fail(None)
    assert [one.error for one in subscriptions] == [None] * 4


def test_what_several_followers_count_into_is_counted_into_once_while_one_is_left() -> None:
    followers, shared, own = Followers(), StoreStats(), StoreStats()
    counts = []
    for stats, change in ((shared, 1), (shared, 1), (own, 1), (shared, -1), (shared, -1)):
        followers.count_into(stats, change)
        counts.append([id(one) for one in followers.stats])

    assert counts == [
        [id(shared)],
        [id(shared)],
        [id(shared), id(own)],
        [id(shared), id(own)],
        [id(own)],
    ]

"""A store's directory is watched for as long as somebody holds it, on each loop by itself."""

from __future__ import annotations

import threading
from pathlib import Path

import anyio
import pytest

from followers import instances
from sessiontail.errors import PersistenceError
from sessiontail.system.place import Place
from sessiontail.system.watching import watch_of

pytestmark = pytest.mark.anyio


def place_of(directory: Path, *, events: bool = True) -> Place:
    return Place(directory, sweep_interval_s=60, poll_interval_s=0.01, events=events)


async def test_a_place_that_nobody_holds_takes_nothing_and_says_nothing(tmp_path: Path) -> None:
    before = instances()
    place = place_of(tmp_path / "absent", events=False)

    assert (place.polled_because, instances()) == (None, before)


@pytest.mark.parametrize(("events", "because"), [(True, None), (False, "events are switched off")])
async def test_it_says_why_it_is_polled_while_it_is_held(
    tmp_path: Path, because: str | None, *, events: bool
) -> None:
    place = place_of(tmp_path, events=events)
    await place.hold()
    held = place.polled_because
    place.release()

    assert (held, place.polled_because) == (because, None)


async def test_held_twice_it_is_watched_until_both_let_go(tmp_path: Path) -> None:
    before = instances()
    place = place_of(tmp_path)
    found = []
    for step in (place.hold, place.hold):
        await step()
        found.append(instances())
    for release in (place.release, place.release):
        release()
        found.append(instances())

    assert found == [before + 1, before + 1, before + 1, before]


async def test_places_of_one_directory_share_a_watch_if_they_watch_in_the_same_way(
    tmp_path: Path,
) -> None:
    one, other, polled = place_of(tmp_path), place_of(tmp_path), place_of(tmp_path, events=False)
    watches = [await place.watch() for place in (one, other, polled)]
    for watch in watches:
        watch.release()

    assert watches[0] is watches[1] is not watches[2]


async def test_another_directory_is_watched_in_the_same_way(tmp_path: Path) -> None:
    place = place_of(tmp_path / "one", events=False)
    watch = await place.watch(tmp_path / "other")
    same = await watch_of(
        tmp_path / "other", sweep_interval_s=60, poll_interval_s=0.01, events=False
    )
    for one in (watch, same):
        one.release()

    assert watch is same
    assert (watch.directory, watch.interval_s) == (tmp_path / "other", 0.01)


@pytest.mark.parametrize("first", ["here", "there"])
async def test_held_on_two_event_loops_each_lets_go_of_its_own(
    tmp_path: Path, anyio_backend_name: str, first: str
) -> None:
    before = instances()
    place = place_of(tmp_path)
    held, released = threading.Event(), threading.Event()

    async def main() -> None:
        await place.hold()
        held.set()
        await anyio.to_thread.run_sync(released.wait, 30)
        place.release()

    await place.hold()
    other = threading.Thread(target=anyio.run, args=(main,), kwargs={"backend": anyio_backend_name})
    other.start()
    await anyio.to_thread.run_sync(held.wait, 30)
    both = instances()
    if first == "here":
        place.release()
    released.set()
    await anyio.to_thread.run_sync(other.join, 30)
    if first == "there":
        assert [watch.here for watch in place._held] == [True]
        place.release()

    assert (both, instances()) == (before + 2, before)
    assert place.polled_because is None


async def test_left_more_often_than_held_it_says_so(tmp_path: Path) -> None:
    place = place_of(tmp_path)
    await place.hold()
    place.release()

    with pytest.raises(PersistenceError, match="left more often than it was entered"):
        place.release()

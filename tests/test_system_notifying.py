"""One inotify instance tells all who watch on an event loop, and goes with the last of them."""

from __future__ import annotations

import errno
import gc
import sys
import threading
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import anyio
import pytest

from actors import Actor, drain, overflow, take, where_the_user_has_no
from followers import instances, until
from sessiontail import SessionNotFound, tail_session
from sessiontail.system import notifying
from sessiontail.system.inotify import CREATE, DELETE, DELETE_SELF, IGNORED, MODIFY
from sessiontail.system.notifying import Notifier, hold_notifier

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's"),
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return directory


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


class Noted:
    """Who watches: notes what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str, int]] = []
        self.overflows = 0

    def told(self, watch: int, name: str, mask: int) -> None:
        self.events.append((watch, name, mask))

    def overflowed(self) -> None:
        self.overflows += 1

    @property
    def names(self) -> list[str]:
        return [name for _, name, _ in self.events]


@pytest.fixture
async def notifier() -> AsyncIterator[Notifier]:
    notifier = hold_notifier()
    yield notifier
    notifier.release()


async def test_a_loop_has_one_until_its_last_holder_lets_go() -> None:
    before = instances()
    one, two = hold_notifier(), hold_notifier()
    one.release()
    held = instances()
    two.release()
    last = hold_notifier()
    last.release()

    assert one is two is not last
    assert (held, instances()) == (before + 1, before)


async def test_what_happens_is_told_by_itself_to_all_who_watch(
    notifier: Notifier, directory: Path
) -> None:
    one, two = Noted(), Noted()
    watches = {notifier.watch(str(directory), CREATE, sink) for sink in (one, two, one)}
    (directory / "a").touch()
    await until(lambda: bool(one.events))

    assert one.events == two.events == [(*watches, "a", CREATE)]


async def test_what_happens_to_a_name_is_told_at_once_and_in_the_order_of_the_names(
    notifier: Notifier, directory: Path
) -> None:
    noted = Noted()
    watch = notifier.watch(str(directory), CREATE | MODIFY | DELETE, noted)
    for name in "ab":
        (directory / name).write_bytes(b"x")
    (directory / "a").unlink()
    more = notifier.drain()

    assert noted.events == [
        (watch, "a", CREATE | MODIFY | DELETE),
        (watch, "b", CREATE | MODIFY),
    ]
    assert more is False


async def test_who_watches_no_longer_is_told_nothing_and_others_are(
    notifier: Notifier, directory: Path
) -> None:
    one, two = Noted(), Noted()
    for sink in (one, two):
        watch = notifier.watch(str(directory), CREATE, sink)
    for _ in range(2):  # again is no error
        notifier.unwatch(watch, one)
    (directory / "a").touch()
    notifier.drain()
    notifier.unwatch(watch, two)
    (directory / "b").touch()
    notifier.drain()

    assert (one.events, two.names) == ([], ["a"])
    assert "inotify wd" not in Path(f"/proc/self/fdinfo/{notifier._inotify.fd}").read_text()


async def test_what_is_gone_is_told_and_its_watch_is_nobodys(
    notifier: Notifier, directory: Path
) -> None:
    noted = Noted()
    path = directory / "a"
    path.touch()
    watch = notifier.watch(str(path), DELETE_SELF, noted)
    path.unlink()
    notifier.drain()
    notifier.unwatch(watch, noted)

    assert noted.events == [(watch, "", DELETE_SELF | IGNORED)]


async def test_an_overflow_is_told_once_to_each_however_much_it_watches(
    notifier: Notifier, directory: Path
) -> None:
    one, two = Noted(), Noted()
    other = directory / "other"
    other.mkdir()
    for path, sink in ((directory, one), (other, one), (other, two)):
        notifier.watch(str(path), MODIFY, sink)
    overflow(directory)
    while notifier.drain():
        pass

    assert (one.overflows, two.overflows) == (1, 1)


async def test_what_cannot_be_watched_is_an_error_and_watched_by_nobody(
    notifier: Notifier, directory: Path
) -> None:
    noted = Noted()
    with pytest.raises(FileNotFoundError):
        notifier.watch(str(directory / "absent"), CREATE, noted)
    (directory / "absent").mkdir()
    notifier.drain()

    assert noted.events == []


async def test_in_a_rush_that_never_ends_everything_is_told(
    notifier: Notifier, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "_RUSH_GAP_S", 1e9)
    monkeypatch.setattr(notifying, "RUSH_PAUSE_S", 0.001)
    noted = Noted()
    notifier.watch(str(directory), CREATE, noted)
    names = [str(number) for number in range(3 * notifying._RUSH_WAKES)]
    wakes = []

    def told(name: str) -> bool:
        return name in noted.names

    for name in names:
        (directory / name).touch()
        await until(partial(told, name))
        wakes.append(notifier._rush)

    assert noted.names == names
    assert max(wakes) >= notifying._RUSH_WAKES


async def test_one_that_is_let_go_in_the_pause_of_a_rush_tells_nothing_more(
    directory: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend_name: str
) -> None:
    monkeypatch.setattr(notifying, "RUSH_PAUSE_S", 60)
    before = instances()
    notifier, noted = hold_notifier(), Noted()
    notifier.watch(str(directory), CREATE, noted)
    notifier._rush, notifier._drained_s = notifying._RUSH_WAKES, time.monotonic() + 60
    (directory / "a").touch()
    await until(lambda: notifier._rush > notifying._RUSH_WAKES)
    notifier.release()
    if anyio_backend_name == "asyncio":
        notifier._go_on()  # which its loop will do when the pause is over

    assert (noted.events, notifier.drain(), instances()) == ([], False, before)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_one_whose_loop_has_ended_is_given_back_by_its_last_holder(backend: str) -> None:
    async def main() -> Notifier:
        return hold_notifier()

    before = instances()
    notifier = anyio.run(main, backend=backend)
    notifier.release()

    assert instances() == before
    other = anyio.run(main, backend=backend)
    assert other is not notifier
    other.release()


def test_two_loops_have_one_each() -> None:
    found: list[Notifier] = []
    both = threading.Barrier(2)

    async def main() -> None:
        notifier = hold_notifier()
        found.append(notifier)
        await anyio.to_thread.run_sync(both.wait, 30)
        notifier.release()

    loops = [
        threading.Thread(target=anyio.run, args=(main,), kwargs={"backend": backend})
        for backend in ("asyncio", "trio")
    ]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join(30)

    assert len({id(notifier) for notifier in found}) == 2


_NONE_LEFT = """
import sys, anyio
from sessiontail.system.notifying import hold_notifier
async def main():
    for _ in range(2):
        try:
            hold_notifier()
        except OSError as error:
            print(error.errno)
anyio.run(main, backend=sys.argv[1])
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_where_no_instance_is_to_be_had_it_is_an_error_each_time(backend: str) -> None:
    said = where_the_user_has_no("max_inotify_instances", _NONE_LEFT, backend)

    assert said == f"{errno.EMFILE}\n" * 2

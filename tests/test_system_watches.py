"""A directory is watched, or the open files of those who follow it, as they need it."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors import where_the_user_has_no
from followers import follow, instances, watched, write
from samples import ID
from sessiontail.system import inotify
from sessiontail.system.notifying import Notifier, hold_notifier
from sessiontail.system.stamps import FileId
from sessiontail.system.stats import StoreStats
from sessiontail.system.subscriptions import Followers, Subscription
from sessiontail.system.watches import Mode, Watches, may_end

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's"),
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return directory


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


class Bed:
    """The watches of one directory, those who follow it, and what they are told."""

    def __init__(self, directory: Path, notifier: Notifier | None, because: str | None) -> None:
        self.directory = directory
        self.followers = Followers()
        self.watches = Watches(directory, self.followers, self, because)
        self.watches.notifier = notifier
        self.events: list[tuple[str | None, str]] = []

    def told(self, watch: int, name: str, _: int) -> None:
        self.events.append((self.watches.stem_of(watch), name))

    def overflowed(self) -> None:
        pytest.fail("nothing here is that much")

    def follow(self, stem: str | None) -> Subscription:
        subscription = Subscription(stem, StoreStats())
        self.followers.add(subscription)
        return subscription

    def happened(self) -> list[tuple[str | None, str]]:
        """Whose file changed, and under what name in the directory, since this was asked."""
        self.watches.drain()
        events, self.events = self.events, []
        return events


@pytest.fixture
async def bed(directory: Path) -> AsyncIterator[Bed]:
    before = instances()
    bed = Bed(directory, hold_notifier(), None)
    yield bed
    bed.watches.close()
    bed.watches.close()  # again is no error

    assert instances() == before


@pytest.mark.parametrize(
    ("mask", "may_have_ended"),
    [
        (inotify.MODIFY, False),
        (inotify.CREATE, False),
        (inotify.IGNORED, False),
        (inotify.CLOSE_WRITE, True),
        (inotify.ATTRIB, True),  # a link less
        (inotify.MOVED_FROM, True),
        (inotify.MOVED_TO, True),
        (inotify.MOVE_SELF, True),
        (inotify.DELETE, True),
        (inotify.DELETE_SELF, True),
        (inotify.CREATE | inotify.MODIFY | inotify.CLOSE_WRITE, True),
    ],
)
def test_a_file_may_have_ended_when_it_was_closed_renamed_or_deleted(
    mask: int, *, may_have_ended: bool
) -> None:
    assert may_end(mask) is may_have_ended


async def test_a_directory_is_watched_while_somebody_needs_that(bed: Bed) -> None:
    watches, found = bed.watches, []

    def note() -> None:
        began = [watches.fit(), watches.fit()]
        found.append((began, watches.mode, watches.watch is not None))

    note()
    one = bed.follow("a")
    note()
    bed.followers.remove(one)
    note()

    assert found == [
        ([False, False], Mode.NARROWED, False),
        ([True, False], Mode.WATCHED, True),
        ([False, False], Mode.NARROWED, False),
    ]


async def test_which_directory_is_watched_is_known_and_what_happens_in_it(bed: Bed) -> None:
    bed.follow(None)
    bed.watches.fit()
    (bed.directory / "a.jsonl").touch()
    happened = bed.happened()
    identity = bed.watches.directory_id
    bed.watches.forget_directory()
    (bed.directory / "b.jsonl").touch()

    assert happened == [(None, "a.jsonl")]
    assert bed.happened() == []
    assert (identity, bed.watches.directory_id) == (FileId.of(bed.directory.stat()), None)


@pytest.mark.parametrize("what", ["nothing", "file"])
async def test_where_there_is_no_directory_it_is_watched_once_there_is_one(
    bed: Bed, what: str
) -> None:
    bed.directory.rmdir()
    if what == "file":
        bed.directory.touch()
    bed.follow("a")
    found = bed.watches.fit(), bed.watches.mode, bed.watches.trusted
    bed.directory.unlink(missing_ok=True)
    bed.directory.mkdir()

    assert found == (False, Mode.ABSENT, False)
    assert (bed.watches.fit(), bed.watches.mode, bed.watches.trusted) == (True, Mode.WATCHED, True)


async def test_what_is_polled_is_watched_by_nothing(directory: Path) -> None:
    bed = Bed(directory, None, "events are switched off")
    bed.follow("a")
    with (directory / "a.jsonl").open("wb") as file:
        bed.watches.narrow(file.fileno(), "a")

    assert (bed.watches.fit(), bed.watches.mode) == (False, Mode.POLLED)
    assert (bed.watches.trusted, bed.happened()) == (False, [])
    bed.watches.close()


async def test_two_files_of_one_session_are_both_told_of(bed: Bed) -> None:
    names = [bed.directory / "a.jsonl", bed.directory / "a.jsonl.__partial__"]
    for _ in names:
        bed.follow("a")
    with names[0].open("wb", buffering=0) as one, names[1].open("wb", buffering=0) as other:
        modes = []
        for file in (one, other, one, other):
            bed.watches.narrow(file.fileno(), "a")
            bed.watches.fit()
            modes.append(bed.watches.mode)
        bed.happened()
        one.write(b"x\n")
        other.write(b"x\n")
        happened = bed.happened()
        bed.watches.leave("a")
        bed.watches.narrow(other.fileno(), "a")
        bed.watches.fit()

    assert modes == [Mode.NARROWED, Mode.WATCHED, Mode.WATCHED, Mode.WATCHED]
    assert happened == [(None, name.name) for name in names]
    assert bed.watches.mode is Mode.NARROWED


async def test_all_who_follow_are_served_by_their_open_files_or_by_the_directory(bed: Bed) -> None:
    modes = []
    bed.follow("a")
    bed.follow("b")
    with open_files(bed, "a", "b") as (a, b):
        for fd, stem in ((a, "a"), (b, "b")):
            bed.watches.narrow(fd, stem)
            bed.watches.fit()
            modes.append(bed.watches.mode)
        os.write(b, b"x")
        happened = bed.happened()
        bed.watches.widen("a")
        bed.watches.fit()
        modes.append(bed.watches.mode)

    assert modes == [Mode.WATCHED, Mode.NARROWED, Mode.WATCHED]
    assert happened == [("b", "")]


@contextmanager
def open_files(bed: Bed, *stems: str) -> Iterator[list[int]]:
    """Descriptors of WALs that are open for writing."""
    flags = os.O_WRONLY | os.O_CREAT
    fds = [os.open(bed.directory / f"{stem}.jsonl.__partial__", flags) for stem in stems]
    yield fds
    for fd in fds:
        os.close(fd)


@pytest.mark.parametrize("followed", [(), (None,), ("a", None), ("b",)])
async def test_a_file_that_nobody_follows_alone_is_not_watched_by_itself(
    bed: Bed, followed: tuple[str | None, ...]
) -> None:
    for stem in followed:
        bed.follow(stem)
    with open_files(bed, "a") as (fd,):
        bed.watches.narrow(fd, "a")
        os.write(fd, b"x")

    assert bed.happened() == []


async def test_a_file_that_is_opened_anew_is_watched_instead_of_the_one_before(bed: Bed) -> None:
    bed.follow("a")
    with open_files(bed, "a", "b") as (before, after):
        bed.watches.narrow(before, "a")
        bed.watches.narrow(after, "a")
        bed.happened()
        os.write(before, b"x")
        stale = bed.happened()
        os.write(after, b"x")

        assert (stale, bed.happened()) == ([], [("a", "")])


async def test_one_file_under_two_names_is_the_first_ones_and_the_other_is_not_deaf(
    bed: Bed,
) -> None:
    bed.follow("a")
    bed.follow("b")
    with open_files(bed, "a") as (fd,):
        (bed.directory / "b.jsonl").hardlink_to(bed.directory / "a.jsonl.__partial__")
        bed.watches.narrow(fd, "a")
        bed.watches.narrow(fd, "b")
        bed.watches.fit()
        bed.happened()
        os.write(fd, b"x")
        happened = bed.happened()

    assert bed.watches.mode is Mode.WATCHED
    assert ("a", "") in happened
    assert (None, "a.jsonl.__partial__") in happened


async def test_a_descriptor_that_was_closed_meanwhile_leaves_the_directory_watched(
    bed: Bed,
) -> None:
    bed.follow("a")
    bed.watches.fit()
    with open_files(bed, "a") as (fd,):
        pass
    bed.watches.narrow(fd, "a")
    bed.watches.widen("a")  # which was not narrowed

    assert bed.watches.mode is Mode.WATCHED


_NONE_LEFT = """
import sys, anyio
from pathlib import Path
from sessiontail.system.notifying import hold_notifier
from sessiontail.system.stats import StoreStats
from sessiontail.system.subscriptions import Followers, Subscription
from sessiontail.system.watches import Watches
async def main():
    followers = Followers()
    watches = Watches(Path(sys.argv[1]), followers, None, None)
    watches.notifier = hold_notifier()
    followers.add(Subscription("a", StoreStats()))
    print(watches.fit(), watches.mode.value, watches.polled_because)
    watches.close()
anyio.run(main)
"""


async def test_where_no_watch_is_left_it_is_polled_and_says_why(directory: Path) -> None:
    said = where_the_user_has_no("max_inotify_watches", _NONE_LEFT, directory)

    assert said == "False polled the directory cannot be watched: No space left on device\n"

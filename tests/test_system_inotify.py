"""The kernel's events of real files, as they are."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import overflow, where_the_user_has_no
from sessiontail.system import inotify
from sessiontail.system.inotify import Inotify, InotifyEvent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

ALL = inotify.MODIFY | inotify.CREATE | inotify.MOVED_FROM | inotify.MOVED_TO | inotify.DELETE


@pytest.fixture
def notifier() -> Iterator[Inotify]:
    notifier = Inotify()
    yield notifier
    notifier.close()


def test_what_happens_in_a_directory_is_told_in_order_with_its_names(
    notifier: Inotify, tmp_path: Path
) -> None:
    watch = notifier.add(str(tmp_path), ALL)
    odd = os.fsdecode(b"\xff\n")
    (tmp_path / "a").touch()
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").rename(tmp_path / odd)
    (tmp_path / odd).unlink()

    assert notifier.read() == (
        [
            InotifyEvent(watch, inotify.CREATE, "a"),
            InotifyEvent(watch, inotify.MODIFY, "a"),
            InotifyEvent(watch, inotify.MOVED_FROM, "a"),
            InotifyEvent(watch, inotify.MOVED_TO, odd),
            InotifyEvent(watch, inotify.DELETE, odd),
        ],
        False,
    )
    assert notifier.read() == ([], False)


def test_a_watched_file_has_events_without_a_name_until_it_is_gone(
    notifier: Inotify, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.touch()
    watch = notifier.add(str(path), inotify.MODIFY | inotify.DELETE_SELF)
    path.write_bytes(b"x")
    path.unlink()

    events, _ = notifier.read()

    assert [(event.watch, event.name) for event in events] == [(watch, "")] * 3
    assert [event.mask for event in events] == [
        inotify.MODIFY,
        inotify.DELETE_SELF,
        inotify.IGNORED,
    ]


def test_one_inode_has_one_watch_however_it_is_named(notifier: Inotify, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    os.link(path, tmp_path / "b")

    watches = {notifier.add(str(tmp_path / name), inotify.MODIFY) for name in "ab"}

    assert len(watches) == 1


def test_what_is_no_longer_watched_tells_nothing_and_may_be_removed_again(
    notifier: Inotify, tmp_path: Path
) -> None:
    watch = notifier.add(str(tmp_path), ALL)
    notifier.remove(watch)
    (tmp_path / "a").touch()
    notifier.remove(watch)

    assert notifier.read()[0] == [InotifyEvent(watch, inotify.IGNORED, "")]


def test_more_events_than_one_read_takes_are_read_on(notifier: Inotify, tmp_path: Path) -> None:
    notifier.add(str(tmp_path), inotify.CREATE)
    for number in range(500):
        (tmp_path / f"{number:0200}").touch()
    names: list[str] = []
    more = True
    reads = 0
    while more:
        events, more = notifier.read()
        names += [event.name for event in events]
        reads += 1

    assert names == [f"{number:0200}" for number in range(500)]
    assert reads > 1


@pytest.mark.parametrize(
    ("path", "mask", "number"),
    [
        ("absent", ALL, errno.ENOENT),
        ("file", ALL | inotify.ONLYDIR, errno.ENOTDIR),
    ],
)
def test_what_cannot_be_watched_is_an_error_with_its_number(
    notifier: Inotify, tmp_path: Path, path: str, mask: int, number: int
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is compared
        notifier.add(str(tmp_path / path), mask)

    assert caught.value.errno == number


@pytest.mark.parametrize(
    ("limit", "number"),
    [("max_inotify_watches", errno.ENOSPC), ("max_inotify_instances", errno.EMFILE)],
)
def test_where_the_user_has_all_there_are_it_is_an_error(
    tmp_path: Path, limit: str, number: int
) -> None:
    said = where_the_user_has_no(limit, _WATCH, tmp_path)

    assert said == f"{number}\n"


_WATCH = """
import sys
from sessiontail.system.inotify import MODIFY, Inotify
try:
    Inotify().add(sys.argv[1], MODIFY)
except OSError as error:
    print(error.errno)
"""


def test_a_queue_that_overflows_says_so(notifier: Inotify, tmp_path: Path) -> None:
    notifier.add(str(tmp_path), inotify.MODIFY)
    limit = overflow(tmp_path)
    events, more = [], True
    while more:
        some, more = notifier.read()
        events += some

    assert events[-1] == InotifyEvent(-1, inotify.Q_OVERFLOW, "")
    assert len(events) == limit + 1


def test_an_instance_is_given_back_once(tmp_path: Path) -> None:
    notifier = Inotify()
    fd = notifier.fd
    notifier.close()
    other = os.open(tmp_path, os.O_RDONLY)
    notifier.close()
    del notifier

    assert other == fd
    os.close(other)

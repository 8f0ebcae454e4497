from __future__ import annotations

import errno
import gc
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors import held_of
from sessiontail.errors import SessionNotFound
from sessiontail.system.files import SessionFile, change, explain, in_thread, open_file
from sessiontail.system.threads import MOST_AT_A_PLACE

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 1024  # 256 KiB


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_bytes(DATA)
    return path


def forget_pages(path: Path) -> None:
    """Take the file out of the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize(
    ("offset", "size"),
    [(0, 10), (0, len(DATA)), (4095, 2), (len(DATA) - 3, 100), (len(DATA), 1), (10**9, 1), (5, 0)],
)
async def test_bytes_are_the_same_from_the_page_cache_and_from_a_thread(
    path: Path, offset: int, size: int, *, cold: bool
) -> None:
    file = await open_file(path)
    if cold:
        forget_pages(path)

    data = await file.read(offset, size)
    cached = file.read_cached(offset, size)

    assert DATA[offset : offset + size].startswith(data)
    assert bool(data) == bool(DATA[offset : offset + size])
    assert cached in (None, DATA[offset : offset + size])
    assert file.read_now(offset, size) == DATA[offset : offset + size]
    file.close()


async def test_cold_bytes_are_not_waited_for_on_the_loop(path: Path) -> None:
    file = await open_file(path)
    with anyio.move_on_after(5) as patience:
        while file.read_cached(0, 4096) is not None:  # until the kernel has let go of it
            forget_pages(path)
            await checkpoint()
    if patience.cancelled_caught:
        pytest.skip("this file system keeps all in memory")

    data = await file.read(0, 4096)
    file.close()

    assert data == DATA[:4096]


async def test_a_file_system_that_cannot_say_is_read_in_threads(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    file = await open_file(path)
    monkeypatch.setattr(os, "preadv", refuse)

    assert await file.read(1, 3) == DATA[1:4]
    assert file.read_cached(1, 3) is None
    file.close()


async def test_a_device_that_fails_is_an_error_and_not_an_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    file = await open_file(path)
    monkeypatch.setattr(os, "preadv", fail)

    with pytest.raises(OSError, match="Input/output error"):
        await file.read(0, 1)
    file.close()


@pytest.mark.parametrize(
    ("make", "number"),
    [
        (os.mkfifo, errno.EINVAL),
        (os.mkdir, errno.EINVAL),
        (lambda path: path.symlink_to("a.jsonl"), errno.ELOOP),
        (str, errno.ENOENT),
    ],
    ids=["fifo", "directory", "symlink", "absent"],
)
async def test_what_is_no_regular_file_is_refused_at_once(
    path: Path, make: Callable[[Path], object], number: int
) -> None:
    odd = path.with_name("odd.jsonl")
    make(odd)

    with anyio.fail_after(30), pytest.raises(OSError) as caught:  # noqa: PT011 - its number is compared
        await open_file(odd)

    assert caught.value.errno == number
    assert str(odd) not in held_of(path.parent)


def test_a_dropped_file_gives_its_descriptor_back_without_a_warning(path: Path) -> None:
    file = SessionFile(path)
    assert held_of(path.parent) == [str(path)]

    del file
    gc.collect()

    assert held_of(path.parent) == []


def test_closing_twice_closes_nobody_elses_descriptor(path: Path) -> None:
    file = SessionFile(path)
    file.close()
    other = SessionFile(path)

    file.close()

    assert other.stat().st_size == len(DATA)
    other.close()


async def test_a_closed_file_is_an_error_and_not_an_end(path: Path) -> None:
    file = await open_file(path)
    file.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        await file.read(0, 1)


async def test_a_thread_gives_its_result_and_its_error() -> None:
    here = threading.get_ident()

    assert await in_thread(threading.get_ident) != here
    assert await change(threading.get_ident) != here
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 1, 0)


async def test_a_cancelled_caller_leaves_a_blocked_thread_at_once_and_leaks_nothing(
    path: Path,
) -> None:
    entered, release, left = (threading.Event() for _ in range(3))

    def slow_open() -> SessionFile:
        file = SessionFile(path)
        entered.set()
        release.wait(60)
        left.set()
        return file

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(in_thread, slow_open)
            while not entered.is_set():
                await checkpoint()
            group.cancel_scope.cancel()
        assert not left.is_set()
    finally:
        release.set()
    assert left.wait(30)
    with anyio.fail_after(30):
        while held_of(path.parent):
            await checkpoint()
            gc.collect()


async def test_a_cancelled_change_is_seen_to_its_end(path: Path) -> None:
    entered, release = threading.Event(), threading.Event()

    def slow_unlink() -> None:
        entered.set()
        release.wait(10)
        path.unlink()

    async with anyio.create_task_group() as group:
        group.start_soon(change, slow_unlink)
        while not entered.is_set():
            await checkpoint()
        group.cancel_scope.cancel()
        release.set()

    assert not path.exists()


async def test_no_more_than_its_share_of_threads_works_for_one_place_at_once() -> None:
    lock = threading.Lock()
    full = threading.Barrier(MOST_AT_A_PLACE)
    now = most = 0

    def work() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        full.wait(10)
        with lock:
            now -= 1

    async with anyio.create_task_group() as group:
        for _ in range(3 * MOST_AT_A_PLACE):
            group.start_soon(partial(in_thread, work, place="here"))

    assert most == MOST_AT_A_PLACE


async def test_a_place_that_hangs_holds_up_no_other() -> None:
    done = threading.Event()
    async with anyio.create_task_group() as group:
        for _ in range(3 * MOST_AT_A_PLACE):
            group.start_soon(partial(in_thread, done.wait, 10, place="hangs"))
        with anyio.fail_after(10):
            assert await in_thread(int, "1", place="other") == 1
            assert await in_thread(int, "2") == 2
        done.set()


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    table = {
        errno.ENOENT: "no such session file",
        errno.EACCES: "permission denied: look at its owner and mode",
        errno.ELOOP: "a symbolic link; give the file that it points to",
        errno.EMFILE: "too many open files: raise `ulimit -n`",
        errno.EIO: "Input/output error",
    }

    found = {number: explain(OSError(number, os.strerror(number)), tmp_path) for number in table}

    assert {number: str(error) for number, error in found.items()} == {
        number: f"{tmp_path}: {message}" for number, message in table.items()
    }
    assert type(found[errno.ENOENT]) is SessionNotFound

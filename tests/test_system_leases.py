"""A file is ours to delete while nobody writes it, nor is about to, and nobody else deletes."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors import may_lock
from sessiontail.errors import PersistenceError, SessionBusy
from sessiontail.system.files import SessionFile
from sessiontail.system.leases import (
    DirectoryBusy,
    is_written,
    lock,
    refuse_writers,
    release,
    turn,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")


@pytest.fixture
def wal(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl.__partial__"
    path.write_bytes(b"line\n")
    return path


@contextmanager
def another(code: str, path: Path, *fds: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has run a line with ``path`` and ends when it is left, or killed."""
    code = f"import fcntl, os, sys; path = sys.argv[1]; {code}; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=fds,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        yield process


OPENS = "file = open(path, 'ab')"
LOCKS = f"{OPENS}; fcntl.flock(file, fcntl.LOCK_EX)"
READS = "file = open(path, 'rb')"
TAKES_THE_TURN = "fd = os.open(path, os.O_RDONLY); fcntl.flock(fd, fcntl.LOCK_EX)"


def may_open(path: Path) -> bool:
    """Whether a writer could open the file now, without waiting for a lease."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize(
    ("code", "written"),
    [("pass", False), (READS, False), (OPENS, True), (LOCKS, True)],
    ids=["nobody", "read", "opened", "locked"],
)
def test_who_has_it_open_for_writing_shows_with_or_without_a_lock(
    wal: Path, code: str, *, written: bool
) -> None:
    with another(code, wal):
        found = is_written(wal)

    assert found is written
    assert is_written(wal) is False


def test_what_is_not_there_or_no_file_is_not_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    assert [is_written(tmp_path / name) for name in ("absent", "fifo", ".")] == [False] * 3


def test_to_ask_who_writes_leaves_nothing_that_a_writer_could_meet(wal: Path) -> None:
    is_written(wal)

    assert (may_open(wal), may_lock(wal)) == (True, True)


@pytest.mark.parametrize("code", [OPENS, LOCKS])
def test_a_file_that_somebody_has_open_for_writing_is_refused(wal: Path, code: str) -> None:
    file = SessionFile(wal)
    with (
        another(code, wal),
        pytest.raises(SessionBusy, match="somebody has it open for writing") as caught,
    ):
        refuse_writers(file.fd, wal)
    file.close()

    assert caught.value.path == wal


def test_who_would_open_it_for_writing_waits_until_it_is_let_go(wal: Path) -> None:
    file = SessionFile(wal)
    refuse_writers(file.fd, wal)
    refused = may_open(wal)
    begins, order = threading.Event(), list[str]()

    def write() -> None:
        begins.set()
        with wal.open("ab"):
            order.append("opened")

    writer = threading.Thread(target=write)
    writer.start()
    begins.wait(30)
    order.append("released")
    release(file)
    writer.join(30)

    assert (refused, order) == (False, ["released", "opened"])


def test_the_lock_is_the_writers_own(wal: Path) -> None:
    file = SessionFile(wal)
    before = may_lock(wal)
    lock(file.fd, wal)
    during = may_lock(wal)
    release(file)

    assert (before, during, may_lock(wal)) == (True, False, True)


def test_a_file_whose_lock_somebody_has_is_refused(wal: Path) -> None:
    file = SessionFile(wal)
    with (
        another(LOCKS, wal),
        pytest.raises(SessionBusy, match="another process holds it") as caught,
    ):
        lock(file.fd, wal)
    lock(file.fd, wal)  # whoever had it is gone
    release(file)

    assert caught.value.path == wal


def test_what_is_released_is_free_though_a_child_still_has_the_file(wal: Path) -> None:
    file = SessionFile(wal)
    refuse_writers(file.fd, wal)
    lock(file.fd, wal)
    with another("pass", wal, file.fd):
        held = may_open(wal), may_lock(wal)
        release(file)
        free = may_open(wal), may_lock(wal)
    release(file)  # again is no error

    assert (held, free) == ((False, False), (True, True))


@pytest.mark.parametrize(
    "number", [errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP], ids=errno.errorcode.get
)
def test_without_locks_a_closed_file_is_nobodys_and_a_wal_is_kept(
    wal: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_locks(_fd: int, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    closed = wal.with_name("a.jsonl")
    with wal.open("rb") as file:
        lock(file.fileno(), closed)
        with pytest.raises(PersistenceError, match="this file system has no locks") as caught:
            lock(file.fileno(), wal)

    assert caught.value.path == wal


def test_a_lock_that_fails_for_another_reason_is_that_error(
    wal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_fd: int, _how: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", fail)
    with wal.open("rb") as file, pytest.raises(OSError, match="Input/output error"):
        lock(file.fileno(), wal.with_name("a.jsonl"))


@pytest.mark.parametrize("held", [False, True])
def test_where_only_who_may_write_can_lock_the_lock_is_tried_so(
    wal: Path, monkeypatch: pytest.MonkeyPatch, *, held: bool
) -> None:
    plain = fcntl.flock

    def as_on_nfs(fd: int, how: int) -> None:
        if how != fcntl.LOCK_UN and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        plain(fd, how)

    monkeypatch.setattr(fcntl, "flock", as_on_nfs)
    file = SessionFile(wal)
    if held:
        with another(LOCKS, wal), pytest.raises(SessionBusy, match="another process holds it"):
            lock(file.fd, wal)
    else:
        refuse_writers(file.fd, wal)
        lock(file.fd, wal)
        assert not may_open(wal)
    release(file)

    assert may_open(wal)


def test_a_directory_is_one_deletions_at_a_time(tmp_path: Path) -> None:
    with (
        another(TAKES_THE_TURN, tmp_path),
        pytest.raises(DirectoryBusy, match="another deletion in the directory") as caught,
        turn(tmp_path, 0),
    ):
        pytest.fail("two at once")

    assert caught.value.path == tmp_path
    with turn(tmp_path, 0):
        assert not may_lock(tmp_path)
    assert may_lock(tmp_path)


def test_a_turn_is_waited_for(tmp_path: Path) -> None:
    had, order = threading.Event(), list[str]()

    def second() -> None:
        had.set()
        with turn(tmp_path, 30):
            order.append("second")

    waits = threading.Thread(target=second)
    with turn(tmp_path, 0):
        waits.start()
        had.wait(30)
        order.append("first")
    waits.join(30)

    assert order == ["first", "second"]


def test_the_turn_of_who_was_killed_is_free(tmp_path: Path) -> None:
    with another(TAKES_THE_TURN, tmp_path) as process:
        process.kill()
        process.wait(30)
        with turn(tmp_path, 0):
            free = True

    assert free


def test_a_turn_that_fails_within_is_given_back(tmp_path: Path) -> None:
    with pytest.raises(KeyError), turn(tmp_path, 0):
        raise KeyError

    assert may_lock(tmp_path)


def test_where_there_is_no_directory_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    with turn(tmp_path / "absent", 0), turn(tmp_path / "absent", 0):
        assert not (tmp_path / "absent").exists()

"""A file comes to be whole or not at all, and nothing that is there goes unasked."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessiontail.errors import PersistenceError, SessionBusy
from sessiontail.system.fresh_files import FreshFile
from sessiontail.system.stamps import FileId


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_it_is_there_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.jsonl"
    fresh = FreshFile(target, replace=False, mode=0o640)

    fresh.write(b"one")
    fresh.write(b"two")
    (part,) = names(tmp_path)
    fresh.commit()
    fresh.discard()

    assert part.startswith(".sessiontail-")
    assert not part.endswith((".jsonl", ".jsonl.__partial__"))
    assert names(tmp_path) == ["a.jsonl"]
    assert target.read_bytes() == b"onetwo"
    assert fresh.size == 6
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_what_is_given_up_or_dropped_leaves_nothing(tmp_path: Path) -> None:
    fresh = FreshFile(tmp_path / "a", replace=False)
    fresh.write(b"one")

    fresh.discard()
    del fresh
    FreshFile(tmp_path / "b", replace=False).write(b"one")

    assert names(tmp_path) == []


def test_a_file_that_is_there_goes_only_where_that_is_asked(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")

    with pytest.raises(PersistenceError, match="there is such a file; --force"):
        FreshFile(target, replace=False)
    fresh = FreshFile(target, replace=True)
    fresh.write(b"new")
    before = target.read_bytes()
    fresh.commit()

    assert (before, target.read_bytes()) == (b"old", b"new")
    assert names(tmp_path) == ["a"]


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    target = tmp_path / "a"
    fresh = FreshFile(target, replace=False)
    target.write_bytes(b"other")

    with pytest.raises(PersistenceError, match="there is such a file"):
        fresh.commit()
    fresh.discard()

    assert names(tmp_path) == ["a"]
    assert target.read_bytes() == b"other"


def test_what_it_is_made_from_and_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    (tmp_path / "same").hardlink_to(source)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(source)
    known = FileId.of(source.stat())

    for name, message in (
        ("source", "the session's own file is never overwritten"),
        ("same", "the session's own file is never overwritten"),
        ("fifo", "no regular file; it is not replaced"),
        ("link", "no regular file; it is not replaced"),
        ("", "a directory; give the name of a file"),
        ("none/a", "no such directory; make it first"),
        ("source/a", "no directory"),
    ):
        with pytest.raises(PersistenceError, match=message):
            FreshFile(tmp_path / name, replace=True, source=known)
    assert names(tmp_path) == ["fifo", "link", "same", "source"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="who writes shows on Linux only")
def test_a_file_that_somebody_writes_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a"
    with target.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        with pytest.raises(SessionBusy, match=f"process {os.getpid()} is writing it"):
            FreshFile(target, replace=True)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process gets larger than 4 KiB: as on a full disk, but with EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


def test_what_does_not_fit_leaves_nothing(tmp_path: Path, small_files: None) -> None:
    fresh = FreshFile(tmp_path / "a", replace=False)

    with pytest.raises(PersistenceError, match="File too large"):
        fresh.write(b"x" * 5000)
    fresh.discard()

    assert names(tmp_path) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    point = tmp_path / "small"
    point.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", point], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount")
    try:
        fresh = FreshFile(point / "a", replace=False)

        with pytest.raises(PersistenceError, match="No space left on device"):
            fresh.write(b"x" * 100_000)
        fresh.discard()

        assert names(point) == []
    finally:
        subprocess.run(["umount", point], check=True)

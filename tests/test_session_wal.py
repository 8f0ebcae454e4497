"""A WAL of one writer: locked under its name, whole lines or none, renamed at the end."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from samples import ID
from sessiontail import PersistenceError, SessionBusy
from sessiontail.session.wal import WalFile
from sessiontail.system.paths import SessionPaths, session_paths


@pytest.fixture
def paths(tmp_path: Path) -> SessionPaths:
    return session_paths(ID, tmp_path / "sessions")


@pytest.fixture
def wal(paths: SessionPaths) -> Iterator[WalFile]:
    wal = WalFile(paths)
    yield wal
    wal.release()


def test_it_is_made_with_its_directory_and_for_the_owner_alone(
    wal: WalFile, paths: SessionPaths
) -> None:
    wal.open()

    assert wal.is_open
    assert paths.wal.stat().st_mode & 0o777 == 0o600
    assert not paths.final.exists()


def test_two_do_not_have_it_at_once(wal: WalFile, paths: SessionPaths) -> None:
    wal.open()
    other = WalFile(paths)
    with pytest.raises(SessionBusy):
        other.open()
    other.release()
    wal.release()

    other.open()
    other.release()


def test_what_lost_its_name_before_the_lock_was_ours_is_opened_anew(
    wal: WalFile, paths: SessionPaths
) -> None:
    opened: list[int] = []

    def delete_once(moment: str) -> None:
        opened.append(os.fstat(wal.fd).st_ino)
        if moment == "opened" and len(opened) == 1:
            paths.wal.rename(paths.final)

    wal.gate = delete_once
    wal.open()

    assert len(opened) == 2
    assert paths.wal.stat().st_ino == opened[1] != paths.final.stat().st_ino


@pytest.mark.parametrize("kind", ["directory", "symlink", "fifo"])
def test_what_is_no_regular_file_is_refused(wal: WalFile, paths: SessionPaths, kind: str) -> None:
    paths.wal.parent.mkdir()
    if kind == "directory":
        paths.wal.mkdir()
    elif kind == "symlink":
        paths.wal.symlink_to(paths.final)
    else:
        os.mkfifo(paths.wal)

    with pytest.raises((PersistenceError, OSError)):
        wal.open()


def test_lines_come_behind_each_other(wal: WalFile, paths: SessionPaths) -> None:
    wal.open()
    wal.append(b"one\n")
    wal.append(b"two\n")

    assert paths.wal.read_bytes() == wal.read(0) == b"one\ntwo\n"
    assert wal.read(4) == b"two\n"
    wal.cut(4)
    assert wal.read(4) == b""


def test_a_line_that_cannot_be_written_whole_is_cut_off(
    wal: WalFile, paths: SessionPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.write

    def half(fd: int, data: memoryview) -> int:
        if len(data) < 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(fd, data[: len(data) // 2])

    wal.open()
    wal.append(b"one\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(OSError, match="No space left"):
            wal.append(b"second\n")

    assert wal.is_open
    assert paths.wal.read_bytes() == b"one\n"


def test_a_half_line_that_cannot_be_cut_off_is_left_to_the_next_writer(
    wal: WalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    wal.open()
    monkeypatch.setattr(os, "write", refuse)
    monkeypatch.setattr(os, "ftruncate", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        wal.append(b"one\n")

    assert not wal.is_open


def test_it_gets_its_final_name_over_an_older_file(wal: WalFile, paths: SessionPaths) -> None:
    wal.open()
    wal.append(b"one\n")
    paths.final.write_bytes(b"older\n")
    wal.rename()

    assert paths.final.read_bytes() == b"one\n"
    assert not paths.wal.exists()


@pytest.mark.parametrize("there", [False, True], ids=["deleted", "exchanged"])
def test_a_file_that_lost_its_name_gets_none(
    wal: WalFile, paths: SessionPaths, *, there: bool
) -> None:
    wal.open()
    paths.wal.unlink()
    if there:
        paths.wal.write_bytes(b"another\n")

    with pytest.raises(PersistenceError, match="deleted or replaced"):
        wal.rename()
    assert paths.wal.exists() == there
    assert not paths.final.exists()


def test_a_file_that_is_dropped_is_released(paths: SessionPaths) -> None:
    dropped = WalFile(paths)
    dropped.open()
    fd = dropped.fd
    del dropped

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)

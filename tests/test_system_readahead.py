"""Names of files -> both their ends on the way into the page cache."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from actors import held_of
from sessiontail.system import readahead
from sessiontail.system.readahead import ask_for


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Which parts of files the kernel was asked for."""
    parts: list[tuple[int, int]] = []

    def note(fd: int, offset: int, size: int) -> None:
        os.fstat(fd)  # it is open
        parts.append((offset, size))

    monkeypatch.setattr(readahead, "_advise", note)
    return parts


def test_both_ends_of_each_file_are_asked_for(tmp_path: Path, asked: list[tuple[int, int]]) -> None:
    small, big = tmp_path / "small", tmp_path / "big"
    small.write_bytes(b"x" * 10)
    big.write_bytes(b"x" * 1000)

    assert not ask_for([str(small), str(tmp_path / "gone"), str(big)], 100)
    assert asked == [(0, 100), (0, 100), (0, 100), (900, 100)]
    assert held_of(tmp_path) == []


@pytest.mark.parametrize("nowait", [True, False])
def test_files_that_would_have_to_be_waited_for_are_cold(
    tmp_path: Path,
    asked: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    nowait: bool,
) -> None:
    def cold(*_: Any) -> int:
        raise BlockingIOError(errno.EAGAIN, "not in the page cache")

    (tmp_path / "a").write_bytes(b"x")
    if nowait:
        monkeypatch.setattr(os, "preadv", cold)
        monkeypatch.setattr(readahead, "NOWAIT", 8)
    else:
        monkeypatch.setattr(readahead, "NOWAIT", None)  # this system cannot say

    assert ask_for([str(tmp_path / "a")], 100)
    assert asked == [(0, 100), (0, 100)]


def test_a_file_that_is_none_is_passed_over(tmp_path: Path, asked: list[tuple[int, int]]) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "a").write_bytes(b"x")

    assert not ask_for([str(tmp_path / "a"), str(tmp_path / "gone")], 100)
    assert len(asked) == 2
    ask_for([str(tmp_path / "directory")], 100)
    assert held_of(tmp_path) == []

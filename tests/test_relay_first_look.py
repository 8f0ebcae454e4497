from __future__ import annotations

import os
from pathlib import Path

import pytest

from sessiontail.relay.first_look import FirstLook

KEY, OTHER = b"k" * 22, b"o" * 22
WHERE = "redis://127.0.0.1:6379/0 sessiontail one"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "sessions"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache.sqlite"
    monkeypatch.setenv("SESSIONTAIL_CACHE", str(path))
    return path


def test_what_was_closed_is_known_in_the_next_life(directory: Path) -> None:
    closed = {"a": KEY, os.fsdecode(b"no \xff text"): OTHER}
    assert FirstLook(directory, WHERE).read() is None

    FirstLook(directory, WHERE).write(closed)
    assert FirstLook(directory, WHERE).read() == closed
    FirstLook(directory, WHERE).write({})

    assert FirstLook(directory, WHERE).read() == {}


def test_each_place_that_is_published_to_has_its_own(directory: Path) -> None:
    FirstLook(directory, WHERE).write({"a": KEY})

    assert FirstLook(directory, f"{WHERE}2").read() is None
    assert FirstLook(directory.parent, WHERE).read() is None


def test_another_directory_under_the_name_is_not_taken_for_it(directory: Path) -> None:
    FirstLook(directory, WHERE).write({"a": KEY})
    directory.rename(directory.with_name("moved"))
    directory.mkdir()

    assert FirstLook(directory, WHERE).read() is None
    assert FirstLook(directory.with_name("moved"), WHERE).read() is None


def test_where_there_is_no_directory_nothing_is_kept(directory: Path, cache: Path) -> None:
    directory.rmdir()
    FirstLook(directory, WHERE).write({})

    assert (FirstLook(directory, WHERE).read(), cache.stat().st_size > 0) == (None, True)


def test_without_a_cache_nothing_is_kept(
    directory: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSIONTAIL_CACHE", "off")
    FirstLook(directory, WHERE).write({"a": KEY})

    assert (FirstLook(directory, WHERE).read(), cache.exists()) == (None, False)

"""What was folded before is gone on with where a file has grown, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from samples import ID, chunk_line, session_bytes
from sessiontail.directory.kept_folds import KeptFolds, numbers_of
from sessiontail.format.audit_state import STATE_VERSION
from sessiontail.session.auditing import Folded
from sessiontail.system.cache import Cache

NAME = f"{ID}.jsonl"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache.sqlite")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.write_bytes(session_bytes(3, closed=False))
    return path


def keep(path: Path, cache: Cache) -> None:
    folds = KeptFolds(str(path.parent), cache)
    folds.note(NAME, Folded(str(path), b"state", numbers_of(path.stat())), 100)
    folds.keep()


def known(path: Path, cache: Cache | None) -> tuple[bytes, int] | None:
    return KeptFolds(str(path.parent), cache).state_of(NAME, path.stat())


def test_what_is_as_it_was_or_has_grown_is_gone_on_with(path: Path, cache: Cache) -> None:
    keep(path, cache)
    as_it_was = known(path, cache)
    with path.open("ab") as file:
        file.write(chunk_line(3))

    assert as_it_was == known(path, cache) == (b"state", 100)
    assert known(path, None) is None


def test_what_has_changed_and_not_grown_is_not(path: Path, cache: Cache) -> None:
    keep(path, cache)
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))

    assert known(path, cache) is None


def test_another_file_of_the_name_is_not_however_long_it_is(path: Path, cache: Cache) -> None:
    keep(path, cache)
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes() * 2)
    other.replace(path)

    assert known(path, cache) is None


def test_what_is_no_stamp_is_nothing(path: Path, cache: Cache) -> None:
    keep(path, cache)
    for stamp in (b"", b"\xc1", (100).to_bytes(8, "little")):
        cache.write(f"folds-{STATE_VERSION}", str(path.parent), {NAME: (stamp, b"state")})

        assert known(path, cache) is None


def test_what_is_known_of_files_that_are_gone_is_forgotten(path: Path, cache: Cache) -> None:
    keep(path, cache)
    folds = KeptFolds(str(path.parent), cache)
    folds.state_of("another", path.stat())

    folds.keep(among={NAME})
    after_one = known(path, cache)
    folds.keep(among=set())

    assert (after_one, known(path, cache)) == ((b"state", 100), None)

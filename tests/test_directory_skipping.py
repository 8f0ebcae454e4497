"""What is skipped is warned of once, until the file is another; what is skipped stays known."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sessiontail import PersistenceError, SessionStore
from sessiontail.directory.skipping import untold
from sessiontail.session.asides import aside_of

pytestmark = pytest.mark.anyio


async def skipped(directory: Path) -> list[str]:
    scan = SessionStore(directory).scan()
    await scan.rest()
    return sorted(error.path.name for error in scan.skipped if error.path)


async def test_a_file_is_warned_of_once_until_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd = tmp_path / "odd.jsonl"
    odd.write_bytes(b"")
    aside = aside_of(tmp_path / "gone.jsonl")
    aside.write_bytes(b"")

    with caplog.at_level(logging.WARNING):
        first = [await skipped(tmp_path) for _ in range(3)]
        told = [len(caplog.messages)]
        odd.write_bytes(b"x\n")
        again = [await skipped(tmp_path) for _ in range(3)]
        told.append(len(caplog.messages))

    assert [*first, *again] == [[aside.name, odd.name]] * 6
    assert told == [2, 3]
    assert caplog.messages[2].startswith(f"skipped {odd}:1 (byte 0): ")


async def test_another_file_under_the_name_is_warned_of_though_it_is_as_odd(tmp_path: Path) -> None:
    odd, other = tmp_path / "odd.jsonl", tmp_path / "other"
    error = PersistenceError("no header", path=odd)
    odd.write_bytes(b"x")
    other.write_bytes(b"x")

    first, second = untold([error]), untold([error])
    other.replace(odd)

    assert (first, second, untold([error])) == ([error], [], [error])


async def test_what_is_wrong_in_another_way_is_told_too(tmp_path: Path) -> None:
    odd = tmp_path / "odd.jsonl"
    odd.write_bytes(b"x")
    errors = [PersistenceError(message, path=odd) for message in ("a", "b")]

    assert [untold([error]) for error in errors] == [[errors[0]], [errors[1]]]


async def test_of_what_is_no_file_any_more_every_word_is_told(tmp_path: Path) -> None:
    gone = PersistenceError("gone", path=tmp_path / "gone.jsonl")

    assert untold([gone, gone]) == [gone, gone]

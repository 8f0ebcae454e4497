"""The drop-in: each function works on a store of its own, in the directory that it is given."""

from __future__ import annotations

import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from samples import ID, session_bytes
from sessiontail import (
    InvalidSessionId,
    PersistenceError,
    SessionBusy,
    delete_session,
    prune_sessions,
)
from writers import real_writer

pytestmark = pytest.mark.anyio


def put(directory: Path, name: str, data: bytes) -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("older_than", [timedelta(days=-1), 30])
async def test_a_prune_by_an_age_that_is_none_touches_nothing(
    tmp_path: Path, older_than: Any
) -> None:
    left = put(tmp_path, f".{ID}.jsonl.deleting", session_bytes())

    with pytest.raises((TypeError, ValueError), match="older_than"):
        await prune_sessions(older_than=older_than, directory=tmp_path)

    assert names(tmp_path) == [left.name]


async def test_older_than_removes_what_the_real_prune_removes(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for home in ("a", "b"):
        (tmp_path / home / "sessions").mkdir(parents=True)
        for n in range(6):
            data = session_bytes(
                session_id=UUID(int=n, version=4),
                created_at=(now - timedelta(days=10 * (n % 4))).isoformat(),
            )
            put(tmp_path / home / "sessions", f"{UUID(int=n, version=4)}.jsonl", data)

    removed = await prune_sessions(
        older_than=timedelta(days=9), directory=tmp_path / "a" / "sessions"
    )

    assert [str(i) for i in removed] == real_writer()(
        "prune", home=tmp_path / "b", older_than_s=9 * 86400
    )
    assert len(removed) == 4
    left = [names(tmp_path / home / "sessions") for home in ("a", "b")]
    assert left[0] == left[1]


async def test_delete_says_whether_there_was_a_session(tmp_path: Path) -> None:
    put(tmp_path, f"{ID}.jsonl", session_bytes())
    put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=False))

    assert await delete_session(ID, directory=tmp_path) is True
    assert names(tmp_path) == []
    assert await delete_session(ID, directory=tmp_path) is False


async def test_delete_takes_a_damaged_file(tmp_path: Path) -> None:
    put(tmp_path, f"{ID}.jsonl", b"\0damaged")

    assert await delete_session(ID, directory=tmp_path) is True
    assert names(tmp_path) == []


async def test_a_second_delete_does_not_take_the_copy_that_was_exported_beside_it(
    tmp_path: Path,
) -> None:
    put(tmp_path, f"{ID}.jsonl", session_bytes())
    export = put(tmp_path, "keep-me-export.jsonl", session_bytes())

    answers = [await delete_session(ID, directory=tmp_path) for _ in range(3)]

    assert answers == [True, False, False]
    assert names(tmp_path) == [export.name]
    assert await delete_session(path=export) is True


async def test_delete_refuses_both_files_of_a_session_that_is_written(tmp_path: Path) -> None:
    final = put(tmp_path, f"{ID}.jsonl", session_bytes())
    wal = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=False))
    with wal.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        for path in (None, final, wal):
            with pytest.raises(SessionBusy):
                await delete_session(None if path else ID, path=path, directory=tmp_path)

    assert sorted(tmp_path.iterdir()) == [final, wal]


@pytest.mark.parametrize("session_id", ["../x", "x/../../y", "", "x.jsonl", "/etc/passwd", "\0"])
async def test_an_id_that_is_none_never_reaches_the_file_system(
    tmp_path: Path, session_id: str
) -> None:
    (tmp_path / "sessions").mkdir()
    outside = put(tmp_path, "x.jsonl", session_bytes())

    with pytest.raises(InvalidSessionId):
        await delete_session(session_id, directory=tmp_path / "sessions")

    assert outside.exists()


async def test_a_directory_under_one_name_keeps_the_file_under_the_other(tmp_path: Path) -> None:
    wal = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=False))
    (tmp_path / f"{ID}.jsonl").mkdir()

    with pytest.raises(PersistenceError, match="not a regular file"):
        await delete_session(ID, directory=tmp_path)

    assert wal.exists()


async def test_delete_of_a_directory_is_one_line_of_error(tmp_path: Path) -> None:
    with pytest.raises(PersistenceError) as caught:
        await delete_session(path=tmp_path)

    assert str(caught.value) == f"{tmp_path}: not a regular file"

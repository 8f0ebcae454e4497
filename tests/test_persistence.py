"""The drop-in: each function works on a store of its own, in the directory that it is given."""

from __future__ import annotations

import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from actors import records_of
from samples import ID, session_bytes
from sessiontail import (
    DamagedSession,
    InvalidSessionId,
    PersistenceError,
    SessionBusy,
    SessionNotFound,
    delete_session,
    list_persisted_sessions,
    load_session,
    persistence,
    prune_sessions,
    read_session,
    tail_session,
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


# --- the others


async def test_a_session_is_loaded_read_and_tailed_by_its_id_or_its_path(tmp_path: Path) -> None:
    path = put(tmp_path, f"{ID}.jsonl", session_bytes(2))
    by_id: dict[str, Any] = {"session_id": ID, "directory": tmp_path}
    for where in (by_id, {"session_id": str(ID), "directory": str(tmp_path)}, {"path": path}):
        loaded = await load_session(**where)
        read = [record async for record in read_session(**where)]
        tailed = [record async for record in tail_session(**where)]

        assert (loaded.path, len(loaded.chunk_table)) == (path, 2)
        assert read == tailed == records_of(session_bytes(2))


async def test_reading_begins_at_a_cursor_or_before_the_end(tmp_path: Path) -> None:
    put(tmp_path, f"{ID}.jsonl", session_bytes(3))
    records = records_of(session_bytes(3))
    for begin in (read_session, tail_session):
        async with begin(ID, directory=tmp_path) as stream:
            await anext(stream)
            cursor = stream.cursor
        after = [record async for record in begin(ID, directory=tmp_path, after=cursor)]
        last = [record async for record in begin(ID, directory=tmp_path, last=2)]

        assert (after, last) == (records[1:], records[-2:])
        with pytest.raises(ValueError, match="not both"):
            begin(ID, directory=tmp_path, after=cursor, last=2)


async def test_a_damaged_session_is_loaded_where_that_is_asked_for(tmp_path: Path) -> None:
    path = put(tmp_path, f"{ID}.jsonl", session_bytes() + b"[]\n")
    for where in ({"session_id": ID, "directory": tmp_path}, {"path": path}):
        with pytest.raises(DamagedSession):
            await load_session(**where)
        assert len((await load_session(**where, salvage=True)).damage) == 1


async def test_what_is_absent_is_not_found_and_of_nothing_the_list_is_empty(
    tmp_path: Path,
) -> None:
    with pytest.raises(SessionNotFound):
        await load_session(ID, directory=tmp_path)
    with pytest.raises(SessionNotFound):
        await load_session(path=tmp_path / "none.jsonl")
    with pytest.raises(SessionNotFound):
        await anext(tail_session(ID, directory=tmp_path))

    assert await list_persisted_sessions(directory=tmp_path / "none") == []


async def test_the_directory_of_the_environment_is_used_where_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path))
    (tmp_path / "sessions").mkdir()
    put(tmp_path / "sessions", f"{ID}.jsonl", session_bytes())

    assert [meta.id for meta in await list_persisted_sessions()] == [ID]
    assert (await load_session(ID)).header.id == ID
    assert await prune_sessions(older_than=timedelta()) == [ID]
    assert await list_persisted_sessions() == []


async def test_a_prune_takes_what_an_earlier_deletion_left_aside(tmp_path: Path) -> None:
    put(tmp_path, f".{ID}.jsonl.deleting", session_bytes())

    assert await prune_sessions(older_than=timedelta(), directory=tmp_path) == [ID]
    assert names(tmp_path) == []


def test_every_name_of_the_real_module_is_here() -> None:
    theirs = pytest.importorskip("rath.session.persistence")

    assert {*theirs.__all__} - {*persistence.__all__} == set()

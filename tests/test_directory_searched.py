"""Which files are searched, in which order, and which of those that were asked for are not there."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from listed import IDS, put
from samples import ID, session_bytes
from sessiontail import InvalidSessionId, SessionStore
from sessiontail.directory.searched import Searched, SearchedFile


def written(directory: Path, *names: str) -> list[Path]:
    """Files, each a second younger than the one before."""
    paths = [put(directory, name, session_bytes()) for name in names]
    for i, path in enumerate(paths):
        os.utime(path, (i, i))
    return paths


def files(*paths: Path) -> list[SearchedFile]:
    return [SearchedFile(str(path), path.stat().st_size) for path in paths]


def test_those_that_changed_last_come_last(tmp_path: Path) -> None:
    one, two = written(tmp_path, f"{IDS[1]}.jsonl", f"{IDS[0]}.jsonl.__partial__")
    (tmp_path / "notes.txt").write_bytes(b"")

    assert Searched(tmp_path).of_names() == files(one, two)
    assert Searched(tmp_path / "nowhere").of_names() == []


def test_of_an_id_all_files_are_searched_whatever_they_are_called(tmp_path: Path) -> None:
    final, wal = written(tmp_path, f"{ID}.jsonl", f"{ID}.jsonl.__partial__")
    (tmp_path / "other").mkdir()
    other = put(tmp_path / "other", "export.jsonl", session_bytes())

    assert Searched(tmp_path, ids=[ID, str(ID)]).of_names() == files(final, wal)
    assert Searched(other.parent, ids=[ID]).of_names() == files(other)


def test_those_that_are_not_there_are_told(tmp_path: Path) -> None:
    (one,) = written(tmp_path, "one.jsonl")
    searched = Searched(tmp_path, ids=[IDS[0]], paths=[one, tmp_path / "two.jsonl"])

    assert searched.of_names() == files(one)
    assert [str(error) for error in searched.missing] == [
        f"{tmp_path}: no session has the id {IDS[0]}",
        f"{tmp_path / 'two.jsonl'}: no such session file",
    ]


@pytest.mark.anyio
async def test_metas_are_chosen_by_state_and_time(tmp_path: Path) -> None:
    old = put(tmp_path, f"{IDS[0]}.jsonl", session_bytes(session_id=IDS[0]))
    new = put(
        tmp_path,
        f"{IDS[1]}.jsonl",
        session_bytes(session_id=IDS[1], created_at="2026-06-01T00:00:00Z", closed=False),
    )
    metas = await SessionStore(tmp_path).list()
    between = datetime(2026, 3, 1, tzinfo=UTC)

    assert Searched(tmp_path, since=between).of_metas(metas) == files(new)
    assert Searched(tmp_path, until=between).of_metas(metas) == files(old)
    assert Searched(tmp_path, states=["closed"]).of_metas(metas) == files(old)
    assert Searched(tmp_path, since=between, ids=[IDS[0]]).of_metas(metas) == []
    assert not Searched(tmp_path, ids=[ID]).by_meta


def test_what_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSessionId):
        Searched(tmp_path, ids=["4f2c"])
    with pytest.raises(TypeError):
        Searched(tmp_path, ids=str(ID))
    with pytest.raises(ValueError, match="gone"):
        Searched(tmp_path, states=["gone"])

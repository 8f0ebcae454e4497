"""A session's records are counted as a reader meets them, also while it grows."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from hostile import CASES
from samples import ID, chunk_line, header_line, json_line, session_bytes, trailer_line
from scribes import call
from sessiontail import (
    PersistenceError,
    SessionNotFound,
    SessionStore,
)
from sessiontail.format.kinds import KINDS, kind_of
from sessiontail.session.counts import count_session


def counted(path: Path) -> dict[str, int]:
    counts = count_session(str(path))
    return {
        "header": counts.header,
        **counts.chunks,
        "trailer": counts.trailer,
        "damage": counts.damage,
    }


def put(directory: Path, data: bytes) -> Path:
    path = directory / f"{ID}.jsonl"
    path.write_bytes(data)
    return path


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("name", CASES)
async def test_what_is_counted_is_what_a_reader_meets(
    name: str, anyio_backend: str, tmp_path: Path
) -> None:
    path = put(tmp_path, CASES[name].data)
    async with SessionStore(tmp_path).read(path=path) as reader:
        met = Counter([kind_of(record) async for record in reader])
        end = reader.cursor if met else None

    counts = count_session(str(path))

    assert counted(path) == {
        kind: min(met[kind], 1) if kind == "trailer" else met[kind] for kind in KINDS
    }
    if end is not None:
        assert counts.cursor == end


def test_calls_are_counted_by_their_tool(tmp_path: Path) -> None:
    calls = [call(name, "{}") for name in "aab"]
    line = chunk_line(0, "", "assistant", tool_calls=calls)

    assert count_session(str(put(tmp_path, header_line() + line))).tools == {"a": 2, "b": 1}


def test_of_a_session_that_has_grown_what_was_added_is_counted_too(tmp_path: Path) -> None:
    path = put(tmp_path, header_line())
    for n in range(3):
        with path.open("ab") as file:
            file.write(chunk_line(n) + b"\n" + b'{"torn')
        assert counted(path)["user"] == n + 1
        os.truncate(path, path.stat().st_size - 6)
    with path.open("ab") as file:
        file.write(trailer_line(3))

    assert count_session(str(path)).lines == 8
    assert counted(path) == {
        "header": 1, "system": 0, "user": 3, "assistant": 0, "tool_result": 0, "trailer": 1, "damage": 0,
    }  # fmt: skip


def test_what_was_rewritten_is_counted_anew(tmp_path: Path) -> None:
    path = put(tmp_path, session_bytes(9))
    assert counted(path)["user"] == 9

    for data in (session_bytes(2), json_line({"odd": 1}) * 20, session_bytes(20)):
        path.write_bytes(data)  # the same inode
        assert count_session(str(path)).lines == data.count(b"\n")


def test_a_line_that_is_too_long_is_one_damage(tmp_path: Path) -> None:
    path = put(tmp_path, header_line() + chunk_line(0, "x" * 5000) + chunk_line(1))

    counts = count_session(str(path), max_line_bytes=1000)

    assert (counts.damage, counts.chunks["user"], counts.lines) == (1, 1, 3)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SessionNotFound):
        count_session(str(tmp_path / "x.jsonl"))
    (tmp_path / "d.jsonl").mkdir()
    with pytest.raises(PersistenceError):
        count_session(str(tmp_path / "d.jsonl"))

"""A session that is meant by its id or by a path, mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from samples import ID, chunk_line, header_line, session_bytes
from sessiontail import InvalidSessionId, SessionNotFound, load_session, repair_session

pytestmark = pytest.mark.anyio


async def test_by_its_id_the_file_that_is_written_last_is_mended(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(session_bytes(1))
    (tmp_path / f"{ID}.jsonl.__partial__").write_bytes(header_line() + chunk_line() * 2 + b"{")

    told = await repair_session(ID, directory=tmp_path, to=tmp_path / "clean.jsonl")

    assert (told.path.name, told.chunks) == (f"{ID}.jsonl.__partial__", 2)
    assert len((await load_session(path=tmp_path / "clean.jsonl")).chunk_table) == 2


async def test_a_session_whose_file_has_another_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_bytes(session_bytes(1))

    told = await repair_session(str(ID), directory=tmp_path, to=tmp_path / "a")

    assert told.path == tmp_path / "run.jsonl"


async def test_a_path_means_that_file_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_bytes(session_bytes(1, closed=False))

    told = await repair_session(path=tmp_path / "run.txt", to=str(tmp_path / "a"), close=True)

    assert (told.path, told.closed) == (tmp_path / "run.txt", True)


async def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    to = tmp_path / "a"

    with pytest.raises(TypeError, match="give a session_id or path="):
        await repair_session(to=to)
    with pytest.raises(InvalidSessionId):
        await repair_session("../x", directory=tmp_path, to=to)
    with pytest.raises(SessionNotFound):
        await repair_session(ID, directory=tmp_path, to=to)
    with pytest.raises(TypeError, match="on_mend is a plain function"):
        await repair_session(ID, directory=tmp_path, to=to, on_mend=load_session)  # type: ignore[arg-type] # it is what is refused
    with pytest.raises(ValueError, match="max_line_bytes is more than 0"):
        await repair_session(ID, directory=tmp_path, to=to, max_line_bytes=0)
    assert [*tmp_path.iterdir()] == []

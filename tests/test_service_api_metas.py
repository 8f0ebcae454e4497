"""A session is described by what it says, and not by where it lies."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from samples import ID, MOMENT, chunk_line, header_line, trailer_line
from sessiontail import SessionStore
from sessiontail.service.api.metas import META_FIELDS, described
from sessiontail.service.context import Context, Limits

pytestmark = pytest.mark.anyio


async def test_a_session_has_a_title_and_the_bare_name_of_its_file(tmp_path: Path) -> None:
    store = SessionStore(tmp_path)
    path = tmp_path / f"{ID}.jsonl"
    path.write_bytes(header_line() + chunk_line(0, "Fix the\nbuild") + trailer_line(1, (1, 2, 3)))

    said = await described(Context(store, Limits()), await store.meta(ID))

    assert said.pop("modified_at")
    assert said == {
        "schema": 1,
        "id": str(ID),
        "file": f"{ID}.jsonl",
        "created_at": MOMENT,
        "lineage_operator": "implicit",
        "lineage_kind": "unknown",
        "chunk_count": 1,
        "closed": True,
        "state": "closed",
        "parent_session_ids": [],
        "cumulative_usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "closed_at": MOMENT,
        "size_bytes": path.stat().st_size,
        "writer_pid": None,
        "damaged_lines": None,
        "torn_bytes": 0,
        "title": "Fix the build",
    }
    assert {*META_FIELDS} == {*said, "modified_at"}


async def test_where_nobody_has_spoken_there_is_no_title(tmp_path: Path) -> None:
    store = SessionStore(tmp_path)
    (tmp_path / f"{ID}.jsonl").write_bytes(header_line())

    assert (await described(Context(store, Limits()), await store.meta(ID)))["title"] is None


async def test_a_session_that_has_gone_since_is_still_described(tmp_path: Path) -> None:
    store = SessionStore(tmp_path)
    path = tmp_path / f"{ID}.jsonl"
    path.write_bytes(header_line())
    meta = await store.meta(ID)
    path.unlink()

    assert (await described(Context(store, Limits()), meta))["id"] == str(ID)


async def test_however_much_a_header_says_a_list_stays_small(tmp_path: Path) -> None:
    """One session with a lineage operator of 5 MB was in each list, and in each event that it grew."""
    store = SessionStore(tmp_path)
    parents = [str(UUID(int=number, version=4)) for number in range(500)]
    line = header_line(lineage_operator="o" * 5_000, parent_session_ids=parents)
    (tmp_path / f"{ID}.jsonl").write_bytes(line)

    said = await described(Context(store, Limits()), await store.meta(ID))

    assert said["lineage_operator"] == "o" * 200
    assert said["parent_session_ids"] == parents[:100]

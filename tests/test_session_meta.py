"""What was read of a file, and who holds it: one session in brief."""

from __future__ import annotations

import gc
import json
import os
import tempfile
from datetime import datetime
from pathlib import Path

import pytest

from listed import IDS, MOMENT, meta_of, put
from samples import ID, session_bytes
from sessiontail import (
    SessionState,
    SessionStore,
)
from writers import real_writer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "closed", "age_s", "state"),
    [
        (f"{ID}.jsonl.__partial__", False, 0, SessionState.UNKNOWN),
        (f"{ID}.jsonl.__partial__", False, 599, SessionState.UNKNOWN),
        (f"{ID}.jsonl.__partial__", False, 601, SessionState.ABANDONED),
        (f"{ID}.jsonl.__partial__", True, 0, SessionState.CLOSED),
        (f"{ID}.jsonl", False, 0, SessionState.ABANDONED),
    ],
)
async def test_a_file_that_nobody_holds_has_the_state_that_its_name_trailer_and_age_say(
    tmp_path: Path, name: str, age_s: float, state: SessionState, *, closed: bool
) -> None:
    path = put(tmp_path, name, session_bytes(3, closed=closed), age_s=age_s)

    metas = await SessionStore(tmp_path).list()

    closed_at = MOMENT if closed else None
    assert metas == [meta_of(path, chunk_count=3, closed=closed, state=state, closed_at=closed_at)]


async def test_a_wal_that_a_process_holds_is_live_and_shows_its_pid(tmp_path: Path) -> None:
    pid = real_writer()("open", home=tmp_path, session_id=ID)
    real_writer()("write", text="hi")
    wal = tmp_path / f"{ID}.jsonl.__partial__"
    created_at = datetime.fromisoformat(json.loads(wal.read_bytes().splitlines()[0])["created_at"])

    metas = await SessionStore(tmp_path).list()
    expected = meta_of(
        wal,
        created_at=created_at,
        closed=False,
        closed_at=None,
        state=SessionState.LIVE,
        writer_pid=pid,
    )
    real_writer()("abandon")

    assert metas == [expected]


async def test_a_meta_has_ids_and_nothing_for_the_collector(tmp_path: Path) -> None:
    parents = [str(session_id) for session_id in IDS[:2]]
    put(tmp_path, "a.jsonl", session_bytes(parent_session_ids=parents))

    (meta,) = await SessionStore(tmp_path).list()
    gc.collect()

    assert (meta.id, meta.parent_session_ids) == (ID, tuple(IDS[:2]))
    held = [meta, *gc.get_referents(meta)]
    assert not any(gc.is_tracked(value) for value in held if not isinstance(value, type))


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no tmpfs to write to")
@pytest.mark.parametrize("modified_s", [2**40, -(2**40)])
async def test_a_file_time_that_no_datetime_can_hold_is_the_nearest_one(modified_s: int) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        path = put(Path(name), "a.jsonl", session_bytes())
        os.utime(path, (modified_s, modified_s))

        (meta,) = await SessionStore(name).list()

    assert meta.modified_at.year == (9999 if modified_s > 0 else 1)

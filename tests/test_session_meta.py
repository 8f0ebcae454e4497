"""What was read of a file, and who holds it: one session in brief."""

from __future__ import annotations

import gc
import json
import os
import tempfile
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from listed import IDS, MOMENT, meta_of, put
from samples import ID, session_bytes
from sessiontail import (
    SessionState,
    SessionStore,
)
from sessiontail.session.meta import judged, state_of
from sessiontail.session.summary import read_meta
from sessiontail.system.locks import LockTable
from writers import real_writer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "closed", "age_s", "state"),
    [
        (f"{ID}.jsonl.__partial__", False, 0, SessionState.UNKNOWN),
        (f"{ID}.jsonl.__partial__", False, 540, SessionState.UNKNOWN),
        (f"{ID}.jsonl.__partial__", False, 660, SessionState.ABANDONED),
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


# --- by themselves


def lock_of(path: Path, pid: int) -> LockTable:
    """A table in which a process holds the file."""
    status = path.stat()
    major, minor = os.major(status.st_dev), os.minor(status.st_dev)
    line = f"1: FLOCK  ADVISORY  WRITE {pid} {major:02x}:{minor:02x}:{status.st_ino} 0 EOF\n"
    return LockTable(line.encode())


UNKNOWN, GONE = LockTable(None), LockTable(b"")


@pytest.mark.parametrize(
    ("locks", "is_wal", "closed", "age_s", "state"),
    [
        (GONE, True, False, 540, SessionState.UNKNOWN),
        (GONE, True, False, 600, SessionState.ABANDONED),
        (UNKNOWN, True, False, 10**6, SessionState.UNKNOWN),
        (GONE, True, False, -(10**6), SessionState.UNKNOWN),
        (GONE, False, False, 0, SessionState.ABANDONED),
        (UNKNOWN, False, False, 0, SessionState.ABANDONED),
        (GONE, True, True, 10**6, SessionState.CLOSED),
        (UNKNOWN, False, True, 0, SessionState.CLOSED),
    ],
)
async def test_what_nobody_holds_is_judged_by_its_trailer_its_name_and_its_age(
    tmp_path: Path,
    locks: LockTable,
    age_s: int,
    state: SessionState,
    *,
    is_wal: bool,
    closed: bool,
) -> None:
    path = put(tmp_path, "a", b"")
    os.utime(path, (1_000_000_000, 1_000_000_000))

    assert state_of(
        path.stat(), is_wal=is_wal, closed=closed, locks=locks, now_s=1_000_000_000 + age_s
    ) == (state, None)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("is_wal", [True, False])
async def test_what_somebody_holds_is_live_whatever_else_it_is(
    tmp_path: Path, *, is_wal: bool, closed: bool
) -> None:
    path = put(tmp_path, "a", b"", age_s=10**6)

    assert state_of(
        path.stat(), is_wal=is_wal, closed=closed, locks=lock_of(path, 77), now_s=2e9
    ) == (SessionState.LIVE, 77)


@pytest.mark.parametrize("closed", [True, False])
async def test_a_meta_is_live_by_locks_that_show_its_writer_without_a_look_at_the_file(
    tmp_path: Path, *, closed: bool
) -> None:
    path = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=closed), age_s=601)
    held = lock_of(path, 77)
    before, _ = read_meta(path, GONE)
    live, _ = read_meta(path, held)
    path.unlink()

    assert (live.state, live.writer_pid) == (SessionState.LIVE, 77)
    assert judged(before, held) == live
    assert judged(before, GONE) is before


async def test_a_meta_without_a_trailer_is_abandoned_by_locks_that_no_longer_show_its_writer(
    tmp_path: Path,
) -> None:
    path = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=False), age_s=601)
    live, _ = read_meta(path, lock_of(path, 77))
    abandoned, _ = read_meta(path, GONE)
    path.unlink()

    assert (abandoned.state, abandoned.writer_pid) == (SessionState.ABANDONED, None)
    assert judged(live, GONE) == abandoned


async def test_a_meta_is_json_under_the_names_that_openrath_gives(tmp_path: Path) -> None:
    parents = [str(parent) for parent in IDS[:2]]
    path = put(tmp_path, "a.jsonl", session_bytes(parent_session_ids=parents))
    brief = json.loads(msgspec.json.encode(read_meta(path, GONE)[0]))

    assert (brief["id"], brief["parent_session_ids"]) == (str(ID), parents)
    assert (brief["state"], brief["cumulative_usage"]) == ("closed", None)

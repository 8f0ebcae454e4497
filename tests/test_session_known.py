"""What was read of a file is kept for as long as the file stays as it is."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from listed import bytes_read, meta_of, put
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import (
    PersistedSessionMeta,
    SessionState,
    SessionStore,
    list_persisted_sessions,
)
from sessiontail.session import counting, known
from sessiontail.session.known import keep_proven, known_meta, unknown_among
from sessiontail.session.summary import read_meta
from sessiontail.system.kept import Kept
from sessiontail.system.locks import LockTable

pytestmark = pytest.mark.anyio

NOBODY = LockTable(b"")


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every file as one that has not changed for long."""
    settles_after(monkeypatch, 0)


def settles_after(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    for where in (known, counting):
        monkeypatch.setattr(where, "SETTLED_S", seconds)


@pytest.mark.usefixtures("settled")
async def test_files_that_did_not_change_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(5):
        put(tmp_path, f"{i}.jsonl", session_bytes(i))
        put(tmp_path, f"{i}.jsonl.__partial__", session_bytes(i, closed=False))
    first = await SessionStore(tmp_path).list()

    with bytes_read(monkeypatch) as reads:
        second = await list_persisted_sessions(directory=tmp_path)

    assert second == first
    assert reads == []


async def test_a_file_that_has_just_changed_is_read_again_until_its_times_are_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, "a.jsonl", session_bytes(1))
    sessions = SessionStore(tmp_path)
    settles_after(monkeypatch, 3600)
    await sessions.list()
    with bytes_read(monkeypatch) as early:
        await sessions.list()
    settles_after(monkeypatch, 0)
    with bytes_read(monkeypatch) as settling:
        await sessions.list()
    with bytes_read(monkeypatch) as settled:
        metas = await sessions.list()

    assert (bool(early), bool(settling), settled) == (True, True, [])
    assert metas == [meta_of(path)]


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(session_bytes(2, closed=path.suffix == ".jsonl")),
        lambda path: path.write_bytes(path.read_bytes().replace(b"4f2c", b"5a5a")),
        lambda path: (
            path.with_name("new").write_bytes(session_bytes(7))
            and path.with_name("new").replace(path)
        ),
        lambda path: path.rename(path.with_name("other.jsonl")),
        lambda path: path.unlink(),
        lambda path: path.unlink() or path.symlink_to("elsewhere"),
        lambda path: path.write_bytes(b"[]\n"),
        lambda path: os.utime(path, (1, 1)),
    ],
    ids=["longer", "as long", "another", "renamed", "deleted", "a link", "damaged", "touched"],
)
async def test_what_became_of_a_file_shows_in_the_next_listing(
    tmp_path: Path, change: Any, *, closed: bool
) -> None:
    name = f"{ID}.jsonl" if closed else f"{ID}.jsonl.__partial__"
    path = put(tmp_path, name, session_bytes(1, closed=closed))
    sessions = SessionStore(tmp_path)
    await sessions.list()
    await sessions.list()
    change(path)
    scan = sessions.scan()
    metas = [meta async for meta in scan]

    known.forget()
    fresh = sessions.scan()
    assert metas == [meta async for meta in fresh]
    assert [str(error) for error in scan.skipped] == [str(error) for error in fresh.skipped]


@pytest.mark.usefixtures("settled")
async def test_the_state_of_a_file_that_did_not_change_is_looked_up_each_time(
    tmp_path: Path,
) -> None:
    wal = put(tmp_path, "a.jsonl.__partial__", session_bytes(closed=False), age_s=601)
    closed = put(tmp_path, "b.jsonl", session_bytes())
    sessions = SessionStore(tmp_path)

    async def states() -> list[tuple[str, SessionState, int | None]]:
        return [(meta.path.name, meta.state, meta.writer_pid) for meta in await sessions.list()]

    before = await states()
    with wal.open("rb") as first, closed.open("rb") as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        fcntl.flock(second, fcntl.LOCK_EX)
        held = await states()
    after = await states()

    pid = os.getpid()
    assert held == [
        (wal.name, SessionState.LIVE, pid),
        (closed.name, SessionState.LIVE, pid),
    ]
    assert before == after
    assert before == [
        (wal.name, SessionState.ABANDONED, None),
        (closed.name, SessionState.CLOSED, None),
    ]


@pytest.mark.usefixtures("settled")
async def test_verifying_reads_what_was_kept_and_is_not_kept_itself(tmp_path: Path) -> None:
    path = put(tmp_path, "a.jsonl", header_line() + b"x\n" + chunk_line() + trailer_line(1))
    sessions = SessionStore(tmp_path)
    believed = [await sessions.list(), await sessions.list()]

    assert await sessions.list(verify=True) == [meta_of(path, damaged_lines=1)]
    assert [*believed, await sessions.list()] == [[meta_of(path)]] * 3


@pytest.mark.usefixtures("settled")
async def test_what_is_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: Any = Kept(4)
    monkeypatch.setattr(known, "_known", kept)
    for i in range(30):
        put(tmp_path, f"{i}.jsonl", session_bytes(session_id=uuid4()))
    sessions = SessionStore(tmp_path)

    assert len(await sessions.list()) == len(await sessions.list()) == 30
    assert len(kept._young) + len(kept._old) <= 8


# --- by itself


def kept(path: Path) -> PersistedSessionMeta:
    """What was just read of a file, kept."""
    status = path.stat()
    meta, _ = read_meta(path, NOBODY)
    known.keep(meta, status)
    return meta


@pytest.mark.usefixtures("settled")
async def test_what_was_kept_is_known_until_it_is_forgotten(tmp_path: Path) -> None:
    path = put(tmp_path, "a.jsonl", session_bytes())
    found = [known_meta(str(path), NOBODY)]
    meta = kept(path)
    found.append(known_meta(str(path), NOBODY))
    known.forget()
    found.append(known_meta(str(path), NOBODY))

    assert found == [None, meta, None]


async def test_what_has_just_changed_is_not_known_though_it_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settles_after(monkeypatch, 3600)
    path = put(tmp_path, "a.jsonl", session_bytes())
    kept(path)
    kept(path)

    assert known_meta(str(path), NOBODY) is None


async def test_what_has_not_changed_for_ten_minutes_is_known_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settles_after(monkeypatch, 3600)
    path = put(tmp_path, "a.jsonl", session_bytes())
    monkeypatch.setattr(known, "OLD_NS", 0)  # as if it were so old: a change time cannot be set

    assert kept(path) == known_meta(str(path), NOBODY)


@pytest.mark.usefixtures("settled")
async def test_a_file_that_grew_within_one_tick_of_the_clock_while_it_was_read_is_not_kept(
    tmp_path: Path,
) -> None:
    path = put(tmp_path, "a.jsonl", session_bytes())
    status = path.stat()
    fields = [*status][:10]
    fields[stat.ST_SIZE] -= 1
    times = {"st_mtime_ns": status.st_mtime_ns, "st_ctime_ns": status.st_ctime_ns}
    known.keep(read_meta(path, NOBODY)[0], os.stat_result(fields, times))

    assert known_meta(str(path), NOBODY) is None


async def test_what_is_proven_is_known_though_it_has_just_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settles_after(monkeypatch, 3600)
    path = put(tmp_path, "a.jsonl", session_bytes())
    meta, _ = read_meta(path, NOBODY)
    unknown = [unknown_among([str(path), str(tmp_path / "b")])]
    keep_proven(meta, path.stat())
    unknown.append(unknown_among([str(path), str(tmp_path / "b")]))

    assert known_meta(str(path), NOBODY) == meta
    assert unknown == [2, 1]

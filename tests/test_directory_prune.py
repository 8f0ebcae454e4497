"""A plan of what goes -> files deleted in its order; what is held, written or changed stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import anyio
import pytest

from samples import ID, chunk_line, session_bytes
from sessiontail import (
    PersistedSessionMeta,
    PersistenceError,
    Pruned,
    SessionBusy,
    SessionStore,
)
from sessiontail.directory.plan import PrunePlan
from sessiontail.directory.prune import PER_HOP, apply
from sessiontail.session import deleting
from sessiontail.session.deleting import delete_file
from sessiontail.system import leases
from writers import real_writer

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def put(directory: Path, name: str, data: bytes) -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def kept(pruned: Pruned) -> list[tuple[Path, str]]:
    return [(verdict.meta.path, verdict.why) for verdict in pruned.kept]


async def test_files_are_deleted_oldest_first_and_reported(tmp_path: Path) -> None:
    ids = [UUID(int=n, version=4) for n in range(100)]
    for n, session_id in enumerate(ids):
        created_at = (NOW - timedelta(days=n)).isoformat()
        data = session_bytes(session_id=session_id, created_at=created_at)
        put(tmp_path, f"{session_id}.jsonl", data)
    store = SessionStore(tmp_path)

    pruned = await store.prune(await store.plan_prune(keep_last=10))

    assert pruned.removed_ids == ids[:9:-1]
    assert (pruned.kept, pruned.freed_bytes) == ((), 90 * len(data))
    assert [m.id for m in await store.list()] == ids[9::-1]


@contextmanager
def opened(path: Path, *, mode: str = "ab") -> Iterator[None]:
    """Another process has the file open and has not locked it."""
    code = "import sys; f = open(sys.argv[1], sys.argv[2]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.communicate()


async def test_a_writer_that_resumed_after_the_plan_keeps_its_wal(tmp_path: Path) -> None:
    wal = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=False))
    store = SessionStore(tmp_path)
    made = await store.plan_prune(keep_last=0)
    real_writer()("open", home=tmp_path, session_id=ID)

    pruned = await store.prune(made)

    real_writer()("close")
    assert kept(pruned) == [(wal, "somebody has it open for writing")]
    assert pruned.removed == ()
    assert (tmp_path / f"{ID}.jsonl").read_bytes().startswith(session_bytes(closed=False))


async def test_a_writer_that_has_opened_and_not_yet_locked_keeps_its_wal(tmp_path: Path) -> None:
    wal = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=False))
    store = SessionStore(tmp_path)
    with opened(wal):
        pruned = await store.prune(await store.plan_prune(keep_last=0))

    assert kept(pruned) == [(wal, "somebody has it open for writing")]
    assert wal.read_bytes() == session_bytes(closed=False)
    assert (await store.prune(await store.plan_prune(keep_last=0))).removed_ids == [ID]


async def test_a_reader_that_has_it_open_keeps_nothing(tmp_path: Path) -> None:
    wal = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=False))
    with opened(wal, mode="rb"):
        assert delete_file(wal)

    assert not wal.exists()


async def test_a_closed_file_whose_session_was_reopened_is_kept(tmp_path: Path) -> None:
    final = put(tmp_path, f"{ID}.jsonl", session_bytes())
    store = SessionStore(tmp_path)
    made = await store.plan_prune(keep_last=0)
    real_writer()("open", home=tmp_path, session_id=ID)

    pruned = await store.prune(made)

    real_writer()("abandon")
    assert kept(pruned) == [(final, "a writer has reopened the session; it is kept")]
    assert final.read_bytes() == session_bytes()


@pytest.mark.parametrize("name", [f"{ID}.jsonl", f"{ID}.jsonl.__partial__"])
@pytest.mark.parametrize("change", ["grown", "touched", "replaced"])
async def test_a_file_that_changed_since_it_was_listed_is_kept(
    tmp_path: Path, name: str, change: str
) -> None:
    path = put(tmp_path, name, session_bytes())
    store = SessionStore(tmp_path)
    made = await store.plan_prune(keep_last=0)
    if change == "grown":
        path.write_bytes(session_bytes() + chunk_line())
    elif change == "touched":
        os.utime(path, (1, 1))
    else:
        put(tmp_path, "other", session_bytes()).rename(path)
    left = path.read_bytes()

    pruned = await store.prune(made)

    assert kept(pruned) == [(path, "changed since it was listed; list again")]
    assert path.read_bytes() == left


async def test_a_file_that_is_gone_is_reported_as_gone(tmp_path: Path) -> None:
    path = put(tmp_path, f"{ID}.jsonl", session_bytes())
    store = SessionStore(tmp_path)
    made = await store.plan_prune(keep_last=0)
    path.unlink()

    assert kept(await store.prune(made)) == [(path, "already gone")]


async def test_two_prunes_at_once_delete_nothing_twice_and_report_what_they_did(
    tmp_path: Path,
) -> None:
    for n in range(400):
        session_id = UUID(int=n, version=4)
        put(tmp_path, f"{session_id}.jsonl.__partial__", session_bytes(session_id=session_id))
    stores = [SessionStore(tmp_path) for _ in range(3)]
    plans = [await store.plan_prune(keep_last=0) for store in stores]
    reports: list[Pruned] = []

    async def prune(number: int) -> None:
        reports.append(await stores[number].prune(plans[number]))

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(prune, number)

    removed = [session_id for report in reports for session_id in report.removed_ids]
    assert sorted(removed) == [UUID(int=n, version=4) for n in range(400)]
    assert names(tmp_path) == []
    told = {why for report in reports for _, why in kept(report)}
    assert told <= {"already gone", "another process holds it; it is kept"}
    assert sum(len(report.kept) for report in reports) == 800


async def test_a_session_that_is_written_again_and_again_is_never_deleted_under_its_writer(
    tmp_path: Path,
) -> None:
    directory, stop = tmp_path / "sessions", tmp_path / "stop"
    directory.mkdir()
    writer = real_writer()
    writer.begin("reopen_until", home=directory, session_id=ID, stop=stop)
    store = SessionStore(directory)
    removed: list[PersistedSessionMeta] = []
    rounds = 0
    try:
        while rounds < 100 or len(removed) < 10:
            pruned = await store.prune(await store.plan_prune(keep_last=0))
            removed += pruned.removed
            rounds += 1
    finally:
        stop.touch()
        written, _ = writer.end()  # asserts that its file has its name while it writes
    left = await store.list()

    assert written >= len(removed)
    assert all(m.closed for m in removed)
    assert [m.chunk_count for m in left] in ([], [2])
    assert len(names(directory)) == len(left)


async def test_progress_is_told_in_steps_up_to_all_that_was_planned(tmp_path: Path) -> None:
    for n in range(PER_HOP + 5):
        session_id = UUID(int=n, version=4)
        put(tmp_path, f"{session_id}.jsonl", session_bytes(session_id=session_id))
    store = SessionStore(tmp_path)
    told: list[int] = []

    pruned = await store.prune(await store.plan_prune(keep_last=0), progress=told.append)

    assert told == [PER_HOP, PER_HOP + 5]
    assert (len(pruned.removed), names(tmp_path)) == (PER_HOP + 5, [])


async def test_a_plan_is_applied_up_to_where_it_is_stopped(tmp_path: Path) -> None:
    for n in range(5):
        session_id = UUID(int=n, version=4)
        put(tmp_path, f"{session_id}.jsonl", session_bytes(session_id=session_id))
    made = await SessionStore(tmp_path).plan_prune(keep_last=0)
    answers = iter([True, True, False])

    pruned = apply(made.remove, go_on=lambda: next(answers))

    assert pruned.removed == tuple(decision.meta for decision in made.remove[:2])
    assert (pruned.kept, len(names(tmp_path))) == ((), 3)


async def test_an_empty_plan_puts_right_what_was_left_aside(tmp_path: Path) -> None:
    put(tmp_path, f".{ID}.jsonl.deleting", session_bytes())

    pruned = await SessionStore(tmp_path).prune(PrunePlan((), ()))

    assert len(pruned.settled) == 1
    assert (pruned.removed, pruned.waited_in_vain) == ((), False)
    assert names(tmp_path) == [f"{ID}.jsonl"]


# --- the moment between looking and deleting


def open_for_writing(path: Path) -> subprocess.Popen[bytes]:
    """A process that opens, locks and writes as a writer does; wait until our lease stops it."""
    code = (
        "import fcntl, os, sys; f = open(sys.argv[1], 'ab');"
        "fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB);"
        "f.write(b'new\\n'); f.flush(); print(os.fstat(f.fileno()).st_nlink)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    inode = f":{path.stat().st_ino} ".encode()
    while not any(
        b"BREAKING" in line and inode in line
        for line in Path("/proc/locks").read_bytes().splitlines()
    ):
        assert process.poll() is None
    return process


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
async def test_a_writer_that_opens_while_we_delete_gets_its_wal_back_and_ends_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=False))
    refuse_writers = leases.refuse_writers
    started: list[subprocess.Popen[bytes]] = []
    assert signal.getsignal(signal.SIGIO) is signal.SIG_DFL  # which would end us

    def and_then_one_comes(fd: int, path: Path) -> None:
        refuse_writers(fd, path)
        if not started:
            started.append(open_for_writing(path))

    monkeypatch.setattr(deleting, "refuse_writers", and_then_one_comes)

    with pytest.raises(SessionBusy) as caught:
        delete_file(wal)
    links, _ = started[0].communicate(timeout=30)

    assert str(caught.value) == f"{wal}: somebody has it open for writing"
    assert links == b"1\n"
    assert wal.read_bytes() == session_bytes(closed=False) + b"new\n"
    assert names(tmp_path) == [wal.name]


@pytest.mark.parametrize("ending", ["", ".__partial__"])
async def test_a_file_that_another_one_replaced_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path = put(tmp_path, f"{ID}.jsonl{ending}", session_bytes(closed=not ending))
    refuse_writers = leases.refuse_writers

    def and_then_one_comes(fd: int, path: Path) -> None:
        monkeypatch.undo()
        refuse_writers(fd, path)
        put(tmp_path, "new", session_bytes(2)).rename(path)

    monkeypatch.setattr(deleting, "refuse_writers", and_then_one_comes)

    with pytest.raises(PersistenceError, match="replaced since it was opened; list again"):
        delete_file(path)

    assert path.read_bytes() == session_bytes(2)
    assert names(tmp_path) == [path.name]


async def test_a_file_that_is_put_in_place_while_the_old_one_goes_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, f"{ID}.jsonl", session_bytes())
    unlink = Path.unlink

    def and_then_one_comes(self: Path) -> None:
        put(tmp_path, "new", session_bytes(2)).rename(path)
        unlink(self)

    monkeypatch.setattr(Path, "unlink", and_then_one_comes)

    assert delete_file(path)
    assert (path.read_bytes(), names(tmp_path)) == (session_bytes(2), [path.name])

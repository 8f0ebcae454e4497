from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import anyio
import anyio.from_thread
import pytest

import mortals
from samples import ID, chunk_line, header_line, session_bytes
from sessiontail import (
    PersistenceError,
    Pruned,
    SessionBusy,
    SessionStore,
)
from sessiontail.directory import prune as pruning
from sessiontail.session import asides, deleting
from sessiontail.session.asides import aside_of, left_aside, settle
from sessiontail.session.deleting import delete_both, delete_file
from sessiontail.system import leases, renaming
from sessiontail.system.leases import DirectoryBusy
from sessiontail.system.paths import session_paths
from test_directory_prune import open_for_writing
from writers import real_writer

pytestmark = pytest.mark.anyio

FINAL, WAL = f"{ID}.jsonl", f"{ID}.jsonl.__partial__"
OLD, NEW = session_bytes(1), session_bytes(2)


def put(path: Path, data: bytes, *, at_s: int = 0) -> Path:
    path.write_bytes(data)
    os.utime(path, (at_s, at_s))
    return path


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


# --- killed at any step


def lives(tmp_path: Path, *arguments: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, mortals.__file__, str(tmp_path / "life"), *arguments],
        stdout=subprocess.PIPE,
        check=True,
    )
    count, faults = json.loads(done.stdout)
    return count, faults


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
@pytest.mark.parametrize(
    ("deed", "world"),
    [
        *[(deed, "nothing") for deed in mortals.DEEDS],
        ("delete_wal", "resumed"),
        ("delete_final", "closed"),
        ("delete_wal", "created"),
        ("prune", "closed"),
    ],
)
def test_killed_at_any_step_it_hides_nothing_loses_nothing_and_the_next_one_puts_it_right(
    tmp_path: Path, deed: str, world: str
) -> None:
    count, faults = lives(tmp_path, deed, world)

    assert faults == []
    assert count > 10


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
@pytest.mark.parametrize("way", ["renameat2", "link"])
@pytest.mark.parametrize("world", [*mortals.WORLDS, "resumed"])
@pytest.mark.parametrize("deed", mortals.DEEDS)
def test_killed_at_any_step_whatever_the_world_does_and_however_names_are_given_back(
    tmp_path: Path, deed: str, world: str, way: str
) -> None:
    assert lives(tmp_path, deed, world, way)[1] == []


# --- all or nothing


@pytest.mark.parametrize("how", ["locked", "open for writing"])
@pytest.mark.parametrize("held", [FINAL, WAL])
async def test_nothing_is_deleted_where_either_file_is_in_use(
    tmp_path: Path, held: str, how: str
) -> None:
    put(tmp_path / FINAL, OLD)
    put(tmp_path / WAL, NEW)
    with (tmp_path / held).open("rb" if how == "locked" else "r+b") as file:
        if how == "locked":
            fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(SessionBusy) as caught:
            await SessionStore(tmp_path).delete(ID)

    assert caught.value.path == tmp_path / held
    assert files(tmp_path) == {FINAL: OLD, WAL: NEW}


def at(monkeypatch: pytest.MonkeyPatch, name: str, nth: int, act: Callable[[], object]) -> None:
    """Act just before the nth call of a step of a deletion."""
    step = getattr(deleting._Target, name)
    calls = 0

    def and_then(target: deleting._Target) -> None:
        nonlocal calls
        calls += 1
        if calls == nth:
            act()
        step(target)

    monkeypatch.setattr(deleting._Target, name, and_then)


def fail() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize(
    ("step", "nth"),
    [("take", 1), ("take", 2), ("look_again", 1), ("look_again", 2), ("remove", 1)],
)
async def test_a_step_that_fails_before_the_first_file_is_gone_leaves_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, nth: int
) -> None:
    put(tmp_path / FINAL, OLD)
    put(tmp_path / WAL, NEW)
    at(monkeypatch, step, nth, fail)

    with pytest.raises(PersistenceError, match=r"Input/output error$"):
        delete_both(session_paths(ID, tmp_path))

    assert files(tmp_path) == {FINAL: OLD, WAL: NEW}


async def test_where_the_second_file_cannot_go_the_error_says_that_the_first_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / FINAL, OLD)
    put(tmp_path / WAL, NEW)
    at(monkeypatch, "remove", 2, fail)

    with pytest.raises(PersistenceError) as caught:
        delete_both(session_paths(ID, tmp_path))

    assert str(caught.value) == (
        f"{tmp_path / FINAL}: Input/output error; {WAL} was deleted before that, the rest stays"
    )
    assert files(tmp_path) == {FINAL: OLD}


async def test_a_session_that_is_closed_while_it_is_deleted_goes_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / FINAL, OLD)
    wal = put(tmp_path / WAL, NEW)
    at(monkeypatch, "take", 1, lambda: wal.rename(tmp_path / FINAL))

    assert delete_both(session_paths(ID, tmp_path)) is True
    assert files(tmp_path) == {}


async def test_two_names_of_one_file_both_go(tmp_path: Path) -> None:
    os.link(put(tmp_path / FINAL, OLD), tmp_path / WAL)

    assert delete_both(session_paths(ID, tmp_path)) is True
    assert files(tmp_path) == {}


async def test_what_was_written_while_we_stood_still_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal = put(tmp_path / WAL, OLD)

    def come_and_go() -> None:  # after lease-break-time, 45 s, the kernel lets a writer through
        with aside_of(wal).open("r+b") as file:
            file.seek(0, 2)
            file.write(chunk_line(1))

    def lose_the_lease() -> None:
        fcntl.fcntl(targets[0].file.fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        come_and_go()

    targets: list[deleting._Target] = []
    init = deleting._Target.__init__

    def remembered(self: deleting._Target, path: Path) -> None:
        init(self, path)
        targets.append(self)

    monkeypatch.setattr(deleting._Target, "__init__", remembered)
    at(monkeypatch, "look_again", 1, lose_the_lease)

    with pytest.raises(SessionBusy, match="written while it was deleted; it is kept"):
        delete_file(wal)

    assert files(tmp_path) == {WAL: OLD + chunk_line(1)}


async def test_where_its_name_is_taken_meanwhile_a_file_that_is_spared_gets_another_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal = put(tmp_path / WAL, OLD)
    own = f"{ID}.{wal.stat().st_ino:x}.jsonl.__partial__"

    def begin_another() -> None:
        put(wal, NEW)
        fail()

    at(monkeypatch, "look_again", 1, begin_another)

    with pytest.raises(PersistenceError) as caught:
        delete_file(wal)

    told = f"{aside_of(wal).name} is called {own}: its name was taken"
    assert caught.value.message == f"Input/output error; {told}"
    assert files(tmp_path) == {WAL: NEW, own: OLD}


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
async def test_of_two_writers_that_come_while_the_name_is_gone_neither_loses_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has opened the WAL and waits for our lease, the other finds none and begins one."""
    wal = put(tmp_path / WAL, OLD)
    started: list[subprocess.Popen[bytes]] = []

    def come() -> None:
        started.append(open_for_writing(aside_of(wal)))  # as if it had looked it up before
        put(wal, NEW)

    at(monkeypatch, "look_again", 1, come)

    with pytest.raises(SessionBusy) as caught:
        delete_file(wal)
    written, _ = started[0].communicate()
    (settled,) = settle(tmp_path)

    assert caught.value.message == (
        f"somebody has it open for writing; {aside_of(wal).name} stays aside: {WAL} is another "
        "file by now, and somebody may be writing this one: the next prune puts it right"
    )
    assert (written, settled.done) == (b"1\n", True)
    assert sorted(files(tmp_path).values()) == sorted([OLD + b"new\n", NEW])


# --- systems that give less


async def test_without_a_rename_that_spares_names_are_given_back_by_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renaming, "_renameat2", lambda _old, _new: False)
    put(aside_of(tmp_path / FINAL), OLD)
    put(aside_of(tmp_path / WAL), OLD)
    put(tmp_path / WAL, NEW)

    assert all(one.done for one in settle(tmp_path))
    assert sorted(files(tmp_path).values()) == sorted([OLD, NEW, OLD])
    assert (tmp_path / WAL).read_bytes() == NEW


async def test_without_links_too_names_are_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(renaming, "_renameat2", lambda _old, _new: False)
    monkeypatch.setattr(os, "link", no_links)
    put(aside_of(tmp_path / FINAL), OLD)
    put(aside_of(tmp_path / WAL), OLD)
    put(tmp_path / WAL, NEW)

    assert all(one.done for one in settle(tmp_path))
    assert (tmp_path / WAL).read_bytes() == NEW
    assert (tmp_path / FINAL).read_bytes() == OLD


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
async def test_without_locks_a_wal_is_kept_with_the_reason_and_a_closed_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def no_locks(_fd: int, _how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    final, wal = put(tmp_path / FINAL, OLD), put(tmp_path / WAL, NEW)

    with pytest.raises(PersistenceError) as caught:
        delete_file(wal)

    assert str(caught.value) == (
        f"{wal}: this file system has no locks, so a writer would not show; it is kept: "
        "delete it by hand if nobody writes it"
    )
    assert delete_file(final) is True
    assert files(tmp_path) == {WAL: NEW}


@pytest.mark.parametrize("busy", [True, False])
async def test_where_a_lock_wants_the_file_open_for_writing_it_is_asked_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, busy: bool
) -> None:
    flock = fcntl.flock

    def as_on_nfs(fd: Any, how: int) -> None:
        number = fd if isinstance(fd, int) else fd.fileno()
        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", as_on_nfs)
    monkeypatch.setattr(leases, "filesystem_type", lambda _: "nfs4")
    wal = put(tmp_path / WAL, OLD)
    with wal.open("ab" if busy else "rb") as file:
        if busy:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(SessionBusy, match="another process holds it; it is kept"):
                delete_file(wal)
        else:
            assert delete_file(wal) is True


async def test_without_leases_the_lock_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_leases(_fd: int, _what: int, _how: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(fcntl, "fcntl", no_leases)
    put(tmp_path / WAL, OLD)

    assert delete_file(tmp_path / WAL) is True


async def test_a_name_that_is_too_long_to_be_put_aside_is_told(tmp_path: Path) -> None:
    path = put(tmp_path / ("x" * 249 + ".jsonl"), OLD)

    with pytest.raises(PersistenceError, match="its name is too long to be put aside"):
        delete_file(path)

    assert path.exists()


# --- a writer that is about to lock its WAL


def locks_taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the inodes of all files whose lock is tried from now on."""
    taken: list[int] = []
    flock = fcntl.flock

    def noted(fd: Any, how: int) -> None:
        if how & fcntl.LOCK_UN == 0:
            taken.append(os.fstat(fd).st_ino)
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", noted)
    return taken


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
@pytest.mark.parametrize("deleted", [[FINAL], [WAL], [FINAL, WAL]])
async def test_the_lock_of_a_wal_is_not_touched_while_a_writer_has_it_open_and_not_locked_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deleted: list[str]
) -> None:
    put(tmp_path / FINAL, OLD)
    wal = put(tmp_path / WAL, NEW)
    taken = locks_taken(monkeypatch)

    with wal.open("ab"), pytest.raises(SessionBusy):
        deleting._delete([tmp_path / name for name in deleted], None, 0)

    assert wal.stat().st_ino not in taken
    assert files(tmp_path) == {FINAL: OLD, WAL: NEW}


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
async def test_the_lock_of_what_lies_aside_is_not_touched_while_a_writer_has_it_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = put(aside_of(tmp_path / WAL), OLD)
    taken = locks_taken(monkeypatch)

    with aside.open("ab"):
        (settled,) = settle(tmp_path)

    assert settled.done
    assert (tmp_path / WAL).stat().st_ino not in taken


async def test_a_wal_that_is_looked_at_is_let_go_of_before_its_closed_file_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / FINAL, OLD)
    wal = put(tmp_path / WAL, NEW)

    def come() -> None:
        fd = os.open(wal, os.O_WRONLY | os.O_NONBLOCK)  # would not wait for a lease: it raises
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(fd)

    at(monkeypatch, "take", 1, come)

    assert delete_file(tmp_path / FINAL) is True
    assert files(tmp_path) == {WAL: NEW}


# --- many at once


PRUNER = """
import asyncio, json, sys
from sessiontail import SessionStore

async def main():
    store = SessionStore(sys.argv[1])
    plan = await store.plan_prune(keep_last=0)
    print(len(plan.remove), flush=True)
    sys.stdin.readline()
    pruned = await store.prune(plan)
    print(json.dumps([[str(i) for i in pruned.removed_ids], [one.why for one in pruned.kept]]))

asyncio.run(main())
"""


async def test_processes_that_prune_at_once_delete_each_file_once(tmp_path: Path) -> None:
    ids = [UUID(int=n, version=4) for n in range(300)]
    for n, session_id in enumerate(ids):
        put(
            tmp_path / f"{session_id}.jsonl{'.__partial__' * (n % 2)}",
            session_bytes(session_id=session_id),
        )
    pruners = [
        subprocess.Popen(
            [sys.executable, "-c", PRUNER, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for pruner in pruners:
        assert pruner.stdout is not None
        assert pruner.stdout.readline() == "300\n"
    for pruner in pruners:
        assert pruner.stdin is not None
        pruner.stdin.write("go\n")
        pruner.stdin.flush()

    reports = [json.loads(pruner.communicate()[0]) for pruner in pruners]

    removed = [session_id for report in reports for session_id in report[0]]
    assert sorted(removed) == sorted(map(str, ids))
    assert {why for report in reports for why in report[1]} <= {"already gone"}
    assert files(tmp_path) == {}


async def test_a_deletion_that_stands_still_makes_others_wait_once_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        put(tmp_path / f"{UUID(int=n, version=4)}.jsonl", OLD)
    store = SessionStore(tmp_path)
    plan = await store.plan_prune(keep_last=0)
    waited: list[float] = []
    turn = leases.turn

    def short(directory: Path, wait_s: float) -> Any:
        waited.append(wait_s)
        return turn(directory, 0)

    for where in (asides, deleting):
        monkeypatch.setattr(where, "turn", short)
    fd = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    pruned = await store.prune(plan)
    with pytest.raises(DirectoryBusy):
        delete_file(plan.remove[0].meta.path)
    os.close(fd)

    told = "another deletion in the directory does not end; it is kept"
    assert {one.why for one in pruned.kept} == {told}
    assert (len(pruned.kept), waited) == (3, [5.0, 0, 0, 5.0])
    assert len((await store.prune(plan)).removed) == 3


def many(directory: Path) -> None:
    for n in range(60):
        put(directory / f"{UUID(int=n, version=4)}.jsonl", OLD)


def at_third_file(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    deleted: list[Path] = []

    def and_then(path: Path, **options: Any) -> bool:
        deleted.append(path)
        if len(deleted) == 3:
            act()
        return delete_file(path, **options)

    monkeypatch.setattr(pruning, "delete_file", and_then)


async def test_a_cancelled_prune_stops_before_the_next_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(tmp_path)
    store = SessionStore(tmp_path)
    plan = await store.plan_prune(keep_last=0)

    with anyio.CancelScope() as scope:
        at_third_file(monkeypatch, lambda: anyio.from_thread.run_sync(scope.cancel))
        await store.prune(plan)

    assert scope.cancelled_caught
    assert len(files(tmp_path)) == 57


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_is_cancelled_natively_leaves_no_thread_that_goes_on_deleting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(tmp_path)
    store = SessionStore(tmp_path)
    plan = await store.plan_prune(keep_last=0)
    task = asyncio.ensure_future(store.prune(plan))
    cancelled, ended = Event(), Event()

    def cancel() -> None:
        anyio.from_thread.run_sync(task.cancel)
        cancelled.wait()

    def and_end(*verdicts: Any, **options: Any) -> Pruned:
        try:
            return apply(*verdicts, **options)
        finally:
            ended.set()

    apply = pruning.apply
    at_third_file(monkeypatch, cancel)
    monkeypatch.setattr(pruning, "apply", and_end)

    with pytest.raises(asyncio.CancelledError):
        await task
    cancelled.set()
    await asyncio.to_thread(ended.wait)

    assert len(files(tmp_path)) == 57


async def test_a_writer_that_resumes_beside_two_deleters_never_writes_into_nothing(
    tmp_path: Path,
) -> None:
    wal = tmp_path / WAL
    writer = real_writer()
    answers: list[object] = []

    def delete() -> None:
        try:
            answers.append(delete_file(wal))
        except PersistenceError as error:
            answers.append(error)

    for n in range(50):
        put(wal, header_line())
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(anyio.to_thread.run_sync, delete)
        writer("open", home=tmp_path, session_id=ID)
        delete()
        writer("write", text=f"line {n}")
        writer("abandon")
        assert f"line {n}" in wal.read_text()
        assert left_aside(tmp_path) == []

    assert len(answers) == 150

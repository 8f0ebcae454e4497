from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from uuid import UUID

import anyio
import pytest

from actors import Actor, drain, nothing_more, take, threads_at_rest
from samples import ID, chunk_line, header_line, session_bytes
from sessiontail import Outcome, SessionState, SessionStore, SessionTail
from sessiontail.session import ending
from sessiontail.session.meta import state_of
from sessiontail.system import locks as holders, surveying
from sessiontail.system.locks import LockTable, locks
from sessiontail.system.stamps import FileId
from writers import real_writer

DEVICE = os.makedev(0x08, 0x02)


def status(inode: int, *, device: int = DEVICE, modified_s: float = 0.0) -> os.stat_result:
    return os.stat_result((0o100600, inode, device, 1, 0, 0, 0, 0, modified_s, 0))


@pytest.mark.parametrize(
    ("line", "pid"),
    [
        (b"1: FLOCK  ADVISORY  WRITE 4711 08:02:123 0 EOF\n", 4711),
        (b"12: FLOCK  ADVISORY  WRITE 4711 08:02:123 0 EOF\n", 4711),
        (b"1: FLOCK  ADVISORY  WRITE 4711 fd:00:123 0 EOF\n", 4711),
        (b"1: -> FLOCK  ADVISORY  WRITE 4711 08:02:123 0 EOF\n", None),
        (b"1: FLOCK  ADVISORY  READ  4711 08:02:123 0 EOF\n", None),
        (b"1: POSIX  ADVISORY  WRITE 4711 08:02:123 0 EOF\n", None),
        (b"1: OFDLCK ADVISORY  WRITE -1 08:02:123 0 EOF\n", None),
        (b"1: LEASE  ACTIVE    READ  4711 08:02:123 0 EOF\n", None),
        (b"1: FLOCK  ADVISORY  WRITE 4711 08:02:1234 0 EOF\n", None),
        (b"1: FLOCK  ADVISORY  WRITE 4711 08:02:12 0 EOF\n", None),
        (b"", None),
        (b"\n\0garbage", None),
    ],
)
def test_only_a_held_exclusive_flock_on_the_inode_names_a_writer(
    line: bytes, pid: int | None
) -> None:
    table = LockTable(line)

    assert table.holder(status(123)) == pid
    assert table.holds(FileId(DEVICE, 123)) == (pid is not None)


def test_the_device_decides_between_two_files_of_one_inode_number() -> None:
    text = (
        b"1: FLOCK  ADVISORY  WRITE 1 fd:00:123 0 EOF\n"
        b"2: FLOCK  ADVISORY  WRITE 2 08:02:123 0 EOF\n"
    )
    table = LockTable(text)

    assert table.holder(status(123)) == 2
    assert table.holder(status(123, device=os.makedev(0xFD, 0))) == 1


def test_where_locks_cannot_be_read_nothing_is_known() -> None:
    assert not LockTable(None).known
    assert LockTable(b"").known


@pytest.mark.parametrize(
    ("locks", "is_wal", "closed", "age_s", "state"),
    [
        (b"1: FLOCK  ADVISORY  WRITE 7 08:02:123 0 EOF\n", True, False, 0, SessionState.LIVE),
        (b"1: FLOCK  ADVISORY  WRITE 7 08:02:123 0 EOF\n", True, True, 99, SessionState.LIVE),
        (b"", True, True, 0, SessionState.CLOSED),
        (b"", False, True, 0, SessionState.CLOSED),
        (b"", False, False, 0, SessionState.ABANDONED),
        (b"", True, False, 600, SessionState.ABANDONED),
        (b"", True, False, 599, SessionState.UNKNOWN),
        (b"", True, False, -3600, SessionState.UNKNOWN),
        (None, True, False, 99, SessionState.UNKNOWN),
        (None, True, True, 99, SessionState.CLOSED),
    ],
)
def test_a_state_follows_from_lock_trailer_name_and_age(
    *, locks: bytes | None, is_wal: bool, closed: bool, age_s: float, state: SessionState
) -> None:
    table = LockTable(locks)
    now_s = 1e9

    found, pid = state_of(
        status(123, modified_s=now_s - age_s),
        is_wal=is_wal,
        closed=closed,
        locks=table,
        now_s=now_s,
    )

    assert (found, pid) == (state, 7 if state is SessionState.LIVE else None)


def test_a_real_writer_shows_while_it_holds_its_wal_and_not_after(tmp_path: Path) -> None:
    pid = real_writer()("open", home=tmp_path, session_id=ID)
    wal = tmp_path / f"{ID}.jsonl.__partial__"

    held = LockTable.read().holder(wal.stat())
    real_writer()("close")

    assert held == pid == real_writer().pid
    assert LockTable.read().holder((tmp_path / f"{ID}.jsonl").stat()) is None


def test_a_shared_lock_and_a_waiting_one_name_no_writer(tmp_path: Path) -> None:
    path = tmp_path / "x"
    waiter = "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'rb'), fcntl.LOCK_EX)"
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with subprocess.Popen([sys.executable, "-c", waiter, str(path)]) as process:
            inode = f":{path.stat().st_ino} ".encode()
            while not any(  # until the kernel shows that it waits
                b"-> FLOCK" in line and inode in line
                for line in Path("/proc/locks").read_bytes().splitlines()
            ):
                assert process.poll() is None
            holder = LockTable.read().holder(path.stat())
            fcntl.flock(file, fcntl.LOCK_UN)

    assert holder is None


def test_no_held_lock_is_missed_while_hundreds_of_others_come_and_go(tmp_path: Path) -> None:
    churn = """
import fcntl, os, sys, time
files = [open(f"{sys.argv[1]}/{i}", "wb") for i in range(400)]
for file in files:
    fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
for i in range(10**9):
    fcntl.flock(files[i * 62 % 400], fcntl.LOCK_UN)
    fcntl.flock(files[i * 62 % 400], fcntl.LOCK_EX)
    time.sleep(0.0002)
"""
    with subprocess.Popen(
        [sys.executable, "-c", churn, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        kept = [tmp_path / str(i) for i in range(1, 400, 2)]
        keys = [FileId.of(s) for s in map(Path.stat, kept)]
        missed = sum(not table.holds(key) for table in _tables(150) for key in keys)
        process.kill()

    assert missed == 0


def _tables(count: int) -> list[LockTable]:
    return [LockTable.read() for _ in range(count)]


@pytest.mark.anyio
async def test_a_busy_reader_never_makes_a_lock_attempt_fail(tmp_path: Path) -> None:
    wal = tmp_path / f"{ID}.jsonl.__partial__"
    wal.write_bytes(session_bytes(3, closed=False))
    store = SessionStore(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", ATTEMPTS, str(wal), "20000"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    rounds = 0
    with process:
        while process.poll() is None:
            await store.list()
            await store.load(ID)
            assert len([record async for record in store.read(ID)]) == 4
            async with store.tail(ID) as tail, store.tail_all() as all_of_them:
                for _ in range(4):
                    await anext(tail)
                    await anext(all_of_them)
            rounds += 1
            if rounds == 20:
                assert process.stdin is not None
                process.stdin.close()
        assert process.stdout is not None
        failed = int(process.stdout.read())

    assert failed == 0


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry for each reading of the lock table: whether it was in this thread."""
    threads_at_rest()
    reads: list[bool] = []
    plain = LockTable.read

    def read() -> LockTable:
        reads.append(threading.get_ident() == here)
        return plain()

    here = threading.get_ident()
    monkeypatch.setattr(LockTable, "read", read)
    return reads


@pytest.mark.anyio
async def test_hundreds_of_idle_tails_read_the_lock_table_as_often_as_one(
    store: SessionStore, reads: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "LOCKS_INTERVAL_S", 0.0)
    actors = [Actor(store.directory, UUID(int=n + 1)).open() for n in range(200)]
    tails = [store.tail(actor.id) for actor in actors]
    async with store, anyio.create_task_group() as tasks:
        for tail in tails:
            await take(tail, 1)
            tasks.start_soon(nothing_more, tail, 60)
        while any(tail._judge for tail in tails):
            await anyio.sleep(0.001)
        before, sweeps = len(reads), store.stats.sweeps
        await anyio.sleep(0.3)
        idle, looks = len(reads) - before, store.stats.sweeps - sweeps
        tasks.cancel_scope.cancel()
    for tail in tails:
        tail.close()

    # A look at the directory reads it once for all of them; where events tell, none is due.
    assert idle <= looks + 1
    assert not any(reads)


@pytest.mark.anyio
async def test_all_who_ask_while_the_lock_table_is_read_share_the_next_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entered, released = threading.Semaphore(0), threading.Event()
    tables: list[LockTable] = []

    # Not ``LockTable.read``: a survey of an earlier test may still be in a thread.
    def read(_: float) -> tuple[LockTable, float]:
        entered.release()
        released.wait(30)
        tables.append(LockTable(None))
        return tables[-1], 0.0

    monkeypatch.setattr(holders, "_read_at", read)
    found: list[LockTable] = []

    async def ask() -> None:
        found.append(await locks().table())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        while not entered.acquire(blocking=False):
            await anyio.sleep(0.001)
        for _ in range(100):
            tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        released.set()

    assert found == [tables[0]] + [tables[1]] * 100
    assert len(tables) == 2


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["lone", "every"])
async def test_a_writer_that_locks_after_its_file_was_read_is_known_to_be_gone(
    store: SessionStore, way: str
) -> None:
    """Who opens a WAL between its creation and its lock sees no holder; the writer shows later."""
    fd = os.open(store.directory / f"{ID}.jsonl.__partial__", os.O_CREAT | os.O_WRONLY)
    os.write(fd, header_line())
    async with store, store.tail(ID) as lone, store.tail_all() as every:
        tail = lone if way == "lone" else every
        await anext(tail)
        follower = (
            lone._follower if way == "lone" else every._following.sessions.lanes[str(ID)].follower
        )
        assert follower is not None
        with anyio.fail_after(30):
            while follower.end._doubt_s is None:
                await nothing_more(tail, 0.01)
            fcntl.flock(fd, fcntl.LOCK_EX)
            os.write(fd, chunk_line())
            await anext(tail)
            while not follower.end._seen_writer:
                assert await nothing_more(tail, 0.01)
            os.close(fd)

            if way == "lone":
                assert await drain(lone) == []
                assert lone.outcome is Outcome.ABANDONED
            while way == "every" and not every._following.sessions.lanes[str(ID)].abandoned:
                assert await nothing_more(every, 0.01)


async def known_to_live(tail: SessionTail, actor: Actor) -> None:
    assert await take(tail, 1) == actor.records
    while tail._judge:
        await nothing_more(tail, 0.01)


@pytest.mark.anyio
async def test_a_lock_table_that_could_not_be_read_is_asked_for_again(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that has all descriptors for a while, as the writer dies."""
    monkeypatch.setattr(ending, "FAILED_RECHECK_S", 0.01)
    plain = holders._read
    failed = 0

    def fail(_: int) -> bytes:
        nonlocal failed
        failed += 1
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    actor = Actor(store.directory).open()
    async with store, store.tail(ID) as tail:
        await known_to_live(tail, actor)
        monkeypatch.setattr(holders, "_read", fail)
        actor.kill()
        while failed < 5:
            assert await nothing_more(tail, 0.01)
        monkeypatch.setattr(holders, "_read", plain)

        assert await drain(tail) == []
        assert tail.outcome is Outcome.ABANDONED


@pytest.mark.anyio
async def test_a_wait_for_the_lock_table_that_is_cut_short_goes_on_at_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, reads, released = LockTable.read, 0, threading.Event()

    def read() -> LockTable:
        nonlocal reads
        reads += 1
        released.wait(30)
        return plain()

    actor = Actor(tmp_path).open()
    store = SessionStore(tmp_path, sweep_interval_s=600)
    async with store, store.tail(ID) as tail:
        await known_to_live(tail, actor)
        threads_at_rest()
        monkeypatch.setattr(LockTable, "read", read)
        actor.kill()
        while not reads:
            assert await nothing_more(tail, 0.01)
        for _ in range(5):
            assert await nothing_more(tail, 0.01)
        released.set()

        assert await drain(tail) == []
        assert (tail.outcome, reads) == (Outcome.ABANDONED, 1)


@pytest.mark.anyio
async def test_the_lock_table_is_not_read_all_the_time(
    monkeypatch: pytest.MonkeyPatch, reads: list[bool]
) -> None:
    monkeypatch.setattr(holders, "_SHARE", 0.0001)  # a reading takes some 30 us
    monkeypatch.setattr(holders, "_MAX_PAUSE_S", 0.02)
    began_s = time.monotonic()
    for _ in range(5):
        await locks().table()

    assert time.monotonic() - began_s >= 4 * 0.02
    assert reads == [False] * 5


ATTEMPTS = """
import fcntl, select, sys
failed = attempts = 0
while attempts < int(sys.argv[2]) or not select.select([sys.stdin], [], [], 0)[0]:
    attempts += 1
    with open(sys.argv[1], "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            failed += 1
print(failed)
"""

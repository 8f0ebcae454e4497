from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest
from hypothesis import assume, given, settings, strategies as st

from samples import ID, chunk_line, session_bytes
from sessiontail import (
    InvalidSessionId,
    LineageKind,
    PersistedSessionMeta,
    PersistenceError,
    Pruned,
    SessionBusy,
    SessionState,
    SessionStore,
    delete_session,
    prune_sessions,
)
from sessiontail.directory.plan import PruneDecision, plan
from sessiontail.session import deleting
from sessiontail.session.deleting import delete_file
from sessiontail.system import leases
from writers import real_writer

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CLOSED, LIVE, ABANDONED = SessionState.CLOSED, SessionState.LIVE, SessionState.ABANDONED


def meta(
    number: int, *, days: float = 0, size: int = 10, state: SessionState = CLOSED
) -> PersistedSessionMeta:
    return PersistedSessionMeta(
        id_text=str(UUID(int=number)),
        file=f"{number}.jsonl",
        created_at=NOW - timedelta(days=days),
        lineage_operator="implicit",
        lineage_kind=LineageKind.UNKNOWN,
        chunk_count=0,
        closed=state is CLOSED,
        state=state,
        parent_texts=(),
        cumulative_usage=None,
        closed_at=None,
        size_bytes=size,
        modified_at=NOW,
    )


def whys(verdicts: tuple[PruneDecision, ...]) -> list[tuple[int, str]]:
    return [(verdict.meta.id.int, verdict.why) for verdict in verdicts]


METAS = [
    meta(1, days=40),
    meta(2, days=31, state=ABANDONED),
    meta(3, days=30),
    meta(4, days=20, state=LIVE),
    meta(5, days=1),
]


@pytest.mark.parametrize(
    ("rules", "remove", "keep"),
    [
        (
            {"older_than": timedelta(days=30)},
            [(1, "older than 30 days"), (2, "older than 30 days")],
            [(3, "within the limits"), (4, "live"), (5, "within the limits")],
        ),
        (
            {"older_than": timedelta(hours=25), "keep_last": 3},
            [(1, "older than 25 hours"), (2, "older than 25 hours")],
            [(3, "among the 3 newest"), (4, "live"), (5, "among the 3 newest")],
        ),
        (
            {"older_than": timedelta(days=1), "states": ["abandoned"]},
            [(2, "older than 1 day")],
            [
                (1, "closed, not abandoned"),
                (3, "closed, not abandoned"),
                (4, "live"),
                (5, "closed, not abandoned"),
            ],
        ),
        (
            {"keep_last": 1},
            [(n, "not among the 1 newest") for n in (1, 2, 3)],
            [(4, "live"), (5, "among the 1 newest")],
        ),
        (
            {"max_total_bytes": 25},
            [
                (1, "all together are more than 25 bytes"),
                (2, "all together are more than 25 bytes"),
                (3, "all together are more than 25 bytes"),
            ],
            [(4, "live"), (5, "within the limits")],
        ),
        (
            {"max_total_bytes": 40, "older_than": timedelta(days=35)},
            [(1, "older than 35 days")],
            [
                (2, "within the limits"),
                (3, "within the limits"),
                (4, "live"),
                (5, "within the limits"),
            ],
        ),
        (
            {"states": [CLOSED, LIVE]},
            [(1, "closed"), (3, "closed"), (5, "closed")],
            [(2, "abandoned, not closed or live"), (4, "live")],
        ),
        ({"older_than": timedelta.max}, [], [(m.id.int, "within the limits") for m in METAS]),
    ],
)
def test_a_plan_names_what_goes_and_what_stays_and_why(
    rules: dict[str, Any], remove: list[tuple[int, str]], keep: list[tuple[int, str]]
) -> None:
    made = plan(reversed(METAS), now=NOW, **rules)

    if "older_than" in rules and rules["older_than"] == timedelta.max:
        keep[3] = (4, "live")
    assert (whys(made.remove), whys(made.keep)) == (remove, keep)
    assert made.bytes_to_free == 10 * len(remove)


def test_a_session_with_a_live_wal_keeps_its_closed_file_too() -> None:
    old, new = meta(1, days=9), meta(1, days=1, state=LIVE)

    made = plan([new, old], now=NOW, keep_last=0)

    assert (made.remove, made.keep) == (
        (),
        (PruneDecision(old, "live"), PruneDecision(new, "live")),
    )


@pytest.mark.parametrize(
    ("rules", "error", "told"),
    [
        ({}, ValueError, "give a rule: older_than=, keep_last=, max_total_bytes= or states="),
        ({"keep_last": -1}, ValueError, "keep_last cannot be negative: -1"),
        ({"max_total_bytes": -1}, ValueError, "max_total_bytes cannot be negative: -1"),
        (
            {"older_than": timedelta(days=-1)},
            ValueError,
            "older_than cannot be negative: -1 day, 0:00:00",
        ),
        ({"older_than": 30}, TypeError, "older_than is a timedelta, not int 30"),
        ({"keep_last": "3"}, TypeError, "keep_last is an int, not str '3'"),
        ({"max_total_bytes": "10G"}, TypeError, "max_total_bytes is an int, not str '10G'"),
        ({"states": "closed"}, TypeError, "states: give a collection, such as ['closed']"),
        ({"states": CLOSED}, TypeError, "states: give a collection, such as ['closed']"),
    ],
)
async def test_a_plan_with_no_rule_or_one_that_cannot_be_meant_is_refused_by_name(
    tmp_path: Path, rules: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as planned:
        plan(METAS, now=NOW, **rules)
    with pytest.raises(error) as asked:
        await SessionStore(tmp_path).plan_prune(**rules)

    assert [str(planned.value), str(asked.value)] == [told, told]


@pytest.mark.parametrize("older_than", [timedelta(days=-1), 30])
async def test_a_prune_by_an_age_that_is_none_touches_nothing(
    tmp_path: Path, older_than: Any
) -> None:
    left = put(tmp_path, f".{ID}.jsonl.deleting", session_bytes())

    with pytest.raises((TypeError, ValueError), match="older_than"):
        await prune_sessions(older_than=older_than, directory=tmp_path)

    assert names(tmp_path) == [left.name]


def test_a_state_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="asleep"):
        plan(METAS, now=NOW, states=["asleep"])


metas = st.lists(
    st.tuples(
        st.integers(1, 9),
        st.integers(0, 60),
        st.integers(0, 100),
        st.sampled_from(list(SessionState)),
    ),
    max_size=12,
).map(lambda rows: [meta(n, days=d, size=b, state=s) for n, d, b, s in rows])


@settings(max_examples=200)
@given(
    metas=metas,
    days=st.none() | st.integers(0, 60),
    keep_last=st.none() | st.integers(0, 12),
    limit=st.none() | st.integers(0, 600),
    states=st.none() | st.sets(st.sampled_from(list(SessionState))),
)
def test_every_plan_parts_the_sessions_and_spares_what_must_stay(
    metas: list[PersistedSessionMeta],
    days: int | None,
    keep_last: int | None,
    limit: int | None,
    states: set[SessionState] | None,
) -> None:
    assume((days, keep_last, limit, states) != (None, None, None, None))
    older_than = None if days is None else timedelta(days=days)

    made = plan(
        metas,
        now=NOW,
        older_than=older_than,
        keep_last=keep_last,
        max_total_bytes=limit,
        states=states,
    )

    gone, kept = [v.meta for v in made.remove], [v.meta for v in made.keep]
    assert sorted(map(id, gone + kept)) == sorted(map(id, metas))
    live_ids = {m.id for m in metas if m.state is LIVE}
    assert not live_ids & {m.id for m in gone}
    assert states is None or {m.state for m in gone} <= states
    assert gone == sorted(gone, key=lambda m: m.created_at)
    newest = sorted(metas, key=lambda m: (m.created_at, m.path.name))
    spared = {id(m) for m in newest[max(0, len(metas) - keep_last) :]} if keep_last else set()
    assert not spared & set(map(id, gone))

    def free(m: PersistedSessionMeta) -> bool:
        return m.id not in live_ids and id(m) not in spared and (not states or m.state in states)

    if limit is not None and sum(m.size_bytes for m in kept) > limit and states != set():
        assert not any(free(m) for m in kept)
    if older_than is not None and limit is None:
        assert all(m.created_at < NOW - older_than for m in gone)


# --- applying


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


async def test_older_than_removes_what_the_real_prune_removes(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for home in ("a", "b"):
        (tmp_path / home / "sessions").mkdir(parents=True)
        for n in range(6):
            data = session_bytes(
                session_id=UUID(int=n, version=4),
                created_at=(now - timedelta(days=10 * (n % 4))).isoformat(),
            )
            put(tmp_path / home / "sessions", f"{UUID(int=n, version=4)}.jsonl", data)

    removed = await prune_sessions(
        older_than=timedelta(days=9), directory=tmp_path / "a" / "sessions"
    )

    assert [str(i) for i in removed] == real_writer()(
        "prune", home=tmp_path / "b", older_than_s=9 * 86400
    )
    assert len(removed) == 4
    left = [names(tmp_path / home / "sessions") for home in ("a", "b")]
    assert left[0] == left[1]


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


# --- deleting one


async def test_delete_says_whether_there_was_a_session(tmp_path: Path) -> None:
    put(tmp_path, f"{ID}.jsonl", session_bytes())
    put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=False))

    assert await delete_session(ID, directory=tmp_path) is True
    assert names(tmp_path) == []
    assert await delete_session(ID, directory=tmp_path) is False


async def test_delete_takes_a_damaged_file(tmp_path: Path) -> None:
    put(tmp_path, f"{ID}.jsonl", b"\0damaged")

    assert await delete_session(ID, directory=tmp_path) is True
    assert names(tmp_path) == []


async def test_a_second_delete_does_not_take_the_copy_that_was_exported_beside_it(
    tmp_path: Path,
) -> None:
    put(tmp_path, f"{ID}.jsonl", session_bytes())
    export = put(tmp_path, "keep-me-export.jsonl", session_bytes())

    answers = [await delete_session(ID, directory=tmp_path) for _ in range(3)]

    assert answers == [True, False, False]
    assert names(tmp_path) == [export.name]
    assert await delete_session(path=export) is True


async def test_delete_refuses_both_files_of_a_session_that_is_written(tmp_path: Path) -> None:
    final = put(tmp_path, f"{ID}.jsonl", session_bytes())
    wal = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=False))
    with wal.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        for path in (None, final, wal):
            with pytest.raises(SessionBusy):
                await delete_session(None if path else ID, path=path, directory=tmp_path)

    assert sorted(tmp_path.iterdir()) == [final, wal]


@pytest.mark.parametrize("session_id", ["../x", "x/../../y", "", "x.jsonl", "/etc/passwd", "\0"])
async def test_an_id_that_is_none_never_reaches_the_file_system(
    tmp_path: Path, session_id: str
) -> None:
    (tmp_path / "sessions").mkdir()
    outside = put(tmp_path, "x.jsonl", session_bytes())

    with pytest.raises(InvalidSessionId):
        await delete_session(session_id, directory=tmp_path / "sessions")

    assert outside.exists()


async def test_a_directory_under_one_name_keeps_the_file_under_the_other(tmp_path: Path) -> None:
    wal = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=False))
    (tmp_path / f"{ID}.jsonl").mkdir()

    with pytest.raises(PersistenceError, match="not a regular file"):
        await SessionStore(tmp_path).delete(ID)

    assert wal.exists()


async def test_delete_of_a_directory_is_one_line_of_error(tmp_path: Path) -> None:
    with pytest.raises(PersistenceError) as caught:
        await delete_session(path=tmp_path)

    assert str(caught.value) == f"{tmp_path}: not a regular file"

"""One meta a file, streamed as found: what counts, what is kept, and what happens between two steps."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors import held_of
from listed import IDS, MOMENT, meta_of, put
from samples import ID, chunk_line, header_line, session_bytes
from sessiontail import (
    LineageKind,
    PersistedSessionMeta,
    PersistenceError,
    Scan,
    SessionState,
    SessionStore,
    store,
)
from sessiontail.directory import gathering, names, scan as scanning
from sessiontail.directory.scan import by_age
from sessiontail.session import glance
from sessiontail.system import calls, files, readahead
from sessiontail.system.files import SessionFile
from writers import real_writer

pytestmark = pytest.mark.anyio


async def test_two_generations_of_a_session_are_two_entries(tmp_path: Path) -> None:
    old = put(tmp_path, f"{ID}.jsonl", session_bytes())
    new = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=False))

    metas = await SessionStore(tmp_path).list()

    unknown = {"closed": False, "closed_at": None, "state": SessionState.UNKNOWN}
    assert metas == [meta_of(old), meta_of(new, **unknown)]


async def test_a_file_under_both_of_its_names_is_one_entry(tmp_path: Path) -> None:
    final = put(tmp_path, f"{ID}.jsonl", session_bytes())
    (tmp_path / f"{ID}.jsonl.__partial__").hardlink_to(final)

    assert await SessionStore(tmp_path).list() == [meta_of(final)]


async def test_what_the_real_list_can_list_is_listed_alike(tmp_path: Path) -> None:
    sessions = tmp_path / "sessions"
    for i, session_id in enumerate(IDS[:4]):
        real_writer().session(sessions, session_id, ["hi\n é 😀"] * i * 40)
    real_writer()("open", home=sessions, session_id=IDS[4])
    real_writer()("write", text="half a session")
    real_writer()("abandon")
    put(sessions, "foo.jsonl", session_bytes(5, session_id=IDS[5], created_at="2001-01-01T00:00Z"))

    metas = await SessionStore(sessions).list()
    verified = await SessionStore(sessions).list(verify=True)

    brief = [[str(m.id), m.chunk_count, m.closed] for m in metas]
    assert brief == real_writer()("list", home=tmp_path)
    assert [m.id for m in metas] == [IDS[5], *IDS[:5]]
    assert [m.chunk_count for m in verified] == [m.chunk_count for m in metas]


def make_odd_files(directory: Path) -> Iterator[str]:
    """Make files that have a session's name and are none; yield what is said of each."""
    os.mkfifo(directory / "fifo.jsonl")
    yield "fifo.jsonl: not a regular file"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "socket.jsonl"))
    listener.close()
    yield f"socket.jsonl: {os.strerror(errno.ENXIO)}"
    (directory / "link.jsonl").symlink_to(directory / "elsewhere")
    yield "link.jsonl: a symbolic link; give the file that it points to"
    (directory / "directory.jsonl").mkdir()
    yield "directory.jsonl: not a regular file"
    put(directory, "empty.jsonl", b"")
    yield "empty.jsonl: no header: not a session file"
    put(directory, "empty.jsonl.__partial__", b"")
    yield "empty.jsonl.__partial__: empty: it is being created, or its writer died first"
    put(directory, "half.jsonl.__partial__", b"\n" + header_line()[:40])
    yield (
        "half.jsonl.__partial__: torn header: it is being created, or its writer died within the "
        "first line"
    )
    put(directory, "other.jsonl.__partial__", b"no line of ours")
    yield "other.jsonl.__partial__: no header: not a session file"
    put(directory, "torn.jsonl", header_line()[:-1])
    yield "torn.jsonl: no header: not a session file"
    put(directory, "chunk.jsonl", chunk_line())
    yield "chunk.jsonl:1 (byte 0): chunk before the header"
    put(directory, "blank.jsonl", b"\n\r\n{}\n")
    yield "blank.jsonl:3 (byte 3): unknown record_type=None"
    put(directory, "binary.jsonl", b"\0" * 10_000)
    yield "binary.jsonl: no header: not a session file"


async def test_files_that_are_no_sessions_are_each_told_once_and_stop_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd = sorted(make_odd_files(tmp_path))
    good = put(tmp_path, "good.jsonl", session_bytes())
    (tmp_path / "notes.txt").write_text("no session's name")

    with anyio.fail_after(30), caplog.at_level(logging.WARNING):
        scan = SessionStore(tmp_path).scan()
        metas = [meta async for meta in scan]

    assert metas == [meta_of(good)]
    assert sorted(str(error) for error in scan.skipped) == [f"{tmp_path}/{line}" for line in odd]
    assert sorted(record.getMessage() for record in caplog.records) == [
        f"skipped {tmp_path}/{line}" for line in odd
    ]
    assert scan.total == len(odd) + 1


async def test_many_files_that_are_no_sessions_leave_the_loop_to_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for i in range(400):
        put(tmp_path, f"{i}.jsonl", b"x\n")
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    scan = SessionStore(tmp_path).scan()
    async with anyio.create_task_group() as group:
        await scan._begin()
        group.start_soon(take_turns)
        assert await scan.rest() == []
        group.cancel_scope.cancel()

    assert len(caplog.messages) == len(scan.skipped) == scan.total == 400
    assert turns >= 400 // 64 - 1


async def test_names_that_are_no_text_are_listed(tmp_path: Path) -> None:
    names = [b"\xff\xfe.jsonl", b"two\nlines.jsonl", b".jsonl", " é.jsonl".encode()]
    paths = [put(tmp_path, os.fsdecode(name), session_bytes()) for name in names]

    metas = await SessionStore(tmp_path).list()

    assert sorted(meta.path for meta in metas) == sorted(paths)


async def test_a_file_with_a_name_that_is_no_text_is_skipped_in_words_that_print(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, os.fsdecode(b"\xff.jsonl"), b"")

    assert await SessionStore(tmp_path).list() == []

    assert caplog.messages == [f"skipped {tmp_path}/\\udcff.jsonl: no header: not a session file"]
    caplog.messages[0].encode()


@contextmanager
def another_user() -> Iterator[Path]:
    """Be somebody who owns nothing; give a directory that he can reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            if root:
                os.seteuid(0)


async def test_a_file_that_may_not_be_read_is_told_and_stops_nothing() -> None:
    with another_user() as directory:
        me = os.geteuid()
        if me == 65534:
            os.seteuid(0)
        put(directory, "a.jsonl", session_bytes()).chmod(0)
        good = put(directory, "b.jsonl", session_bytes())
        os.seteuid(me)
        scan = SessionStore(directory).scan()

        metas = [meta async for meta in scan]

        denied = f"{directory}/a.jsonl: permission denied: look at its owner and mode"
        assert metas == [meta_of(good)]
        assert [str(error) for error in scan.skipped] == [denied]


async def test_an_absent_directory_is_empty(tmp_path: Path) -> None:
    assert await SessionStore(tmp_path / "none").list() == []


async def test_a_directory_that_is_a_file_is_one_line_of_error(tmp_path: Path) -> None:
    path = put(tmp_path, "file", b"")

    with pytest.raises(PersistenceError) as caught:
        await SessionStore(path).list()

    assert str(caught.value) == f"{path}: {os.strerror(errno.ENOTDIR)}"


async def test_times_with_and_without_offset_are_sorted_as_utc(tmp_path: Path) -> None:
    times = ["2026-01-01T10:00:00", "2026-01-01T10:30:00+01:00", "2026-01-01T09:45:00Z"]
    for name, created_at in zip("abc", times, strict=True):
        put(tmp_path, f"{name}.jsonl", session_bytes(created_at=created_at))

    metas = await SessionStore(tmp_path).list()

    assert [meta.path.stem for meta in metas] == ["b", "c", "a"]


async def test_a_session_under_another_name_is_loaded_by_the_id_in_its_header(
    tmp_path: Path,
) -> None:
    path = put(tmp_path, "foo.jsonl", session_bytes())
    sessions = SessionStore(tmp_path)

    assert await sessions.list() == [meta_of(path)]
    assert (await sessions.load(ID)).path == path
    assert await sessions.meta(ID) == meta_of(path)


# --- many


async def test_many_metas_are_sorted_in_runs_as_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_RUN", 3)
    metas = [
        PersistedSessionMeta(
            id_text=str(ID),
            file=f"{i * 7 % 20}",
            created_at=datetime(2026, 1, 1 + i % 5, tzinfo=UTC),
            lineage_operator="",
            lineage_kind=LineageKind.UNKNOWN,
            chunk_count=0,
            closed=True,
            state=SessionState.CLOSED,
            parent_texts=(),
            cumulative_usage=None,
            closed_at=None,
            size_bytes=0,
            modified_at=MOMENT,
        )
        for i in range(20)
    ]

    assert by_age(metas) == sorted(metas, key=lambda meta: (meta.created_at, meta.file))
    assert by_age([]) == []


async def test_a_directory_of_many_files_is_listed_and_planned_like_one_of_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(50):
        created_at = f"2026-01-{1 + i % 9:02d}T00:00:00Z"
        put(tmp_path, f"{i}.jsonl", session_bytes(session_id=uuid4(), created_at=created_at))
    put(tmp_path, "bad.jsonl", b"x\n")
    sessions = SessionStore(tmp_path)
    few = await sessions.list(), await sessions.plan_prune(keep_last=7)
    monkeypatch.setattr(store, "_FEW", 10)
    monkeypatch.setattr(scanning, "_RUN", 4)

    metas, plan = await sessions.list(), await sessions.plan_prune(keep_last=7)

    assert metas == few[0]
    assert (plan.remove, plan.keep) == (few[1].remove, few[1].keep)
    assert [str(error) for error in plan.skipped] == [str(error) for error in few[1].skipped]


# --- what happens between two steps


async def scanned(scan: Scan) -> list[PersistedSessionMeta]:
    return [meta async for meta in scan]


def after_the_names(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Act when a scan has read the names of the files."""

    read_names = names.all_names

    def and_then(directory: Path) -> list[str]:
        found = read_names(directory)
        act()
        return found

    monkeypatch.setattr(gathering, "all_names", and_then)


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda wal, _: wal.unlink(), 0),
        (lambda wal, final: wal.rename(final), 1),
        (lambda _, final: final.write_bytes(session_bytes(2)), 2),
    ],
)
async def test_a_file_that_goes_or_is_renamed_after_the_names_were_read_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, left: int
) -> None:
    wal = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes())
    scan = SessionStore(tmp_path).scan()
    after_the_names(monkeypatch, lambda: change(wal, tmp_path / f"{ID}.jsonl"))

    metas = await scanned(scan)

    seen = [meta.path for meta in metas]
    assert seen == [path for path in sorted(tmp_path.iterdir()) if left == 1 or path == wal]
    assert scan.skipped == []


async def test_a_rename_between_both_names_gives_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(closed=False))
    final = put(tmp_path, f"{ID}.jsonl", session_bytes())
    scan = SessionStore(tmp_path).scan()
    after_the_names(monkeypatch, lambda: wal.rename(final))

    metas = await scanned(scan)

    abandoned = {"closed": False, "closed_at": None, "state": SessionState.ABANDONED}
    assert metas == [meta_of(final, **abandoned)]


@pytest.mark.parametrize("step", range(1, 6))
async def test_a_scan_that_is_cancelled_at_any_step_goes_on_with_nothing_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(gathering, "MAX_FILES_PER_HOP", gathering.FILES_PER_HOP)
    monkeypatch.setattr(scanning, "MAX_FILES_PER_HOP", gathering.FILES_PER_HOP)
    for i in range(260):
        put(tmp_path, f"{i}.jsonl", session_bytes(session_id=uuid4()))
    with (tmp_path / "live.jsonl.__partial__").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(session_bytes(closed=False))
        file.flush()
        scan = SessionStore(tmp_path).scan()
        scopes: list[anyio.CancelScope] = []
        hops = 0

        def cancelling(place: str, *call: Any) -> Any:
            nonlocal hops
            hops += 1
            if hops == step:
                scopes[-1].cancel()
            return calls.Call(place, *call)

        monkeypatch.setattr(scanning, "Call", cancelling)
        metas: list[PersistedSessionMeta] = []
        cancelled = 0
        while True:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                try:
                    metas.append(await anext(scan))
                except StopAsyncIteration:
                    break
            cancelled += scope.cancelled_caught

    assert cancelled == 1
    assert sorted(meta.path for meta in metas) == sorted(tmp_path.iterdir())
    live = [m.path.name for m in metas if m.state is SessionState.LIVE]
    assert live == ["live.jsonl.__partial__"]


async def test_a_scan_streams_and_can_be_left_half_way(tmp_path: Path) -> None:
    for i in range(1_200):
        put(tmp_path, f"{i}.jsonl", session_bytes(session_id=uuid4()))
    await SessionStore(tmp_path).list()

    scan = SessionStore(tmp_path).scan()
    await anext(scan)

    assert 0 < len(scan._found) < 1_199
    assert held_of(tmp_path) == []


@pytest.mark.parametrize("threads", [1, files.MAX_THREADS])
async def test_1500_files_are_listed_right_whatever_the_number_of_threads(
    tmp_path: Path, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [uuid4() for _ in range(1500)]
    for i, session_id in enumerate(ids):
        data = session_bytes(i % 3, session_id=session_id, closed=i % 5 > 0)
        put(tmp_path, f"{session_id}.jsonl", data)
    if threads > 1:  # as if nothing were in the page cache
        monkeypatch.setattr(SessionFile, "read_cached", lambda *_: None)
        for where in (readahead, glance):
            monkeypatch.setattr(where, "NOWAIT", None)
    scan = SessionStore(tmp_path).scan()

    metas = {meta.id: (meta.chunk_count, meta.closed) async for meta in scan}

    assert metas == {session_id: (i % 3, i % 5 > 0) for i, session_id in enumerate(ids)}
    assert scan._threads == threads

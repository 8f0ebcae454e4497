"""One meta a file, streamed as found: what counts, what is kept, and what happens between two steps."""

from __future__ import annotations

import errno
import fcntl
import gc
import json
import logging
import os
import socket
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings, strategies as st

from actors import held_of
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import (
    Chunk,
    Header,
    LineageKind,
    PersistedSessionMeta,
    PersistenceError,
    Scan,
    SessionState,
    SessionStore,
    TokenUsage,
    list_persisted_sessions,
    store,
)
from sessiontail.directory import gathering, names, scan as scanning
from sessiontail.directory.scan import by_age
from sessiontail.session import before_end, counting, glance, known, summary
from sessiontail.session.before_end import position_before_end
from sessiontail.session.summary import Depth, read_meta
from sessiontail.system import calls, files
from sessiontail.system.files import SessionFile
from sessiontail.system.kept import Kept
from sessiontail.system.locks import LockTable
from sessiontail.system.stamps import FileId
from writers import real_writer

pytestmark = pytest.mark.anyio

IDS = [UUID(int=n, version=4) for n in range(1, 9)]
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def meta_of(path: Path, **fields: Any) -> PersistedSessionMeta:
    """What a listing owes for a file of ``samples.session_bytes``."""
    status = path.stat()
    values: dict[str, Any] = {
        "id_text": str(ID),
        "file": str(path),
        "created_at": MOMENT,
        "lineage_operator": "implicit",
        "lineage_kind": LineageKind.UNKNOWN,
        "chunk_count": 1,
        "closed": True,
        "state": SessionState.CLOSED,
        "parent_texts": (),
        "cumulative_usage": None,
        "closed_at": MOMENT,
        "size_bytes": status.st_size,
        "modified_at": datetime.fromtimestamp(status.st_mtime, UTC),
        "file_id": FileId.of(status),
        "mtime_ns": status.st_mtime_ns,
    }
    return PersistedSessionMeta(**(values | fields))


def put(directory: Path, name: str, data: bytes, *, age_s: float = 0) -> Path:
    path = directory / name
    path.write_bytes(data)
    if age_s:
        modified_s = path.stat().st_mtime - age_s
        os.utime(path, (modified_s, modified_s))
    return path


@contextmanager
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Give a list that has the number of bytes of every read of a file."""
    sizes: list[int] = []
    preadv, pread = os.preadv, os.pread

    def cached(fd: int, buffers: list[Any], offset: int, flags: int = 0) -> int:
        sizes.append(preadv(fd, buffers, offset, flags))
        return sizes[-1]

    def now(fd: int, size: int, offset: int) -> bytes:
        data = pread(fd, size, offset)
        sizes.append(len(data))
        return data

    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", cached)
        patch.setattr(os, "pread", now)
        yield sizes


async def test_a_closed_file_is_taken_from_its_header_and_trailer(tmp_path: Path) -> None:
    parents = [str(i) for i in IDS[:2]]
    data = session_bytes(
        2, closed=False, parent_session_ids=parents, lineage_kind="op_fork", lineage_operator="fork"
    )
    path = put(tmp_path, f"{ID}.jsonl", data + trailer_line(2, (10, 5, 15)))

    metas = await list_persisted_sessions(directory=tmp_path)

    assert metas == [
        meta_of(
            path,
            chunk_count=2,
            parent_texts=tuple(map(str, IDS[:2])),
            lineage_kind=LineageKind.OP_FORK,
            lineage_operator="fork",
            cumulative_usage=TokenUsage(10, 5, 15),
        )
    ]


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
    yield "empty.jsonl.__partial__: no header: not a session file"
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


async def test_a_meta_has_ids_and_nothing_for_the_collector(tmp_path: Path) -> None:
    parents = [str(session_id) for session_id in IDS[:2]]
    put(tmp_path, "a.jsonl", session_bytes(parent_session_ids=parents))

    (meta,) = await SessionStore(tmp_path).list()
    gc.collect()

    assert (meta.id, meta.parent_session_ids) == (ID, tuple(IDS[:2]))
    held = [meta, *gc.get_referents(meta)]
    assert not any(gc.is_tracked(value) for value in held if not isinstance(value, type))


async def test_a_session_under_another_name_is_loaded_by_the_id_in_its_header(
    tmp_path: Path,
) -> None:
    path = put(tmp_path, "foo.jsonl", session_bytes())
    sessions = SessionStore(tmp_path)

    assert await sessions.list() == [meta_of(path)]
    assert (await sessions.load(ID)).path == path
    assert await sessions.meta(ID) == meta_of(path)


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no tmpfs to write to")
@pytest.mark.parametrize("modified_s", [2**40, -(2**40)])
async def test_a_file_time_that_no_datetime_can_hold_is_the_nearest_one(modified_s: int) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        path = put(Path(name), "a.jsonl", session_bytes())
        os.utime(path, (modified_s, modified_s))

        (meta,) = await SessionStore(name).list()

    assert meta.modified_at.year == (9999 if modified_s > 0 else 1)


# --- counting

BLANK = [b"\n", b"\r\n", b"  \t\n"]
ODD_CHUNKS = [
    b'{"index": 0, "kind": "user", "record_type": "chunk", "payload": {}}\n',
    b'{"record_type":"chunk","index":0,"kind":"user","payload":{"content":"x"}}\r\n',
    b' {"record_type": "chunk", "kind": "system", "payload": {"record_type": "trailer"}}\n',
    chunk_line(0, '{"record_type": "chunk"'),
    chunk_line(0, "\u2028 \u0085 \\n \n"),
    chunk_line(0, '"trailer"'),
]
DAMAGE = [
    b"\xff\xfe\n",
    b"[1]\n",
    b"\0\0\0\n",
    b'{"record_type": "other"}\n',
    header_line(),
    b'xx{"record_type": "chunk", "kind": "user", "payload": {}}\n',
    b'{"kind": "user", "record_type": "chunk"}\n',
]
lines = st.one_of(
    st.just(chunk_line()),
    st.sampled_from(ODD_CHUNKS),
    st.sampled_from(BLANK),
    st.sampled_from(DAMAGE),
    st.builds(trailer_line, st.integers(0, 3)),
    st.integers(1, 9000).map(lambda size: chunk_line(0, "y" * size)),
)
tails = st.one_of(
    st.just(b""),
    st.integers(1, 9000).map(lambda size: chunk_line(0, "z" * size)[:-1]),
    st.just(trailer_line()[:-1]),
    st.just(b" " * 5000),
)


@settings(max_examples=150)
@given(body=st.lists(lines, max_size=12), tail=tails, header_bytes=st.sampled_from([0, 3900, 9999]))
def test_counting_without_decoding_is_counting_with_it(
    body: list[bytes], tail: bytes, header_bytes: int, tmp_path: Path
) -> None:
    # Behind the last trailer there must be something, or its own count is believed.
    data = header_line(note="h" * header_bytes) + b"".join(body) + chunk_line() + tail
    path = put(tmp_path, "a.jsonl", data)
    locks = LockTable(b"")

    counted, _ = read_meta(path, locks)
    verified, _ = read_meta(path, locks, depth=Depth.RECORDS)

    def brief(meta: PersistedSessionMeta) -> tuple[object, ...]:
        return meta.chunk_count, meta.closed, meta.closed_at, meta.torn_bytes, meta.state

    assert brief(counted) == brief(verified)
    assert verified.torn_bytes == len(tail)


@settings(max_examples=150)
@given(
    parts=st.lists(st.lists(lines, max_size=6), min_size=2, max_size=4),
    blank=st.sampled_from([b"", b"\n\r\n"]),
    asked=st.lists(st.integers(0, 30), min_size=4, max_size=4),
)
def test_counting_on_from_what_was_counted_is_counting_it_all(
    parts: list[list[bytes]], blank: bytes, asked: list[int], tmp_path: Path
) -> None:
    path = put(tmp_path, f"{uuid4()}.jsonl.__partial__", blank + header_line())
    locks = LockTable(b"")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "_LONG_BYTES", 300)
        patch.setattr(counting, "COUNTED_BYTES", 500)
        patch.setattr(before_end, "COUNTED_BYTES", 500)
        for part, last in zip(parts, asked, strict=False):
            with path.open("ab") as file:
                file.write(b"".join(part) + chunk_line() + b"{half")
            counted, _ = read_meta(path, locks)
            verified, _ = read_meta(path, locks, depth=Depth.RECORDS)
            opened = SessionFile(path)
            position = position_before_end(opened, last)
            opened.close()
            whole = path.read_bytes()
            with path.open("r+b") as file:
                file.truncate(len(whole) - len(b"{half"))

            assert (counted.chunk_count, counted.closed, counted.closed_at) == (
                verified.chunk_count,
                verified.closed,
                verified.closed_at,
            )
            assert counted.torn_bytes == verified.torn_bytes == len(b"{half")
            assert whole.count(b"\n", position.offset) == min(last, whole.count(b"\n"))
            assert position.lines in (whole.count(b"\n", 0, position.offset), None)
            assert (position.lines is None) <= (position.offset > 500)


async def test_of_a_wal_that_grew_only_what_was_added_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, "a.jsonl.__partial__", session_bytes(60_000, closed=False))
    store = SessionStore(tmp_path)
    opened = SessionFile(path)
    before = [(await store.list())[0].chunk_count, position_before_end(opened, 2).lines]
    with path.open("ab") as file:
        file.write(chunk_line() * 3)

    with bytes_read(monkeypatch) as read:
        after = [(await store.list())[0].chunk_count, position_before_end(opened, 2).lines]
    opened.close()

    assert (before, after) == ([60_000, 59_999], [60_003, 60_002])
    assert sum(read) < 500_000 < path.stat().st_size // 4


async def test_a_wal_that_was_cut_and_written_anew_is_counted_anew(tmp_path: Path) -> None:
    path = put(tmp_path, "a.jsonl.__partial__", session_bytes(20_000, closed=False))
    store = SessionStore(tmp_path)
    await store.list()
    path.write_bytes(header_line() + chunk_line(0, "other") * 25_000)

    (meta,) = await store.list()

    assert meta.chunk_count == 25_000


@pytest.mark.parametrize("start", [b"", chunk_line()[:-20], b"[" * 20])
async def test_a_hole_takes_no_memory(tmp_path: Path, start: bytes) -> None:
    path = put(tmp_path, "a.jsonl.__partial__", session_bytes(3, closed=False) + start)
    with path.open("r+b") as file:
        file.truncate(1 << 28)
    tracemalloc.start()
    try:
        (meta,) = await SessionStore(tmp_path).list()
        opened = SessionFile(path)
        position = position_before_end(opened, 1)
        opened.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert (meta.chunk_count, position.lines) == (3, 3)
    assert meta.torn_bytes == (1 << 28) - len(session_bytes(3, closed=False))
    assert peak < 8 * 1024 * 1024


async def test_long_lines_are_counted_by_their_beginning_or_decoded_whole(tmp_path: Path) -> None:
    long = "x" * 2_000_000
    odd = b" " + chunk_line(0, long)
    data = session_bytes(1, closed=False) + chunk_line(0, long) + odd + b"[" + odd + chunk_line()
    put(tmp_path, "a.jsonl.__partial__", data)
    store = SessionStore(tmp_path)

    (counted,) = await store.list()
    (verified,) = await store.list(verify=True)

    assert (counted.chunk_count, verified.chunk_count, verified.damaged_lines) == (4, 4, 1)


@pytest.mark.parametrize("after", [b"", b"\n\r\n", b"{torn", b"x" * 5000])
@pytest.mark.parametrize("content_bytes", [0, 4000, 3_000_000])
async def test_a_trailer_is_believed_behind_lines_of_any_length_and_before_any_tail(
    tmp_path: Path, after: bytes, content_bytes: int
) -> None:
    chunks = chunk_line(0, "x" * content_bytes) + chunk_line(1)
    torn_bytes = 0 if after.endswith(b"\n") else len(after)
    path = put(tmp_path, f"{ID}.jsonl", header_line() + chunks + trailer_line(2) + after)

    assert await SessionStore(tmp_path).list() == [
        meta_of(path, chunk_count=2, torn_bytes=torn_bytes)
    ]


async def test_the_end_of_a_damaged_line_is_no_trailer_wherever_the_read_begins(
    tmp_path: Path,
) -> None:
    end = trailer_line(7).ljust(4096, b"\n")
    path = put(tmp_path, f"{ID}.jsonl", header_line() + chunk_line()[:-1] + end)

    (meta,) = await SessionStore(tmp_path).list()
    (verified,) = await SessionStore(tmp_path).list(verify=True)

    assert (meta.closed, verified.closed, verified.damaged_lines) == (False, False, 1)
    assert path.stat().st_size > 4096


async def test_verifying_counts_what_is_there_and_not_what_the_trailer_says(
    tmp_path: Path,
) -> None:
    data = header_line() + chunk_line() + b"[]\n" + chunk_line(1) + trailer_line(7)
    path = put(tmp_path, f"{ID}.jsonl", data)
    sessions = SessionStore(tmp_path)

    assert await sessions.list() == [meta_of(path, chunk_count=7)]
    assert await sessions.list(verify=True) == [meta_of(path, chunk_count=2, damaged_lines=1)]


async def test_the_bytes_that_are_read_do_not_grow_with_a_closed_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    for chunks in (1_000, 10_000):
        put(tmp_path, f"{ID}.jsonl", session_bytes(chunks))
        with bytes_read(monkeypatch) as sizes:
            await SessionStore(tmp_path).list()
        read.append(sum(sizes))

    assert read == [8192, 8192]


# --- what is kept from one listing to the next


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
    metas = await scanned(scan)

    known.forget()
    fresh = sessions.scan()
    assert metas == await scanned(fresh)
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


def test_what_is_asked_for_is_kept_longest() -> None:
    kept: Any = Kept(2)
    for i in range(10):
        kept.put(i, str(i))
        kept.get(0)

    assert [kept.get(i) for i in (0, 5, 9)] == ["0", None, "9"]


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


async def test_a_header_written_between_status_and_reading_is_no_crash(tmp_path: Path) -> None:
    path = put(tmp_path, f"{ID}.jsonl.__partial__", b"")
    file = SessionFile(path)
    read_cached = file.read_cached

    class Late(SessionFile):
        """Meets the header in the midst of being created."""

        __slots__ = ()

        def read_cached(self, offset: int, size: int) -> bytes | None:
            if not path.stat().st_size:
                path.write_bytes(header_line())
            return read_cached(offset, size)

    meta, _ = summary._meta(Late(path), str(path), LockTable(b""), depth=Depth.LINES)
    file.close()

    assert meta.size_bytes == len(header_line())
    assert meta.chunk_count == 0


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
        for where in (gathering, glance):
            monkeypatch.setattr(where, "NOWAIT", None)
    scan = SessionStore(tmp_path).scan()

    metas = {meta.id: (meta.chunk_count, meta.closed) async for meta in scan}

    assert metas == {session_id: (i % 3, i % 5 > 0) for i, session_id in enumerate(ids)}
    assert scan._threads == threads


async def test_reading_the_whole_file_gives_the_same_count(tmp_path: Path) -> None:
    path = put(tmp_path, f"{ID}.jsonl", session_bytes(300))
    sessions = SessionStore(tmp_path)

    async def kinds() -> AsyncIterator[type]:
        async for record in sessions.read(ID):
            yield type(record)

    seen = [kind async for kind in kinds()]

    assert (seen[0], seen.count(Chunk)) == (Header, 300)
    assert (await sessions.list())[0] == meta_of(path, chunk_count=300)

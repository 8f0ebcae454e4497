"""What an earlier process has read of many files is not read again; what became of them shows."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from listed import bytes_read, meta_of, put
from samples import ID, header_line, session_bytes, trailer_line
from sessiontail import PersistedSessionMeta, SessionState, SessionStore, register_header_migration
from sessiontail.directory import remembered
from sessiontail.format import migrations
from sessiontail.session import counting, known
from sessiontail.system import packs, stamps
from sessiontail.system.cache import Cache
from sessiontail.system.packs import Pack

pytestmark = pytest.mark.anyio

KIND = "metas 1"


@pytest.fixture
def anyio_backend() -> str:
    """One is enough: what is tested runs in threads."""
    return "asyncio"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files are many, each has not changed for long, and the cache is one of the test's."""
    monkeypatch.setattr(remembered, "_MUCH", 2)
    for where in (stamps, known, counting):
        monkeypatch.setattr(where, "SETTLED_S", 0)
    path = tmp_path / "cache.sqlite"
    monkeypatch.setenv("SESSIONTAIL_CACHE", str(path))
    return path


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return directory


def some(directory: Path) -> list[Path]:
    """Three that were closed, and two that have no trailer."""
    closed = [put(directory, f"{i}.jsonl", session_bytes(i)) for i in range(3)]
    names = [f"{i}.jsonl.__partial__" for i in range(2)]
    return closed + [put(directory, name, session_bytes(2, closed=False)) for name in names]


def kept(directory: Path) -> dict[str, tuple[bytes, bytes]]:
    return Pack(KIND, f"{directory}/").read() or {}


async def next_process(directory: Path, **options: Any) -> list[PersistedSessionMeta]:
    """What a listing gives that knows nothing of the ones before."""
    known.forget()
    counting._counted.clear()
    return await SessionStore(directory, **options).list()


async def test_the_next_process_reads_no_file_that_has_not_changed(
    sessions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(sessions)
    first = await next_process(sessions)
    with bytes_read(monkeypatch) as reads:
        second = await next_process(sessions)
        third = await SessionStore(sessions).list()

    assert first == second == third == await next_process(sessions, cache=False)
    assert len(first) == 5
    assert reads == []


async def test_another_process_finds_what_this_one_kept(sessions: Path, cache: Path) -> None:
    some(sessions)
    ours = await next_process(sessions)
    code = """
import os, sys, anyio, msgspec
from sessiontail import SessionStore
from sessiontail.directory import remembered
remembered._MUCH = 2
reads = []
os.pread = os.preadv = lambda *_: reads.append(1)
metas = anyio.run(SessionStore(sys.argv[1]).list)
sys.stdout.buffer.write(msgspec.json.encode((metas, reads)))
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, sessions], capture_output=True, check=True
    )

    assert run.stdout == b"[" + encoded(ours) + b",[]]"
    assert run.stderr == b""


def encoded(metas: list[PersistedSessionMeta]) -> bytes:
    return msgspec.json.encode(metas)


def replace(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.write_bytes(path.with_name("aside").read_bytes().replace(b"hi", b"ho"))
    os.utime(path, ns=(1, path.with_name("aside").stat().st_mtime_ns))


def rewrite(path: Path) -> None:
    before = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes().replace(b"implicit", b"explicit"))
    os.utime(path, ns=(1, before + 1))  # a change within one tick of the clock may leave no trace


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b" \n")


def link(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.symlink_to(path.with_name("aside"))


CHANGES: dict[str, Callable[[Path], object]] = {
    "replaced": replace,
    "rewritten": rewrite,
    "grown": grow,
    "cut": lambda path: os.truncate(path, 50),
    "deleted": Path.unlink,
    "renamed": lambda path: path.rename(path.with_name("other.jsonl")),
    "a link": link,
    "touched": Path.touch,
    "another's copy": lambda path: path.write_bytes(session_bytes(7)),
    "left": lambda _: None,
}


@settings(max_examples=15)
@given(st.lists(st.lists(st.sampled_from(sorted(CHANGES)), min_size=5, max_size=5), max_size=3))
async def test_what_became_of_files_between_processes_shows(
    tmp_path_factory: pytest.TempPathFactory, passes: list[list[str]]
) -> None:
    directory = tmp_path_factory.mktemp("sessions")
    paths = some(directory)
    await next_process(directory)
    for changes in passes:
        for path, change in zip(paths, changes, strict=True):
            if path.exists() and not path.is_symlink():
                CHANGES[change](path)

        assert await next_process(directory) == await next_process(directory, cache=False)


async def test_a_state_is_that_of_now(sessions: Path) -> None:
    closed, *_, crashed = some(sessions)
    os.utime(crashed, (1, 1))
    with closed.open("rb") as first, crashed.open("rb") as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        fcntl.flock(second, fcntl.LOCK_EX)
        held = await next_process(sessions)
    states = {
        (one.path.name, state.state, state.writer_pid)
        for one, state in zip(held, await next_process(sessions), strict=True)
        if one.path in (closed, crashed)
    }

    assert {one.state for one in held if one.path in (closed, crashed)} == {SessionState.LIVE}
    assert states == {
        (closed.name, SessionState.CLOSED, None),
        (crashed.name, SessionState.ABANDONED, None),
    }


async def test_a_small_directory_needs_no_cache(
    sessions: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "_MUCH", 6)
    some(sessions)
    await next_process(sessions)

    assert not cache.exists()


async def test_few_changes_are_not_written(
    sessions: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = some(sessions)
    await next_process(sessions)
    before = kept(sessions)
    paths[0].write_bytes(session_bytes(9))
    await next_process(sessions)
    few = kept(sessions)
    paths[1].unlink()
    paths[2].unlink()
    await next_process(sessions)
    more = kept(sessions)

    assert set(before) == set(few) == {path.name for path in paths}
    assert few == before
    assert set(more) == {path.name for path in paths if path.exists()}
    assert more[paths[0].name] != before[paths[0].name]


async def test_what_has_just_changed_is_not_kept(
    sessions: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamps, "SETTLED_S", 3600)
    some(sessions)
    await next_process(sessions)

    assert kept(sessions) == {}


async def test_a_file_that_changes_while_it_is_listed_is_not_kept_as_it_was_read(
    sessions: Path, cache: Path
) -> None:
    paths = some(sessions)
    earlier = remembered.Remembered(sessions)
    earlier.recall([path.name for path in paths])
    for path in paths:
        earlier.note(meta_of(path))
    os.utime(paths[0], (2**33, 2**33))
    grow(paths[1])
    earlier.keep()

    assert set(kept(sessions)) == {path.name for path in paths[2:]}


async def test_a_program_that_migrates_records_keeps_to_itself_what_it_made_of_them(
    sessions: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "_header_migrations", {})
    for i in range(3):
        put(sessions, f"{i}.jsonl", header_line(ID, schema_version=0) + b"\n")
    register_header_migration(0, lambda header: header | {"lineage_operator": "migrated"})
    listed = await next_process(sessions)

    assert [meta.lineage_operator for meta in listed] == ["migrated"] * 3
    assert not cache.exists()


async def test_without_the_cache_nothing_is_asked_or_kept(
    sessions: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(sessions)
    await next_process(sessions, cache=False)
    listed = [meta async for meta in SessionStore(sessions).scan(verify=True)]
    there = cache.exists()
    monkeypatch.setenv("SESSIONTAIL_CACHE", "off")
    await next_process(sessions)

    assert {meta.damaged_lines for meta in listed} == {0}
    assert not there
    assert not cache.exists()


async def test_what_a_value_does_not_say_any_more_is_read(sessions: Path, cache: Path) -> None:
    paths = some(sessions)
    listed = await next_process(sessions)
    before = kept(sessions)
    Pack(KIND, f"{sessions}/").write({one: (before[one][0], b"\x80") for one in before})
    moved = {paths[0].name: (before[paths[0].name][0], before[paths[1].name][1])}
    found = [await next_process(sessions)]
    Pack(KIND, f"{sessions}/").write(moved)
    found.append(await next_process(sessions))

    assert found == [listed, listed]


@pytest.mark.parametrize(
    "odd",
    [
        {"created_at": "2026-01-01T02:00:00+02:00"},
        {"created_at": "0001-01-01T00:00:00+23:59"},
        {"lineage_operator": "\ud800"},
    ],
    ids=["an offset", "before all time", "no text"],
)
async def test_what_would_not_come_back_as_it_is_is_not_kept(
    sessions: Path, cache: Path, odd: dict[str, str]
) -> None:
    some(sessions)
    line = json.dumps(json.loads(header_line(ID)) | odd).encode() + b"\n"
    put(sessions, "odd.jsonl", line + trailer_line(0, usage=(10**30, 0, 0)))
    put(sessions, "large.jsonl", header_line(ID) + trailer_line(0, usage=(10**30, 0, 0)))
    first = await next_process(sessions)
    second = await next_process(sessions)

    assert [repr(msgspec.structs.asdict(meta)) for meta in first] == [
        repr(msgspec.structs.asdict(meta)) for meta in second
    ]
    assert len(first) == 7
    assert len(kept(sessions)) == 5


async def test_a_name_that_is_no_text_is_listed_and_not_kept(sessions: Path, cache: Path) -> None:
    some(sessions)
    put(sessions, os.fsdecode(b"\xff.jsonl"), session_bytes(5))
    first = await next_process(sessions)

    assert len(first) == 6
    assert await next_process(sessions) == first
    assert len(kept(sessions)) == 5


async def test_a_damaged_cache_is_told_once_and_the_listing_is_right(
    sessions: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    some(sessions)
    listed = await next_process(sessions)
    cache.write_bytes(b"\0" * 10_000)
    caplog.set_level(logging.DEBUG, "sessiontail")

    assert [await next_process(sessions) for _ in range(3)] == [listed] * 3
    assert [record.getMessage() for record in caplog.records] == [
        (
            f"going without the cache {cache}: it is damaged, and now cache.sqlite.damaged; "
            "a new one is made"
        )
    ]


async def test_the_cache_is_used_in_threads_only(
    sessions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[tuple[str, bool]] = []

    class Watched(Cache):
        def read(self, *args: Any) -> Any:
            used.append(("read", threading.get_ident() == here))
            return super().read(*args)

        def write(self, *args: Any) -> None:
            used.append(("write", threading.get_ident() == here))
            super().write(*args)

    here = threading.get_ident()
    monkeypatch.setattr(packs, "_cache", Watched)
    some(sessions)
    await next_process(sessions)

    assert used == [("read", False), ("write", False)]

"""A directory -> the names of its session files, also of those that are renamed meanwhile."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from samples import ID, session_bytes
from sessiontail import PersistenceError, SessionStore
from sessiontail.directory.names import all_names, prefix_of, session_names, sessions_among
from sessiontail.urls import as_path

WAL, FINAL = f"{ID}.jsonl.__partial__", f"{ID}.jsonl"


def put(directory: Path, name: str) -> Path:
    path = directory / name
    path.write_bytes(session_bytes())
    return path


def while_the_names_are_read(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[list[str]], list[str]]
) -> list[None]:
    """Have a directory's names told as ``act`` leaves them; return one entry for each reading."""
    readings: list[None] = []
    listdir = os.listdir

    def torn(directory: Path) -> list[str]:
        readings.append(None)
        return act(listdir(directory))

    monkeypatch.setattr(os, "listdir", torn)
    return readings


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        (FINAL, True),
        (WAL, True),
        ("any name.jsonl", True),
        (os.fsdecode(b"\xff.jsonl"), True),
        (f"{ID}.json", False),
        (f"{ID}.jsonl.__partial__~", False),
        (f"{ID}.JSONL", False),
        (f".{ID}.jsonl.deleting", False),
        ("notes.txt", False),
    ],
)
def test_a_name_is_a_sessions_by_its_end_alone(tmp_path: Path, name: str, *, is_one: bool) -> None:
    put(tmp_path, name)

    assert session_names(tmp_path) == [name] * is_one
    assert all_names(tmp_path) == [name]


def test_final_names_come_before_those_of_wals_and_else_in_their_order() -> None:
    names = ["b.jsonl.__partial__", "z.jsonl", "notes", "a.jsonl.__partial__", "a.jsonl"]

    assert sessions_among(names) == [
        "z.jsonl",
        "a.jsonl",
        "b.jsonl.__partial__",
        "a.jsonl.__partial__",
    ]


def test_an_absent_directory_has_no_names(tmp_path: Path) -> None:
    assert all_names(tmp_path / "none") == session_names(tmp_path / "none") == []


def test_a_file_for_a_directory_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = put(tmp_path, "file")

    with pytest.raises(PersistenceError) as caught:
        session_names(path)

    assert str(caught.value) == f"{path}: {os.strerror(errno.ENOTDIR)}"
    assert isinstance(caught.value.__cause__, NotADirectoryError)


def test_a_directory_that_goes_while_it_is_read_has_no_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "sessions"
    directory.mkdir()

    def remove(names: list[str]) -> list[str]:
        directory.rmdir()
        return names

    while_the_names_are_read(monkeypatch, remove)

    assert session_names(directory) == []


@pytest.mark.parametrize("fresh", [False, True])
def test_a_session_that_is_closed_while_the_names_are_read_is_among_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fresh: bool
) -> None:
    wal = put(tmp_path, WAL)
    at_s = 4_000_000_000 if fresh else 1  # so fresh that one more change would leave no trace
    os.utime(tmp_path, (at_s, at_s))

    def close(names: list[str]) -> list[str]:
        """Behind the piece that would have had the new name, before the one with the old."""
        if not wal.exists():
            return names
        wal.rename(tmp_path / FINAL)
        if fresh:
            os.utime(tmp_path, (at_s, at_s))
        return [name for name in names if name != WAL]

    while_the_names_are_read(monkeypatch, close)

    assert session_names(tmp_path) == [FINAL]


def test_a_session_that_is_closed_between_two_readings_has_both_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal = put(tmp_path, WAL)
    os.utime(tmp_path, (1, 1))

    def close(names: list[str]) -> list[str]:
        if wal.exists():
            wal.rename(tmp_path / FINAL)
        return names

    readings = while_the_names_are_read(monkeypatch, close)

    assert session_names(tmp_path) == [FINAL, WAL]
    assert len(readings) == 2


@pytest.mark.anyio
async def test_a_session_that_has_both_names_for_a_moment_is_one_entry_of_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal = put(tmp_path, WAL)
    os.utime(tmp_path, (1, 1))

    def close(names: list[str]) -> list[str]:
        if wal.exists():
            wal.rename(tmp_path / FINAL)
        return names

    while_the_names_are_read(monkeypatch, close)

    assert [meta.path for meta in await SessionStore(tmp_path).list()] == [tmp_path / FINAL]


def test_the_names_of_a_quiet_directory_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, FINAL)
    os.utime(tmp_path, (1, 1))
    readings = while_the_names_are_read(monkeypatch, lambda names: names)

    assert session_names(tmp_path) == [FINAL]
    assert len(readings) == 1


def test_the_names_of_a_directory_that_never_rests_are_read_three_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, FINAL)

    def change(names: list[str]) -> list[str]:
        os.utime(tmp_path, (len(readings), len(readings)))
        return names

    readings = while_the_names_are_read(monkeypatch, change)

    assert session_names(tmp_path) == [FINAL]
    assert len(readings) == 3


@pytest.mark.parametrize(
    ("directory", "file"),
    [("/s", b"/s/\xff"), ("/", b"/\xff"), ("s3://a/b", b"s3://a/b/\xff")],
)
def test_a_name_that_is_no_text_stands_behind_its_directory(directory: str, file: bytes) -> None:
    assert os.fsencode(prefix_of(as_path(directory)) + os.fsdecode(b"\xff")) == file


def test_no_session_that_is_closed_once_is_missed_however_many_there_are(tmp_path: Path) -> None:
    wals = [put(tmp_path, f"{number}.jsonl.__partial__") for number in range(1000)]
    ready = threading.Event()

    def close_all() -> None:
        ready.wait(30)
        for wal in wals:
            wal.rename(wal.with_suffix(""))

    thread = threading.Thread(target=close_all)
    thread.start()
    listings = 0
    ready.set()
    try:
        while thread.is_alive() or not listings:
            listings += 1
            stems = {name.partition(".")[0] for name in session_names(tmp_path)}
            assert len(stems) == 1000
    finally:
        thread.join(30)

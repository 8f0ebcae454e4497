"""Names -> metas, many in one go, by one thread or by several that share the names."""

from __future__ import annotations

import threading
from pathlib import Path
from uuid import UUID

import pytest

from actors import Actor, held_of
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import SessionState
from sessiontail.directory import gathering
from sessiontail.directory.gathering import NOBODY, Found, begin_scan, read_metas
from sessiontail.session import glance
from sessiontail.session.summary import Detail
from sessiontail.system import readahead
from sessiontail.system.files import SessionFile
from sessiontail.system.locks import LockTable

LINES, RECORDS = Detail.LINES, Detail.RECORDS


def put(directory: Path, name: str, data: bytes) -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def put_many(directory: Path, count: int) -> list[str]:
    names = [f"{number:03}.jsonl" for number in range(count)]
    for number, name in enumerate(names):
        put(directory, name, session_bytes(session_id=UUID(int=number, version=4)))
    return names


def paths(*found: Found) -> list[str]:
    return sorted(meta.path.name for part in found for meta in part.metas)


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is in the page cache."""
    monkeypatch.setattr(SessionFile, "read_cached", lambda *_: None)
    for module in (readahead, glance):
        monkeypatch.setattr(module, "NOWAIT", None)


@pytest.mark.parametrize("ahead", [False, True])
def test_every_name_gives_a_meta_or_an_error_that_names_the_file(
    tmp_path: Path, *, ahead: bool
) -> None:
    names = put_many(tmp_path, 20)
    bad = put(tmp_path, "bad.jsonl", b"[]\n")

    found = read_metas(tmp_path, iter([*names, bad.name]), NOBODY, LINES, ahead)

    assert paths(found) == names
    assert [error.path for error in found.skipped] == [bad]
    assert found.taken == 21
    assert held_of(tmp_path) == []


@pytest.mark.parametrize("detail", [LINES, RECORDS])
def test_a_wal_that_was_renamed_since_its_name_was_read_is_found(
    tmp_path: Path, detail: Detail
) -> None:
    final = put(tmp_path, f"{ID}.jsonl", session_bytes())

    found = read_metas(tmp_path, iter([f"{ID}.jsonl.__partial__"]), NOBODY, detail, ahead=False)

    assert [meta.path for meta in found.metas] == [final]
    assert found.skipped == []


def test_a_file_that_is_gone_is_taken_and_no_error(tmp_path: Path) -> None:
    gone = ["a.jsonl", "b.jsonl.__partial__"]

    assert read_metas(tmp_path, iter(gone), NOBODY, LINES, ahead=False) == Found([], [], 2, 0)


def test_a_trailer_is_believed_unless_every_line_is_asked_for(tmp_path: Path) -> None:
    name = put(tmp_path, "a.jsonl", header_line() + b"x\n" + chunk_line() + trailer_line(7)).name
    believed = read_metas(tmp_path, iter([name]), NOBODY, LINES, ahead=False).metas
    verified = read_metas(tmp_path, iter([name]), NOBODY, RECORDS, ahead=False).metas

    assert [(meta.chunk_count, meta.damaged_lines) for meta in believed] == [(7, None)]
    assert [(meta.chunk_count, meta.damaged_lines) for meta in verified] == [(1, 1)]


def test_the_locks_say_what_is_live(tmp_path: Path) -> None:
    with Actor(tmp_path).open() as actor:
        states = [
            read_metas(tmp_path, iter([actor.wal.name]), locks, LINES, ahead=False).metas[0].state
            for locks in (NOBODY, LockTable.read())
        ]

    assert states == [SessionState.UNKNOWN, SessionState.LIVE]


def test_threads_that_share_the_names_take_each_of_them_once(tmp_path: Path) -> None:
    names = put_many(tmp_path, 200)
    shared = iter(names)
    found: list[Found] = []
    together = threading.Barrier(4)

    def work() -> None:
        together.wait(30)
        found.append(read_metas(tmp_path, shared, NOBODY, RECORDS, ahead=False))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert paths(*found) == names
    assert sum(part.taken for part in found) == 200


@pytest.mark.usefixtures("cold")
def test_one_thread_leaves_cold_files_to_several_which_read_them_all(tmp_path: Path) -> None:
    names = put_many(tmp_path, 100)
    left = iter(names)

    alone = read_metas(tmp_path, left, NOBODY, LINES, ahead=False)
    several = read_metas(tmp_path, left, NOBODY, LINES, ahead=True)

    assert 0 < alone.taken < 100
    assert alone.cold == alone.taken
    assert (alone.taken + several.taken, several.cold) == (100, several.taken)
    assert paths(alone, several) == names


@pytest.mark.usefixtures("cold")
def test_who_reads_every_line_does_not_give_up_where_files_are_cold(tmp_path: Path) -> None:
    names = put_many(tmp_path, 100)

    assert read_metas(tmp_path, iter(names), NOBODY, RECORDS, ahead=False).taken == 100


def test_a_scan_of_few_files_begins_with_all_of_them(tmp_path: Path) -> None:
    names = put_many(tmp_path, 3)
    put(tmp_path, "notes.txt", b"")

    first = begin_scan(tmp_path, LINES)

    assert sorted(first.names) == paths(first.found) == names
    assert first.left_aside == []


def test_the_first_hop_takes_names_from_the_end_and_leaves_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = put_many(tmp_path, 40)
    monkeypatch.setattr(gathering, "MAX_FILES_PER_HOP", 20)

    first = begin_scan(tmp_path, LINES)

    assert sorted(first.names) == names
    assert paths(first.found) == sorted(first.names[-first.found.taken :])
    assert first.found.taken == 20
    assert first.left_aside is None  # asked for when the rest is read


def test_what_a_killed_deletion_left_is_told_when_all_files_are_read(tmp_path: Path) -> None:
    put_many(tmp_path, 2)
    left = put(tmp_path, f".{ID}.jsonl.deleting", session_bytes())

    errors = begin_scan(tmp_path, LINES).left_aside

    assert errors is not None
    assert [(error.path, error.reason) for error in errors] == [(left, "left-aside")]


def test_a_directory_that_is_absent_or_empty_gives_nothing(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "absent"):
        first = begin_scan(directory, RECORDS)

        assert (first.names, first.found, first.left_aside) == ([], Found([], [], 0, 0), [])

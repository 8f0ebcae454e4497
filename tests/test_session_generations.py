"""Of a session's two names, which file is meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from samples import ID, session_bytes
from sessiontail.format.cursor import START, Position
from sessiontail.session.generations import (
    find_again,
    not_found,
    open_all,
    open_fitting,
    open_only,
    place_of,
)
from sessiontail.system.files import SessionFile
from sessiontail.system.paths import SessionPaths, stem_paths
from sessiontail.system.stamps import FileId

EARLIER, LATER = session_bytes(2), session_bytes(3, closed=False)


@pytest.fixture
def paths(tmp_path: Path) -> SessionPaths:
    return stem_paths(str(ID), tmp_path)


def closed(paths: SessionPaths) -> FileId:
    paths.final.write_bytes(EARLIER)
    return FileId.of(paths.final.stat())


def running(paths: SessionPaths) -> FileId:
    paths.wal.write_bytes(LATER)
    return FileId.of(paths.wal.stat())


def test_a_file_is_found_under_the_name_that_it_has_now(paths: SessionPaths) -> None:
    wal, final = running(paths), closed(paths)

    assert place_of(paths, wal) == ("wal", False)
    assert place_of(paths, final) == ("final", True)
    paths.wal.unlink()
    assert place_of(paths, final) == ("final", False)
    assert place_of(paths, wal) == ("nowhere", True)
    paths.final.unlink()
    assert place_of(paths, wal) == ("nowhere", False)


def test_a_rename_between_the_two_looks_is_seen_under_the_final_name(paths: SessionPaths) -> None:
    wal = running(paths)
    aside = paths.directory / "aside"
    paths.wal.rename(aside)

    assert place_of(paths, wal, lambda: aside.rename(paths.final)) == ("final", False)


@pytest.mark.parametrize("name", ["wal", "final"])
def test_the_file_that_a_reader_had_is_opened_again_under_either_name(
    paths: SessionPaths, name: str
) -> None:
    wanted = running(paths)
    if name == "final":
        paths.wal.rename(paths.final)
        running(paths)

    file, others = find_again(paths, wanted, cached=False, remote=False)

    assert file is not None
    assert (file.id, others) == (wanted, name == "final")
    file.close()


def test_a_file_that_is_gone_is_not_found_again_and_another_is_no_substitute(
    paths: SessionPaths,
) -> None:
    wanted = running(paths)
    with paths.wal.open("rb"):  # its number stays taken
        paths.wal.unlink()
        assert find_again(paths, wanted, cached=False, remote=False) == (None, False)
        closed(paths)
        assert find_again(paths, wanted, cached=False, remote=False) == (None, True)


def test_all_files_of_a_session_are_opened_the_earlier_first(paths: SessionPaths) -> None:
    later, earlier = running(paths), closed(paths)

    def opened(is_done: Callable[[SessionFile], bool]) -> list[FileId]:
        files = open_all(paths, is_done=is_done, remote=False)
        found = [file.id for file in files]
        for file in files:
            file.close()
        return found

    assert opened(lambda _: False) == [earlier, later]
    assert opened(lambda _: True) == [later]  # nobody asks it of a WAL


def test_what_fails_on_the_way_leaves_no_file_open(paths: SessionPaths) -> None:
    running(paths)
    closed(paths)

    def fail(file: SessionFile) -> bool:
        raise ZeroDivisionError

    before = set(SessionFile.open_now)
    with pytest.raises(ZeroDivisionError):
        open_all(paths, is_done=fail, remote=False)

    assert SessionFile.open_now == before


@pytest.mark.parametrize("seen", [True, False])
def test_the_one_file_of_a_session_is_opened_at_once(paths: SessionPaths, seen: bool) -> None:  # noqa: FBT001 - a table
    wal = running(paths)

    file = open_only(paths, seen=(wal, True) if seen else None)

    assert file is not None
    assert file.id == wal
    file.close()


def test_what_is_not_as_it_was_seen_wants_a_closer_look(paths: SessionPaths) -> None:
    wal = running(paths)
    paths.wal.rename(paths.final)
    with pytest.raises(BlockingIOError):
        open_only(paths, seen=(wal, True))  # renamed since
    other = running(paths)
    with pytest.raises(BlockingIOError):
        open_only(paths, seen=(wal, True))  # another one
    with pytest.raises(BlockingIOError):
        open_only(paths, seen=None)  # two
    paths.wal.unlink()
    paths.wal.mkdir()
    with pytest.raises(BlockingIOError):
        open_only(paths, seen=(other, True))  # none that is a file


def test_of_two_generations_the_one_that_a_position_fits_is_opened(paths: SessionPaths) -> None:
    later, earlier = running(paths), closed(paths)

    def opened(after: Position) -> FileId:
        fitting = open_fitting(paths.newest_first, after, whole=True, remote=False, block=True)
        assert fitting is not None
        found = fitting.reader.file.id
        fitting.reader.close()
        return found

    def behind(data: bytes) -> Position:
        paths.final.with_name("x").write_bytes(data)
        fitting = open_fitting(
            [str(paths.final.with_name("x"))], START, whole=True, remote=False, block=True
        )
        assert fitting is not None
        reader = fitting.reader
        while reader.next_batch(block=True):
            pass
        reader.close()
        return Position.at(reader.mark, trailer_seen=False, session_id=None)

    assert opened(START) == later
    assert opened(behind(EARLIER)) == earlier
    assert opened(behind(LATER)) == later


def test_who_finds_none_is_told_where_it_was_looked_for(paths: SessionPaths) -> None:
    names = paths.newest_first

    assert open_fitting(names, START, whole=True, remote=False, block=True) is None
    assert str(not_found(names)) == (
        f"{paths.directory}: no such session: neither {ID}.jsonl.__partial__ nor {ID}.jsonl"
    )
    assert str(not_found(names[:1])) == f"{paths.wal}: no such session file"
    assert "no such directory" in str(not_found([str(paths.directory / "no" / "a.jsonl")]))

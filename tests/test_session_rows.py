"""A session's file -> what stands for each of its rows, read when it is asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chats import FIRST, Chats, rows
from samples import chunk_line, header_line, trailer_line
from sessiontail.format.inheritance import digest_of
from sessiontail.session.rows import FileRows, Looks, RowsChanged
from sessiontail.system.paths import path_paths
from sessiontail.system.stamps import FileId


@pytest.fixture
def looks() -> Looks:
    return Looks()


def open_rows(path: Path, looks: Looks) -> FileRows:
    return FileRows(path_paths(path).oldest_first, FileId.of(path.stat()), looks)


def digests(found: FileRows) -> list[bytes]:
    every: list[bytes] = []
    while (digest := found.digest(len(every))) is not None:
        every.append(digest)
    return every


def test_a_row_is_its_line_and_ends_where_that_ends(tmp_path: Path, looks: Looks) -> None:
    path = Chats(tmp_path).write(1, rows(*FIRST))
    found = open_rows(path, looks)
    lines = rows(*FIRST).splitlines(keepends=True)

    assert digests(found) == [digest_of(line) for line in lines]
    assert found.finished
    head = path.read_bytes().index(b"\n") + 1
    assert [found.end(i) for i in range(3)] == [0, head + len(lines[0]), head + len(rows(FIRST[0]))]
    assert [found.answered(i) for i in range(7)] == [0, 0, 2, 2, 4, 4, 6]


def test_blank_lines_and_other_line_ends_are_no_difference_in_rows(
    tmp_path: Path, looks: Looks
) -> None:
    path = tmp_path / "blank.jsonl"
    line = chunk_line(0, "hi")
    path.write_bytes(b"\n" + header_line() + b"\n \n" + line + b"\n" + line)

    assert digests(open_rows(path, looks)) == [digest_of(line)] * 2


@pytest.mark.parametrize(
    "other", [trailer_line(), header_line(), b"damaged\n"], ids=["trailer", "header", "damage"]
)
def test_the_first_line_that_is_no_chunk_ends_them(
    tmp_path: Path, looks: Looks, other: bytes
) -> None:
    path = tmp_path / "ended.jsonl"
    path.write_bytes(header_line() + chunk_line(0) + other + chunk_line(1))
    found = open_rows(path, looks)

    assert len(digests(found)) == 1
    assert found.finished


@pytest.mark.parametrize("first", [b"", b"{", b"damaged\n", chunk_line(0)])
def test_what_has_no_header_has_no_rows(tmp_path: Path, looks: Looks, first: bytes) -> None:
    path = tmp_path / "none.jsonl"
    path.write_bytes(first)
    found = open_rows(path, looks)

    assert not found.begun()
    assert digests(found) == []


def test_within_one_look_the_end_is_met_once(tmp_path: Path, looks: Looks) -> None:
    path = tmp_path / "live.jsonl.__partial__"
    path.write_bytes(header_line() + chunk_line(0))
    found = open_rows(path, looks)
    assert len(digests(found)) == 1
    with path.open("ab") as file:
        file.write(chunk_line(1) + chunk_line(2)[:20])

    assert len(digests(found)) == 1
    looks.number += 1
    assert len(digests(found)) == 2


def test_a_torn_line_that_was_cut_off_and_written_anew_leaves_no_stale_byte(
    tmp_path: Path, looks: Looks
) -> None:
    path = tmp_path / "live.jsonl.__partial__"
    path.write_bytes(header_line() + chunk_line(0, "torn")[:-5])
    found = open_rows(path, looks)
    assert digests(found) == []
    path.write_bytes(header_line() + chunk_line(0, "whole"))
    looks.number += 1

    assert digests(found) == [digest_of(chunk_line(0, "whole"))]


def test_a_file_is_found_under_its_other_name(tmp_path: Path, looks: Looks) -> None:
    path = tmp_path / "live.jsonl.__partial__"
    path.write_bytes(header_line() + chunk_line(0))
    found = open_rows(path, looks)

    path.rename(tmp_path / "live.jsonl")

    assert len(digests(found)) == 1
    assert found.is_there()


def test_a_file_that_is_gone_has_no_more_rows(tmp_path: Path, looks: Looks) -> None:
    path = Chats(tmp_path).write(1, rows(*FIRST))
    found = open_rows(path, looks)
    path.unlink()

    assert found.digest(0) is None
    assert not found.is_there()


def test_another_file_under_the_name_is_told_apart(tmp_path: Path, looks: Looks) -> None:
    path = Chats(tmp_path).write(1, rows(*FIRST))
    found = open_rows(path, looks)
    other = tmp_path / "other"
    other.write_bytes(path.read_bytes())
    os.replace(other, path)  # noqa: PTH105 - as writers do

    assert not found.is_there()
    with pytest.raises(RowsChanged):
        found.digest(0)


def test_a_rewritten_file_is_told_apart(tmp_path: Path, looks: Looks) -> None:
    path = tmp_path / "live.jsonl.__partial__"
    path.write_bytes(header_line() + chunk_line(0, "one"))
    found = open_rows(path, looks)
    assert len(digests(found)) == 1
    path.write_bytes(header_line() + chunk_line(0, "two") + chunk_line(1, "more"))
    looks.number += 1

    with pytest.raises(RowsChanged):
        found.digest(1)
    assert not found.is_there()


def test_a_file_that_cannot_be_read_hides_nothing(
    tmp_path: Path, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Chats(tmp_path).write(1, rows(*FIRST))
    found = open_rows(path, looks)

    def refused(name: object) -> None:
        raise PermissionError(13, "Permission denied", str(name))

    monkeypatch.setattr("sessiontail.session.rows.SessionFile", refused)

    assert found.digest(0) is None


def test_twins_are_told_apart_by_when_they_were_written(tmp_path: Path, looks: Looks) -> None:
    paths = [tmp_path / f"{i}.jsonl" for i in "ba"]
    found = []
    for i, path in enumerate(paths):
        path.write_bytes(header_line() + chunk_line(0))
        os.utime(path, (i, i))
        found.append(open_rows(path, looks))
        assert found[-1].begun()

    assert found[0].order < found[1].order


def test_a_file_that_is_as_it_was_read_is_there_without_being_opened(
    tmp_path: Path, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Chats(tmp_path).write(1, rows(*FIRST))
    found = open_rows(path, looks)
    digests(found)
    monkeypatch.setattr("sessiontail.session.rows.SessionFile", None)

    assert found.is_there()

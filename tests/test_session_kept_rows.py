"""What was read of a session's rows, restored, is what reading gives; what proves nothing is not kept."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from chats import FIRST, GONE, Chats, rows
from samples import chunk_line, header_line
from sessiontail.format.rows_read import RowsKept
from sessiontail.session import kept_rows
from sessiontail.session.kept_rows import KeptRows
from sessiontail.session.rows import Looks
from sessiontail.system import stamps
from sessiontail.system.files import SessionFile
from sessiontail.system.paths import path_paths
from sessiontail.system.stamps import FileId, stamp_bytes


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every file as one that has not changed for long."""
    monkeypatch.setattr(stamps, "SETTLED_S", 0)


def unread(path: Path) -> KeptRows:
    looks = Looks()
    looks.number = 1
    return KeptRows(path_paths(path).oldest_first, FileId.of(path.stat()), looks)


def digests(found: KeptRows) -> list[bytes]:
    every: list[bytes] = []
    while (digest := found.digest(len(every))) is not None:
        every.append(digest)
    return every


def kept(found: KeptRows, path: Path) -> tuple[bytes, RowsKept] | None:
    return found.kept(path.stat(), same_clock=True)


def passed_on(found: KeptRows, path: Path) -> KeptRows:
    """The rows of another process, which has what this one kept."""
    told = kept(found, path)
    assert told is not None
    data = msgspec.msgpack.encode(told[1])
    other = unread(path)
    other.restore(msgspec.msgpack.decode(data, type=RowsKept), path.stat())
    return other


@pytest.mark.parametrize("closed", [True, False])
def test_what_was_read_to_the_end_is_restored_and_nothing_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, closed: bool
) -> None:
    path = Chats(tmp_path).write(1, rows(*FIRST), closed=closed)
    found = unread(path)
    every = digests(found)
    other = passed_on(found, path)
    monkeypatch.setattr(SessionFile, "__init__", None)

    assert digests(other) == every
    assert len(every) == 6
    assert other.is_there()
    assert not other.has_more
    for name in ("id_text", "parent_text", "may_inherit", "finished", "order"):
        assert getattr(other, name) == getattr(found, name)
    assert [other.end(i) for i in range(7)] == [found.end(i) for i in range(7)]
    assert [other.answered(i) for i in range(7)] == [found.answered(i) for i in range(7)]


def test_what_was_read_in_part_is_read_on_from_there(tmp_path: Path) -> None:
    path = Chats(tmp_path).write(1, rows(*[("q" * 3000, "a" * 3000)] * 9))
    found = unread(path)
    first = found.digest(0)
    other = passed_on(found, path)
    more = [other.has_more]
    every = digests(other)
    more.append(other.has_more)

    assert every[0] == first
    assert every == digests(unread(path))
    assert more == [False, True]


def test_what_is_restored_is_told_apart_from_what_the_file_becomes(tmp_path: Path) -> None:
    path = Chats(tmp_path).write(1, rows(*FIRST), closed=False)
    found = unread(path)
    digests(found)
    other = passed_on(found, path)
    with path.open("ab") as file:
        file.write(chunk_line(6, "later"))

    assert other.is_there()
    assert digests(other) == digests(unread(path))
    path.write_bytes(path.read_bytes().replace(b"later", b"other"))
    os.utime(path, (1, 1))
    assert not other.is_there()


def test_a_file_whose_parts_were_read_at_different_times_is_not_kept(tmp_path: Path) -> None:
    path = Chats(tmp_path).write(1, rows(*FIRST), closed=False)
    found = unread(path)
    digests(found)
    with path.open("ab") as file:
        file.write(chunk_line(6, "later"))
    found._looks.number += 1
    digests(found)

    assert kept(found, path) is None


def test_what_is_not_the_file_that_was_read_is_not_kept(tmp_path: Path) -> None:
    path = Chats(tmp_path).write(1, rows(*FIRST))
    found = unread(path)
    before = kept(found, path)
    digests(found)
    read = kept(found, path)
    stamp = stamp_bytes(path.stat())
    os.utime(path, (1, 1))
    touched = kept(found, path)
    other = tmp_path / "other"
    other.write_bytes(path.read_bytes())
    other.rename(path)

    assert (before, touched, kept(found, path)) == (None, None, None)
    assert read is not None
    assert read[0] == stamp
    assert read[1].parent_text == GONE


def test_what_has_just_changed_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "SETTLED_S", 3600)
    path = Chats(tmp_path).write(1, rows(*FIRST))
    found = unread(path)
    digests(found)

    assert kept(found, path) is None


def test_more_rows_than_are_worth_it_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.jsonl"
    path.write_bytes(header_line() + rows(*FIRST))
    found = unread(path)
    digests(found)
    monkeypatch.setattr(kept_rows, "_MOST_ROWS", 6)
    most = kept(found, path)
    monkeypatch.setattr(kept_rows, "_MOST_ROWS", 5)

    assert most is not None
    assert kept(found, path) is None

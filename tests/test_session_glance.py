"""A file that is as the real writer leaves it, read in half the time, or left to who takes all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors import links
from listed import meta_of, put
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import SessionState
from sessiontail.session import counting
from sessiontail.session.glance import usual_meta
from sessiontail.session.summary import read_meta
from sessiontail.system.files import NOWAIT
from sessiontail.system.locks import LockTable

NOBODY = LockTable(b"")

pytestmark = pytest.mark.skipif(NOWAIT is None, reason="reads may wait here")


@pytest.mark.parametrize("chunks", [0, 1, 15, 1_000])
def test_of_a_closed_file_it_says_what_a_thorough_look_says(tmp_path: Path, chunks: int) -> None:
    path = put(tmp_path, f"{ID}.jsonl", session_bytes(chunks))

    found = usual_meta(str(path), NOBODY)

    assert found == meta_of(path, chunk_count=chunks) == read_meta(path, NOBODY)[0]


@pytest.mark.parametrize("size", [*range(4090, 4102), 8191, 8192, 8193])
def test_it_says_the_same_whatever_the_two_ends_have_in_common(tmp_path: Path, size: int) -> None:
    filler = size - len(header_line() + chunk_line(0, "") + trailer_line())
    data = header_line() + chunk_line(0, "x" * filler) + trailer_line()
    path = put(tmp_path, f"{ID}.jsonl", data)

    assert len(data) == size
    assert usual_meta(str(path), NOBODY) == meta_of(path)


UNUSUAL = {
    "empty": b"",
    "torn header": header_line()[:-1],
    "no trailer": session_bytes(3, closed=False),
    "torn trailer": session_bytes(3)[:-1],
    "a torn line behind the trailer": session_bytes(3) + b"{",
    "a blank line behind the trailer": session_bytes(3) + b"\n",
    "a blank line first": b"\n" + session_bytes(3),
    "a header of more": header_line(note="x") + chunk_line() + trailer_line(),
    "a header longer than a look": header_line(lineage_operator="x" * 5_000) + trailer_line(),
    "damage first": b"bad\n" + session_bytes(3),
    "a trailer of fewer than none": header_line() + trailer_line(-1),
    "a trailer only": trailer_line(),
}


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_unusual_is_left_to_the_thorough_look(tmp_path: Path, data: bytes) -> None:
    assert usual_meta(str(put(tmp_path, f"{ID}.jsonl", data)), NOBODY) is None


def test_the_end_of_a_line_is_no_trailer(tmp_path: Path) -> None:
    end = trailer_line(7)
    data = header_line() + chunk_line(0, "x" * 5_000)[:-1] + end
    path = put(tmp_path, f"{ID}.jsonl", data)

    assert usual_meta(str(path), NOBODY) is None


def test_what_is_no_file_is_left_to_who_can_say_why(tmp_path: Path) -> None:
    (tmp_path / "directory.jsonl").mkdir()
    os.mkfifo(tmp_path / "fifo.jsonl")
    put(tmp_path, "there.jsonl", session_bytes())
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "there.jsonl")

    for name in ("directory", "fifo", "link", "absent"):
        assert usual_meta(str(tmp_path / f"{name}.jsonl"), NOBODY) is None


def test_a_wal_is_taken_once_it_was_counted_and_only_as_long_as_it_stays_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "SETTLED_S", 0)
    path = put(tmp_path, f"{ID}.jsonl.__partial__", session_bytes(3, closed=False) + b"{torn")
    found = [usual_meta(str(path), NOBODY)]
    counted, _ = read_meta(path, NOBODY)
    found.append(usual_meta(str(path), NOBODY))
    with path.open("ab") as file:
        file.write(b"\n")
    found.append(usual_meta(str(path), NOBODY))

    assert found == [None, counted, None]
    assert (counted.chunk_count, counted.torn_bytes) == (3, 5)


def test_who_holds_the_file_shows(tmp_path: Path) -> None:
    path = put(tmp_path, f"{ID}.jsonl", session_bytes())
    status = path.stat()
    major, minor = os.major(status.st_dev), os.minor(status.st_dev)
    line = f"1: FLOCK  ADVISORY  WRITE 77 {major:02x}:{minor:02x}:{status.st_ino} 0 EOF\n"

    found = usual_meta(str(path), LockTable(line.encode()))

    assert found == meta_of(path, state=SessionState.LIVE, writer_pid=77)


def test_it_leaves_no_descriptor(tmp_path: Path) -> None:
    path = put(tmp_path, f"{ID}.jsonl", session_bytes())
    before = links()
    for name in (str(path), str(tmp_path)):
        usual_meta(name, NOBODY)

    assert links() == before

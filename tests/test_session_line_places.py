"""Where a line begins is found in any file, also in one that grows, or was rewritten meanwhile."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from samples import ID, chunk_line, header_line, session_bytes
from sessiontail import DamagedSession, LineNotFound, PersistenceError, SessionNotFound
from sessiontail.format.cursor import START, Position
from sessiontail.session.line_places import BLOCK_BYTES, cursor_of, line_start
from sessiontail.system.files import SessionFile

NAME = f"{ID}.jsonl"


def starts(data: bytes) -> list[int]:
    """Where each line begins, the slow way; also the one that comes next."""
    return [0, *(i + 1 for i in range(len(data)) if data[i] == 0x0A)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / NAME


def opened(path: Path) -> Iterator[SessionFile]:
    file = SessionFile(path)
    yield file
    file.close()


def found(path: Path, lines: range) -> list[int]:
    for file in opened(path):
        return [line_start(file, line) for line in lines]
    raise AssertionError


def lines_of(seed: int, count: int, longest: int) -> bytes:
    chance = random.Random(seed)
    return b"".join(b"x" * chance.randrange(longest) + b"\n" for _ in range(count))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"torn",
        b"\n",
        b"a\nb\n\n\nc\ntorn",
        b"\n" * 10,
        b"x" * (BLOCK_BYTES - 1) + b"\n",  # a newline as the last of a block
        b"x" * BLOCK_BYTES + b"\n" + b"y\n",  # and as the first of the next
        b"a\n" + b"x" * (3 * BLOCK_BYTES) + b"\nb\n",  # blocks without any
        lines_of(1, 400, 2000),
    ],
    ids=len,
)
def test_each_line_is_found_where_it_begins(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    expected = starts(data)

    assert found(path, range(1, len(expected) + 1)) == expected
    with pytest.raises(LineNotFound):
        found(path, range(len(expected) + 1, len(expected) + 2))


def test_of_lines_that_there_are_not_it_is_said_how_many_there_are(path: Path) -> None:
    path.write_bytes(b"a\nb\ntorn")

    with pytest.raises(LineNotFound) as raised:
        found(path, range(9, 10))

    assert raised.value.message == "there is no line 9: the session has 2 lines"


def test_what_is_added_is_found_too(path: Path) -> None:
    data = b""
    for seed in range(4):
        data += lines_of(seed, 300, 2500)
        path.write_bytes(b"")  # the same inode
        with path.open("r+b") as file:
            file.write(data)
        expected = starts(data)
        last = len(expected)

        assert found(path, range(last - 20, last + 1)) == expected[-21:]
        assert found(path, range(1, 20)) == expected[:19]


@pytest.mark.parametrize("where", ["head", "tail"])
def test_what_was_rewritten_is_counted_anew(path: Path, where: str) -> None:
    """With as many bytes, under the same inode."""
    data = b"x" * 1023 + b"\n"
    path.write_bytes(data * 600)
    assert found(path, range(601, 602)) == [600 * 1024]

    # Of two whole blocks, in one end of them only.
    kept, half = (0, 511) if where == "head" else (1, 512)
    short = b"y" * 511 + b"\n"
    changed = data * kept + short * 2 * (half - kept) + data * (600 - half)
    with path.open("r+b") as file:
        file.write(changed)

    expected = starts(changed)
    last = len(expected)
    assert found(path, range(last - 5, last + 1)) == expected[-6:]
    assert found(path, range(1, 9)) == expected[:8]


def test_what_was_cut_is_counted_anew(path: Path) -> None:
    data = lines_of(3, 600, 2500)
    path.write_bytes(data)
    found(path, range(600, 601))

    os.truncate(path, BLOCK_BYTES)
    expected = starts(data[:BLOCK_BYTES])

    assert found(path, range(1, len(expected) + 1)) == expected


def test_a_cursor_is_the_one_that_a_reader_has_there(path: Path) -> None:
    data = session_bytes(3)
    path.write_bytes(data)

    positions = [Position.decode(cursor_of([str(path)], line)) for line in range(1, 7)][1:-1]

    assert Position.decode(cursor_of([str(path)], 1)).offset == 0
    assert [(one.offset, one.lines) for one in positions] == [
        (offset, line) for line, offset in enumerate(starts(data)[1:-1], start=1)
    ]
    assert {(one.header_version, one.session_id) for one in positions} == {(1, ID)}
    assert [one.trailer_seen for one in positions] == [False, False, False, False]
    assert Position.decode(cursor_of([str(path)], 6)).trailer_seen is True


def test_a_place_before_the_end_knows_its_line_however_far_that_is(path: Path) -> None:
    rows = b"".join(chunk_line(n, "x" * 8_000) for n in range(800))  # 6.4 MB
    path.write_bytes(header_line() + rows + b"torn")
    for last in (0, 1, 300, 799):
        position = Position.decode(cursor_of([str(path)], None, last=last))
        assert position.lines == 801 - last
        assert Position.decode(cursor_of([str(path)], 802 - last)) == position
    assert Position.decode(cursor_of([str(path)], None, last=9999)).offset == 0


def test_before_the_header_there_is_only_the_start(path: Path) -> None:
    path.write_bytes(b"\n\n" + session_bytes())

    assert [Position.decode(cursor_of([str(path)], line)) for line in (1, 2, 3)] == [
        START,
        START,
        Position.decode(cursor_of([str(path)], 3)),
    ]


def test_without_a_header_there_is_no_place(path: Path) -> None:
    path.write_bytes(chunk_line() * 3)

    with pytest.raises(DamagedSession):
        cursor_of([str(path)], 2)


def test_the_first_that_is_there_is_meant(tmp_path: Path) -> None:
    wal, final = tmp_path / f"{NAME}.__partial__", tmp_path / NAME
    with pytest.raises(SessionNotFound):
        cursor_of([str(wal), str(final)], 1)

    final.write_bytes(session_bytes(5))
    assert Position.decode(cursor_of([str(wal), str(final)], 6)).lines == 5
    wal.write_bytes(header_line())
    with pytest.raises(LineNotFound, match=r"has 1 line$"):
        cursor_of([str(wal), str(final)], 6)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()

    with pytest.raises(PersistenceError):
        cursor_of([str(tmp_path / NAME)], 1)

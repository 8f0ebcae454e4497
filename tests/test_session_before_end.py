"""The position so many lines before the end of an open file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from listed import bytes_read
from samples import ID, chunk_line, header_line, json_line, session_bytes, trailer_line
from sessiontail.format.cursor import START, Position
from sessiontail.format.marks import fingerprint
from sessiontail.session.before_end import position_before_end
from sessiontail.session.fitting import mark_at
from sessiontail.system.files import SessionFile

# Of more, lines are not counted from the file's begin.
COUNTED_BYTES = 4 * 1024 * 1024


@contextmanager
def opened(tmp_path: Path, data: bytes, name: str = "a.jsonl") -> Iterator[SessionFile]:
    path = tmp_path / name
    path.write_bytes(data)
    file = SessionFile(path)
    yield file
    file.close()


def at(data: bytes, offset: int, *, trailer_seen: bool = False) -> Position:
    """The position that a reader has who read so many bytes from the start."""
    head, tail = data[: min(256, offset)], data[max(0, offset - 256) : offset]
    return Position(
        offset,
        data.count(b"\n", 0, offset),
        1,
        trailer_seen,
        fingerprint(head),
        fingerprint(tail),
        ID,
    )


@pytest.mark.parametrize("tail", [b"", b'{"half', b"y" * 100_000], ids=["whole", "torn", "long"])
@pytest.mark.parametrize("last", range(5))
def test_it_is_the_position_of_who_read_up_to_there(tmp_path: Path, last: int, tail: bytes) -> None:
    lines = [header_line(), *(chunk_line(i, "x" * 100) for i in range(4))]
    data = b"".join(lines) + tail
    with opened(tmp_path, data) as file:
        found = position_before_end(file, last)
        mark = mark_at(file, found, block=True)

    offset = len(b"".join(lines[: len(lines) - last]))
    assert found == at(data, offset)
    assert (mark.offset, mark.lines) == (offset, len(lines) - last)


@pytest.mark.parametrize("last", [5, 6, 1_000_000])
def test_where_there_are_no_more_lines_it_is_the_start(tmp_path: Path, last: int) -> None:
    with opened(tmp_path, session_bytes(3)) as file:
        assert position_before_end(file, last) == START


@pytest.mark.parametrize(
    "data",
    [
        b"",
        header_line()[:-1],
        chunk_line() * 5,
        b"x\n" + header_line() + chunk_line() * 5,
        b"\0" * 10_000 + b"\n" * 5,
        header_line(schema_version=99) + chunk_line() * 5,
        json_line({"record_type": "header"}) + chunk_line() * 5,
    ],
    ids=["empty", "torn", "chunks", "damage", "nothing", "of a later version", "malformed"],
)
@pytest.mark.parametrize("last", [0, 1, 3])
def test_without_a_header_there_is_no_other_position_than_the_start(
    tmp_path: Path, data: bytes, last: int
) -> None:
    with opened(tmp_path, data) as file:
        assert position_before_end(file, last) == START


@pytest.mark.parametrize("last", [3, 4, 5, 6, 7])
def test_blank_lines_before_the_header_are_no_place_to_begin(tmp_path: Path, last: int) -> None:
    data = b"\n\n\n" + session_bytes(2)
    with opened(tmp_path, data) as file:
        found = position_before_end(file, last)

    assert found == (START if last > 3 else at(data, data.find(b"\n", 3) + 1))


def test_a_header_of_any_length_is_read(tmp_path: Path) -> None:
    data = header_line(note="h" * 100_000) + chunk_line() * 3
    with opened(tmp_path, data) as file:
        assert position_before_end(file, 1) == at(data, len(data) - len(chunk_line()))


@pytest.mark.parametrize(("last", "seen"), [(0, True), (1, False), (2, False)])
def test_a_trailer_that_is_left_out_counts_as_seen(
    tmp_path: Path, last: int, *, seen: bool
) -> None:
    with opened(tmp_path, session_bytes(3)) as file:
        assert position_before_end(file, last).trailer_seen is seen


def test_what_came_behind_the_given_end_is_not_counted(tmp_path: Path) -> None:
    before = session_bytes(3, closed=False)
    data = before + chunk_line(3) + trailer_line(4)
    with opened(tmp_path, data) as file:
        assert position_before_end(file, 1, len(before)) == at(
            data, len(before) - len(chunk_line())
        )
        # Behind the file's own end there is nothing: it was cut since.
        assert position_before_end(file, 0, len(data) + 1_000).offset == len(data)


def test_lines_before_a_position_far_from_the_start_are_unknown_and_only_the_ends_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = chunk_line(0, "x" * 100_000)
    data = header_line() + line * 100
    assert len(data) > 2 * COUNTED_BYTES
    with opened(tmp_path, data) as file, bytes_read(monkeypatch) as read:
        found = position_before_end(file, 2)

    assert (found.offset, found.lines) == (len(data) - 2 * len(line), None)
    assert sum(read) < 1_000_000


def test_lines_are_counted_up_to_4_mib_and_not_behind(tmp_path: Path) -> None:
    filler = len(header_line()) + len(chunk_line(0, ""))
    line = chunk_line(0, "x" * (COUNTED_BYTES - filler))
    for more, lines in ((b"", 2), (b"\n", None)):
        data = header_line() + line + more + chunk_line()
        assert len(header_line() + line) == COUNTED_BYTES
        with opened(tmp_path, data) as file:
            assert position_before_end(file, 1).lines == lines

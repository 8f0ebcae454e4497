"""A position, and a file that it fits or does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from samples import ID, chunk_line, header_line, session_bytes
from sessiontail import CursorInvalid
from sessiontail.format.cursor import Position
from sessiontail.format.marks import Mark, fingerprint
from sessiontail.session.fitting import mark_at
from sessiontail.session.reader import FileReader
from sessiontail.system.files import SessionFile

OTHER = UUID("4f2c0000-0000-4000-8000-000000000002")
DATA = session_bytes(5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "a.jsonl"
    found.write_bytes(DATA)
    return found


def position(data: bytes, offset: int, session_id: UUID | None = ID) -> Position:
    """A position in a file with these bytes, wherever it stands."""
    head, tail = data[: min(256, offset)], data[max(0, offset - 256) : offset]
    lines = data.count(b"\n", 0, offset)
    return Position(offset, lines, 1, False, fingerprint(head), fingerprint(tail), session_id)


def fitted(path: Path, where: Position, *, block: bool = True) -> Mark:
    file = SessionFile(path)
    try:
        return mark_at(file, where, block=block)
    finally:
        file.close()


@pytest.mark.parametrize("block", [True, False])
def test_a_position_behind_any_line_is_the_place_that_a_reader_had_there(
    path: Path, *, block: bool
) -> None:
    ends = [i + 1 for i, byte in enumerate(DATA) if byte == 0x0A]
    marks = []
    for end in ends:
        reader = FileReader(SessionFile(path), limit=end)
        while reader.next_batch(block=True):
            pass
        marks.append(reader.mark)
        reader.close()

    found = [
        fitted(path, Position.at(mark, trailer_seen=False, session_id=ID), block=block)
        for mark in marks
    ]

    assert found == marks
    assert [mark.offset for mark in found] == ends


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:600],
        lambda data: data[:0],
        lambda data: data.replace(b"4f2c", b"5a5a", 1),
        lambda data: data[:690] + b"?" + data[691:],
        lambda data: data[:10] + b"\n" + data[10:],
    ],
    ids=["shorter", "empty", "another head", "another line before", "shifted"],
)
def test_a_file_that_is_not_as_it_was_is_refused(
    path: Path, change: Callable[[bytes], bytes]
) -> None:
    offset = DATA.index(b"\n", 690) + 1
    where = position(DATA, offset)
    path.write_bytes(change(DATA))

    with pytest.raises(CursorInvalid, match=f"it was taken at byte {offset} of") as caught:
        fitted(path, where)

    assert caught.value.path == path


def test_what_comes_behind_the_position_does_not_matter(path: Path) -> None:
    offset = len(header_line())
    where = position(DATA, offset)
    path.write_bytes(DATA[:offset] + b"something else")

    assert fitted(path, where).offset == offset


def test_a_position_in_the_middle_of_a_line_is_refused(path: Path) -> None:
    with pytest.raises(CursorInvalid, match="in the middle of a line, at 500") as caught:
        fitted(path, position(DATA, 500))

    assert caught.value.path == path


def test_a_position_of_another_session_is_refused_by_the_header(path: Path) -> None:
    """The windows are the same: only the id, which lies behind the first, tells."""
    header = header_line(ID)
    note = b'{"note": "' + b"n" * 300 + b'", ' + header[1:]
    data = note + chunk_line(0, "y" * 300)
    path.write_bytes(data.replace(str(ID).encode(), str(OTHER).encode()))

    with pytest.raises(CursorInvalid) as caught:
        fitted(path, position(data, len(data)))

    assert str(caught.value) == f"{path}: the cursor is of session {ID}, the file of {OTHER}"
    assert fitted(path, position(data, len(data), OTHER)).offset == len(data)
    assert fitted(path, position(data, len(data), None)).offset == len(data)


@pytest.mark.parametrize("first", [b"bad\n", b"\n", chunk_line()])
def test_where_the_first_line_is_no_header_the_bytes_decide(path: Path, first: bytes) -> None:
    data = first + chunk_line() * 3
    path.write_bytes(data)

    assert fitted(path, position(data, len(first))).offset == len(first)


def test_what_the_page_cache_has_not_is_for_a_thread(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = position(DATA, len(DATA))
    monkeypatch.setattr(SessionFile, "read_cached", lambda *_: None)

    with pytest.raises(BlockingIOError):
        fitted(path, where, block=False)

    assert fitted(path, where, block=True).offset == len(DATA)

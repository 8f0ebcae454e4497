"""Where the lines of an open file lie, found without decoding them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sessiontail.format import Block, LineFramer, LongLine
from sessiontail.session.lines import items_of, lines_back, newlines
from sessiontail.system.files import SessionFile

READ_BYTES = 64 * 1024

# Lines of every length around that of a read, and what may follow the last newline.
SHAPES = {
    "empty": b"",
    "torn only": b"half",
    "one line": b"one\n",
    "blank lines": b"\n" * 5,
    "no last newline": b"one\ntwo\nthr",
    "a newline ends a read": b"a" * (READ_BYTES - 1) + b"\n" + b"b\n",
    "a newline begins a read": b"a" * READ_BYTES + b"\n" + b"b\n",
    "a line of three reads": b"a\n" + b"b" * 3 * READ_BYTES + b"\nc\n",
    "a torn tail of three reads": b"a\nb\n" + b"c" * 3 * READ_BYTES,
    "many short lines": b"ab\n" * READ_BYTES,
}


@contextmanager
def opened(tmp_path: Path, data: bytes) -> Iterator[SessionFile]:
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    file = SessionFile(path)
    yield file
    file.close()


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("last", [0, 1, 2, 3, READ_BYTES - 1, READ_BYTES, 10**9])
def test_so_many_lines_before_the_last_newline_is_where_they_begin(
    tmp_path: Path, data: bytes, last: int
) -> None:
    with opened(tmp_path, data) as file:
        offset = lines_back(file, len(data), last)

    def lines(whole: bytes) -> int:
        return sum(line != b"" for line in whole[: whole.rfind(b"\n") + 1].split(b"\n"))

    assert lines(data[offset:]) == min(last, lines(data))
    assert not offset or data[offset - 1 : offset] == b"\n"


def test_what_lies_behind_the_given_size_is_not_counted_back(tmp_path: Path) -> None:
    with opened(tmp_path, b"one\ntwo\nthree\nfour\n") as file:
        assert lines_back(file, len(b"one\ntwo\nth"), 1) == len(b"one\n")


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
def test_lines_are_counted_in_any_part_of_a_file(tmp_path: Path, data: bytes) -> None:
    cuts = [0, 1, len(data) // 2, READ_BYTES, READ_BYTES + 1, len(data)]
    with opened(tmp_path, data) as file:
        found = {(a, b): newlines(file, a, b) for a in cuts for b in cuts}

    assert found == {(a, b): data[a:b].count(b"\n") for a in cuts for b in cuts}


def test_a_part_that_ends_behind_the_file_has_the_lines_that_are_there(tmp_path: Path) -> None:
    with opened(tmp_path, b"one\ntwo\n") as file:
        assert newlines(file, 0, 10 * READ_BYTES) == 2


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
def test_items_are_all_whole_lines_once(tmp_path: Path, data: bytes) -> None:
    framer = LineFramer()
    with opened(tmp_path, data) as file:
        items = list(items_of(file, framer, len(data)))

    blocks = [item for item in items if isinstance(item, Block)]
    assert blocks == items
    assert b"".join(block.data for block in blocks) == data[: data.rfind(b"\n") + 1]
    assert framer.pending == len(data) - data.rfind(b"\n") - 1


def test_items_end_where_the_file_is_taken_to_end_or_does(tmp_path: Path) -> None:
    with opened(tmp_path, b"one\ntwo\nthree\n") as file:
        shorter, longer = LineFramer(), LineFramer()
        first = list(items_of(file, shorter, len(b"one\ntw")))
        whole = list(items_of(file, longer, 1_000))

    assert (first, shorter.pending) == ([Block.cut(b"one\n")], 2)
    assert (whole, longer.pending) == ([Block.cut(b"one\ntwo\nthree\n")], 0)


def test_a_line_above_the_maximum_comes_by_its_head_and_takes_no_memory(tmp_path: Path) -> None:
    long = b"x" * 20_000_000 + b"\n"
    with opened(tmp_path, b"one\n" + long + b"two\n") as file:
        size = file.stat().st_size
        framer = LineFramer(max_line_bytes=1_000)
        tracemalloc.start()
        try:
            items = list(items_of(file, framer, size))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert items == [
        Block.cut(b"one\n"),
        LongLine(b"x" * 1_000, 4, 2, len(long), b"x" * 256, b"x" * 255 + b"\n"),
        Block.cut(b"two\n", offset=4 + len(long), line=3),
    ]
    assert peak < 2_000_000

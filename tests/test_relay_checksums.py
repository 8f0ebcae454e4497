from __future__ import annotations

from pathlib import Path
from zlib import crc32

import pytest

from sessiontail.format.framing import MAX_LINE_BYTES, LineFramer
from sessiontail.relay import checksums
from sessiontail.relay.checksums import sum_block, sum_file, sum_lines
from sessiontail.relay.entries import Hole, fields_of, lines_in

DATA = b"a\n\nbb\n" + b"c" * 300 + b"\n"


def test_lines_in_any_pieces_and_their_file_are_summed_up_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksums, "_READ_BYTES", 7)
    path = tmp_path / "file"
    path.write_bytes(DATA + b"more\n")
    framer, found = LineFramer(), 0
    for at in range(len(DATA)):
        for block in framer.feed(DATA[at : at + 1]):
            found = sum_block(block, found)

    assert found == sum_lines(DATA.splitlines(keepends=True), 0) == crc32(DATA)
    assert sum_file(path, len(DATA)) == crc32(DATA)
    assert sum_file(path, 0) == 0


@pytest.mark.parametrize("size", [1, len(DATA) + 1])
def test_what_ends_in_no_line_or_is_not_there_has_no_sum(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)

    assert sum_file(path, size) is None


def test_of_a_line_that_is_too_long_its_ends_and_its_length_count(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.write(b"a\n" + b"h" * 5000)
        file.truncate(MAX_LINE_BYTES + 5000)
        file.seek(0, 2)
        file.write(b"t" * 300 + b"\n")
    framer = LineFramer(max_line_bytes=4096)
    _, long = framer.feed(b"a\n" + b"h" * 5000 + b"t" * 300 + b"\n")
    [field] = fields_of(long)
    [hole] = lines_in([(b"7-1", dict([field]))], 7, 1)
    assert isinstance(hole, Hole)
    length = path.stat().st_size - 2

    first = sum_lines([b"a\n"], 0)
    assert sum_lines([hole], first) == sum_block(long, first) == sum_block(long, crc32(b"a\n"))
    assert sum_file(path, length + 2) == sum_lines(
        [Hole(length, b"h" * 4096, b"t" * 255 + b"\n")], first
    )

from __future__ import annotations

from functools import partial
from pathlib import Path
from zlib import crc32

import pytest

from sessiontail.format.framing import LineFramer
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


def test_of_a_line_that_is_too_long_its_ends_and_its_length_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksums, "_READ_BYTES", 1000)
    monkeypatch.setattr(checksums, "MAX_LINE_BYTES", 4096)
    monkeypatch.setattr(checksums, "LineFramer", partial(LineFramer, max_line_bytes=4096))
    path = tmp_path / "file"
    data = b"a\n" + b"h" * 5000 + b"t" * 300 + b"\n"
    path.write_bytes(data)
    _, long = LineFramer(max_line_bytes=4096).feed(data)
    [hole] = lines_in([(b"7-1", dict(fields_of(long)))], 7, 1)
    assert hole == Hole(5301, b"h" * 4096, b"t" * 255 + b"\n")

    first = sum_lines([b"a\n"], 0)
    assert sum_block(long, first) == sum_lines([hole], first) == sum_file(path, len(data))
    assert sum_file(path, len(data)) != crc32(data)
    path.write_bytes(data.replace(b"h" * 5000, b"h" * 4500 + b"i" * 500))
    assert sum_block(long, first) == sum_file(path, len(data))
    assert sum_file(path, len(data) - 1) is None

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors import may_lock
from sessiontail.errors import PersistenceError
from sessiontail.relay.copied_bytes import cut_torn, put_new, same_lines
from sessiontail.relay.entries import Hole


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"a\nhh----t\nb\ntorn")
    return path


def test_lines_are_the_same_up_to_the_first_other_one(path: Path) -> None:
    hole = Hole(8, b"hh", b"t\n")

    assert same_lines(path, 0, [b"a\n", hole, b"b\n"]) == (3, 12)
    assert same_lines(path, 2, [hole, b"c\n", b"b\n"]) == (1, 10)
    assert same_lines(path, 2, [Hole(8, b"hh", b"u\n")]) == (0, 2)


def test_half_a_line_is_cut_off(path: Path) -> None:
    assert cut_torn(path) == 3
    assert path.read_bytes() == b"a\nhh----t\nb\n"


def test_another_file_is_there_with_its_first_bytes_or_not_at_all(
    path: Path, tmp_path: Path
) -> None:
    with pytest.raises(PersistenceError, match="cut while it was copied"):
        put_new(path, path, 100)
    assert path.read_bytes() == b"a\nhh----t\nb\ntorn"

    with os.fdopen(put_new(path, path, 10), "ab") as file:
        file.write(b"more")
        assert not may_lock(path)

    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [
        ("file", b"a\nhh----t\nmore")
    ]

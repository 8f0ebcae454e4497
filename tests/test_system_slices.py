"""A file whose bytes are read into a buffer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sessiontail.system.slices import Slices


def test_bytes_are_read_at_an_offset_fewer_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    buffer = bytearray(4)

    with Slices(str(path)) as file:
        assert (file.size, file.status.st_ino) == (10, path.stat().st_ino)
        assert (file.read_into(memoryview(buffer), 3), bytes(buffer)) == (4, b"3456")
        assert file.read_into(memoryview(buffer), 8) == 2
        assert (file.read(8, 5), file.read(20, 5)) == (b"89", b"")
        path.write_bytes(b"x")
        assert file.now().st_size == 1
    file.close()


def test_what_is_no_regular_file_is_refused_and_nothing_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "fifo")
    before = len([*Path("/proc/self/fd").iterdir()])

    for name in ("fifo", "link", "nothing", "."):
        with pytest.raises(OSError, match=r".+"):
            Slices(str(tmp_path / name))
    assert len([*Path("/proc/self/fd").iterdir()]) == before

"""A file is known by its numbers, whatever it is called, and what it was like by its stamp."""

from __future__ import annotations

import os
from pathlib import Path

from sessiontail.system.stamps import FileId, FileStamp, id_of_name


def test_a_rename_keeps_the_file_and_another_under_the_name_is_another(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.touch()
    before = id_of_name(str(path))
    path.rename(other)
    path.touch()

    assert id_of_name(str(other)) == before == FileId.of(other.stat())
    assert id_of_name(str(path)) != before


def test_a_link_is_itself_and_no_name_is_no_file(tmp_path: Path) -> None:
    path, link = tmp_path / "a", tmp_path / "link"
    path.touch()
    link.symlink_to(path)

    assert id_of_name(str(link)) == FileId.of(link.lstat()) != FileId.of(path.stat())
    assert id_of_name(str(tmp_path / "absent")) is None


def test_a_stamp_changes_with_what_is_written_and_with_touch(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    stamp = FileStamp.of(path.stat())
    os.utime(path, ns=(1, 1))
    touched = FileStamp.of(path.stat())
    path.write_bytes(b"four")

    assert (touched.size, touched.mtime_ns) == (3, 1)
    assert len({stamp, touched, FileStamp.of(path.stat())}) == 3

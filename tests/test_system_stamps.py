"""A file is known by its numbers, whatever it is called, and what it was like by its stamp."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sessiontail.system.stamps import (
    OLD_NS,
    FileId,
    FileStamp,
    id_of_name,
    lasting_stamp,
    stamp_bytes,
)


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


def test_a_stamp_in_bytes_differs_where_any_of_the_file_does(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"one")
    other.write_bytes(b"one")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    seen = [stamp_bytes(path.stat()), stamp_bytes(other.stat())]
    os.utime(path, ns=(1, -1))
    seen.append(stamp_bytes(path.stat()))
    path.write_bytes(b"four")
    seen.append(stamp_bytes(path.stat()))

    assert [len(one) for one in seen] == [40] * 4
    assert len({*seen}) == 4
    assert stamp_bytes(path.stat()) == seen[-1]


@pytest.mark.parametrize(("same_clock", "quiet_ns"), [(True, 2_500_000_000), (False, OLD_NS)])
def test_a_stamp_lasts_once_no_later_change_can_leave_the_same(
    tmp_path: Path, quiet_ns: int, *, same_clock: bool
) -> None:
    status = tmp_path.stat()
    changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
    early = lasting_stamp(status, changed_ns + quiet_ns - 1, same_clock=same_clock)
    late = lasting_stamp(status, changed_ns + quiet_ns, same_clock=same_clock)

    assert (early, late) == (None, stamp_bytes(status))


def test_a_stamp_from_the_future_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    os.utime(path, ns=(2**62, 2**62))

    assert lasting_stamp(path.stat(), path.stat().st_ctime_ns + OLD_NS, same_clock=True) is None

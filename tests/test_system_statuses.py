"""A name -> its status, of a file or of an object in a bucket."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sessiontail.system.buckets import Listed
from sessiontail.system.stamps import FileId, FileStamp, stamp_bytes
from sessiontail.system.statuses import directory_changed_ns, is_there, object_status, status_of


def test_a_files_status_is_the_kernels_and_a_link_is_not_followed(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nothing")

    assert status_of(str(link)) == os.lstat(link)
    assert is_there(str(link))
    assert not is_there(str(tmp_path / "nothing"))
    assert not is_there("a\0b")
    assert directory_changed_ns(str(tmp_path)) == tmp_path.stat().st_mtime_ns


def test_an_objects_status_is_what_its_listing_says(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"0123")
    url = f"file://{tmp_path}"

    status = status_of(f"{url}/x.jsonl")

    there = (tmp_path / "x.jsonl").stat()
    assert stat.S_ISREG(status.st_mode)
    assert (status.st_size, status.st_mtime_ns // 1000) == (4, there.st_mtime_ns // 1000)
    assert abs(status.st_mtime - there.st_mtime) < 1e-3
    assert is_there(f"{url}/x.jsonl")
    with pytest.raises(FileNotFoundError):
        status_of(f"{url}/y.jsonl")
    assert directory_changed_ns(url) > 0
    assert not is_there(f"{url}/y.jsonl")


def test_an_object_is_known_by_its_place_its_name_and_its_bytes() -> None:
    one = object_status("s3://b/p", "x", Listed(1, 5, '"e"'))
    others = [
        object_status("s3://b/q", "x", Listed(1, 5, '"e"')),
        object_status("s3://b/p", "y", Listed(1, 5, '"e"')),
        object_status("s3://b/p", "x", Listed(1, 5, '"f"')),
        object_status("s3://b/p", "x", Listed(1, 5, None)),
    ]

    assert FileId.of(one) not in map(FileId.of, others)
    assert FileStamp.of(one) == FileStamp(1, 5, 5)
    assert stamp_bytes(one) == stamp_bytes(object_status("s3://b/p", "x", Listed(1, 5, '"e"')))
    assert len({stamp_bytes(status) for status in [one, *others]}) == 5

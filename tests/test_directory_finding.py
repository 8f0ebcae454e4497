"""A session id -> the names of its files, also where they are called otherwise."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import pytest

from samples import ID, session_bytes
from sessiontail import PersistenceError
from sessiontail.directory.finding import locate, search
from sessiontail.system.paths import session_paths, stem_paths

OTHER = UUID(int=7, version=4)


def put(directory: Path, name: str, data: bytes = b"") -> None:
    (directory / name).write_bytes(data or session_bytes())


@pytest.mark.parametrize(
    "names", [[".jsonl"], [".jsonl.__partial__"], [".jsonl", ".jsonl.__partial__"]]
)
@pytest.mark.parametrize("data", [session_bytes(), b"\0 damaged"])
def test_a_file_that_has_the_id_for_a_name_is_the_sessions_whatever_is_in_it(
    tmp_path: Path, names: list[str], data: bytes
) -> None:
    put(tmp_path, "another.jsonl")  # its header has the id too
    for ending in names:
        put(tmp_path, f"{ID}{ending}", data)

    assert locate(ID, tmp_path).spelled == session_paths(ID, tmp_path).spelled


@pytest.mark.parametrize("name", ["foo.jsonl", "foo.jsonl.__partial__"])
def test_a_file_under_another_name_is_found_by_the_id_in_its_header(
    tmp_path: Path, name: str
) -> None:
    put(tmp_path, "bar.jsonl", session_bytes(session_id=OTHER))
    put(tmp_path, name)
    names = stem_paths("foo", tmp_path).spelled
    found = search(ID, tmp_path)

    assert found is not None
    assert locate(ID, tmp_path).spelled == found.spelled == names


@pytest.mark.parametrize(
    "stem", [f"copy of {ID}", f"{{{ID}}}", str(ID).upper(), os.fsdecode(b"\xff"), ""]
)
def test_a_name_that_is_nearly_an_id_is_another_name(tmp_path: Path, stem: str) -> None:
    put(tmp_path, f"{stem}.jsonl")

    assert locate(ID, tmp_path).final == tmp_path / f"{stem}.jsonl"


def test_a_file_that_has_another_id_for_a_name_is_that_ones_alone(tmp_path: Path) -> None:
    put(tmp_path, f"{OTHER}.jsonl")  # its header says ID

    assert search(ID, tmp_path) is None
    assert locate(OTHER, tmp_path).final == tmp_path / f"{OTHER}.jsonl"


def test_what_is_nowhere_has_the_names_that_it_would_have(tmp_path: Path) -> None:
    put(tmp_path, "bar.jsonl", session_bytes(session_id=OTHER))

    assert search(ID, tmp_path) is None
    assert locate(ID, tmp_path).spelled == session_paths(ID, tmp_path).spelled
    absent = tmp_path / "absent"
    assert search(ID, absent) is None
    assert locate(ID, absent).spelled == session_paths(ID, absent).spelled


def test_files_that_are_no_sessions_are_passed_by(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jsonl")
    (tmp_path / "directory.jsonl").mkdir()
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "nowhere")
    put(tmp_path, "damaged.jsonl", b"[]\n")
    put(tmp_path, "text.txt")
    assert search(ID, tmp_path) is None
    put(tmp_path, "zzz.jsonl.__partial__", session_bytes(closed=False))

    assert locate(ID, tmp_path).wal == tmp_path / "zzz.jsonl.__partial__"


def test_a_file_for_a_directory_is_an_error_that_names_it(tmp_path: Path) -> None:
    put(tmp_path, "file")

    with pytest.raises(PersistenceError) as caught:
        locate(ID, tmp_path / "file")
    assert caught.value.path == tmp_path / "file"

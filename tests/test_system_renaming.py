"""A file is renamed, whole and as it is, and never over another one."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sessiontail.system import renaming
from sessiontail.system.renaming import rename_new
from sessiontail.system.stamps import FileId

WAYS = ["as the system can", "by a link", "without links"]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the system renames: it can say "not over another", or link, or neither."""

    def no_links(source: Path, target: Path, **_: bool) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), source, None, target)

    if request.param != WAYS[0]:
        monkeypatch.setattr(renaming, "_renameat2", lambda _old, _new: False)
    if request.param == WAYS[2]:
        monkeypatch.setattr(os, "link", no_links)
    return str(request.param)


def write(path: Path) -> None:
    path.write_bytes(b"source")


@pytest.mark.parametrize(
    "make",
    [write, Path.mkdir, lambda path: path.symlink_to("nowhere")],
    ids=["file", "directory", "link to nothing"],
)
def test_what_has_a_name_gets_the_new_one_and_stays_what_it_is(
    tmp_path: Path, way: str, make: Callable[[Path], object]
) -> None:
    source, target = tmp_path / "source", tmp_path / "\udcff target"
    make(source)
    before = FileId.of(source.lstat())
    rename_new(source, target)

    assert FileId.of(target.lstat()) == before
    assert [*tmp_path.iterdir()] == [target]
    assert target.lstat().st_nlink == (2 if target.is_dir() else 1)


def test_a_link_is_renamed_and_not_what_it_leads_to(tmp_path: Path, way: str) -> None:
    source, target, other = (tmp_path / name for name in ("source", "target", "other"))
    write(other)
    source.symlink_to(other)
    rename_new(source, target)

    assert target.readlink() == other
    assert (source.is_symlink(), other.lstat().st_nlink) == (False, 1)


@pytest.mark.parametrize(
    "make",
    [lambda path: path.write_bytes(b"target"), Path.mkdir, lambda path: path.symlink_to("nowhere")],
    ids=["file", "directory", "link to nothing"],
)
def test_what_has_the_new_name_already_stays_what_it_is(
    tmp_path: Path, way: str, make: Callable[[Path], object]
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    write(source)
    make(target)
    before = FileId.of(source.lstat()), FileId.of(target.lstat())

    with pytest.raises(FileExistsError) as caught:
        rename_new(source, target)
    assert (FileId.of(source.lstat()), FileId.of(target.lstat())) == before
    assert source.read_bytes() == b"source"
    assert str(target) in str(caught.value)


def test_a_name_of_the_file_itself_is_another_name_too(tmp_path: Path, way: str) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    write(source)
    target.hardlink_to(source) if way != WAYS[2] else target.write_bytes(b"target")

    with pytest.raises(FileExistsError):
        rename_new(source, target)
    assert (source.exists(), target.exists()) == (True, True)


@pytest.mark.parametrize(
    ("source", "target", "number"),
    [
        ("absent", "target", errno.ENOENT),
        ("source", "absent/target", errno.ENOENT),
        ("source", "source/target", errno.ENOTDIR),
        ("source", "x" * 300, errno.ENAMETOOLONG),
    ],
)
def test_what_cannot_be_renamed_is_an_error_of_the_names(
    tmp_path: Path, way: str, source: str, target: str, number: int
) -> None:
    write(tmp_path / "source")

    with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is compared
        rename_new(tmp_path / source, tmp_path / target)
    assert (caught.value.errno, str(caught.value.filename)) == (number, str(tmp_path / source))
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("way", WAYS[:2], indirect=True)  # the third looks first
def test_of_many_who_want_a_name_at_once_one_gets_it(tmp_path: Path, way: str) -> None:
    target, gate = tmp_path / "target", threading.Barrier(8)
    sources = [tmp_path / str(number) for number in range(8)]
    won: list[Path] = []

    def rename(source: Path) -> None:
        gate.wait(30)
        try:
            rename_new(source, target)
        except FileExistsError:
            return
        won.append(source)

    for source in sources:
        source.write_text(source.name)
    threads = [threading.Thread(target=rename, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [source.name for source in won] == [target.read_text()]
    assert {*tmp_path.iterdir()} == {target, *sources} - {*won}

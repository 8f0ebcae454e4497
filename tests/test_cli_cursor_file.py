"""A cursor in a file never says more than was printed, and is whole whoever ends the command."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest

from sessiontail.cli.cursor_file import CursorKeeper
from sessiontail.errors import CursorInvalid


class Source:
    """What stands where it is told to."""

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor


def keeper_of(path: Path) -> CursorKeeper:
    keeper = CursorKeeper(path, show=False)
    keeper.read()
    return keeper


@pytest.mark.parametrize("content", [None, b"", b" \n"], ids=["no file", "empty", "blank"])
def test_where_no_cursor_is_kept_none_is_read(tmp_path: Path, content: bytes | None) -> None:
    at = tmp_path / "at"
    if content is not None:
        at.write_bytes(content)

    assert CursorKeeper(at, show=False).read() is None


def test_what_was_printed_is_kept_and_read_by_the_next(tmp_path: Path) -> None:
    at = tmp_path / "at"
    first = keeper_of(at)
    for token in ("st1.a", "st1.b", "st1.c"):
        first.forget()
        first.commit(Source(token))
    first.close()

    assert CursorKeeper(at, show=False).read() == "st1.c"
    assert at.read_bytes() == b"st1.c\n"
    assert list(tmp_path.iterdir()) == [at]


def test_what_is_being_printed_is_not_kept(tmp_path: Path) -> None:
    at = tmp_path / "at"
    source = Source("st1.a")
    keeper = keeper_of(at)
    keeper.commit(source)
    keeper.forget()
    source.cursor = "st1.b"  # handed over, and not printed
    keeper.close()

    assert at.read_text() == "st1.a\n"


def test_where_nothing_was_printed_the_file_stays_as_it_was(tmp_path: Path) -> None:
    kept, absent = tmp_path / "kept", tmp_path / "absent"
    kept.write_bytes(b"st1.a")
    for path in (kept, absent):
        keeper = keeper_of(path)
        keeper.forget()
        keeper.close()

    assert kept.read_bytes() == b"st1.a"
    assert not absent.exists()


def test_without_a_file_the_cursor_is_told_where_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for show in (False, True):
        keeper = CursorKeeper(None, show=show)
        keeper.commit(Source("st1.a"))
        keeper.close()

    assert capsys.readouterr() == ("", "sessiontail: cursor: st1.a\n")


def test_what_cannot_be_read_is_an_error_and_no_new_begin(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_bytes(b"\xff\n")

    for path in (odd, tmp_path):
        with pytest.raises(CursorInvalid, match="cannot be read") as caught:
            CursorKeeper(path, show=False).read()
        assert caught.value.path == path


def test_a_directory_that_is_absent_is_a_mistake_before_anything_is_printed(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="no such directory"):
        CursorKeeper(tmp_path / "absent" / "at", show=False).read()


def test_a_cursor_that_cannot_be_written_is_told_with_its_file(tmp_path: Path) -> None:
    directory = tmp_path / "gone"
    directory.mkdir()
    keeper = keeper_of(directory / "at")
    directory.rmdir()

    with pytest.raises(click.ClickException) as caught:
        keeper.commit(Source("st1.a"))
    assert caught.value.message == (
        f"cannot write the cursor to {directory / 'at'}: No such file or directory"
    )


def test_who_reads_the_file_while_it_is_written_reads_a_whole_cursor(tmp_path: Path) -> None:
    at = tmp_path / "at"
    at.write_text("st1.begin\n")
    tokens = {f"st1.{i}" + "x" * 10_000 for i in range(200)}
    done = threading.Event()
    read: set[str] = set()

    def look() -> None:
        while not done.is_set():
            read.add(at.read_text())

    reader = threading.Thread(target=look)
    reader.start()
    try:
        keeper = keeper_of(at)
        for token in tokens:
            keeper.commit(Source(token))
            keeper.close()
    finally:
        done.set()
        reader.join()

    assert read
    assert read <= {f"{token}\n" for token in {*tokens, "st1.begin"}}


def test_who_is_killed_while_the_file_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    at = tmp_path / "at"
    at.write_text("st1.before\n")
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from sessiontail.cli.cursor_file import CursorKeeper\n"
        "class Token(str):\n"
        "    def __add__(self, end):\n"  # the new file is open
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "class Source: cursor = Token('st1.after')\n"
        "keeper = CursorKeeper(Path(sys.argv[1]), show=False)\n"
        "keeper.read()\n"
        "keeper.commit(Source())\n"
    )

    done = subprocess.run([sys.executable, "-c", program, at], timeout=60, check=False)

    assert done.returncode == -9
    assert CursorKeeper(at, show=False).read() == "st1.before"

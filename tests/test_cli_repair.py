"""``sessiontail repair``: what was done on standard error or as data, and a whole file or none."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands import ONE, TORN, TWO, chunk, closed, command, crashed, header, json_lines, run


def test_each_line_that_was_mended_is_told_and_then_the_file(tmp_path: Path) -> None:
    path, to = tmp_path / "run.jsonl", tmp_path / "clean.jsonl"
    glued = chunk(1, "torn")[:-9] + header(ONE)
    path.write_bytes(header(ONE) + chunk(0, "a") + glued + b"{x}\n" + chunk(2, "b") + TORN)
    third = len(header(ONE) + chunk(0, "a"))
    fourth = third + len(glued)
    end = fourth + len(b"{x}\n" + chunk(2, "b"))

    done = run("repair", path, "--to", to, "--close")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        f"sessiontail: line 3 (byte {third}), {len(glued)} bytes: split: {len(chunk(1, 'torn')) - 9} "
        f"bytes that are no record dropped; {len(header(ONE)) - 1} bytes dropped: a second header\n"
        f"sessiontail: line 4 (byte {fourth}), 4 bytes: dropped: invalid JSON: Expecting property "
        "name enclosed in double quotes (column 2)\n"
        f"sessiontail: line 6 (byte {end}), {len(TORN)} bytes: cut: {len(TORN)} bytes after the "
        "last whole line, no record\n"
        f"sessiontail: line 7 (byte {end + len(TORN)}): a trailer was added: 2 chunks, tokens "
        "unknown\n"
        f"sessiontail: {to}: 4 records, {to.stat().st_size} bytes; lines: 1 split, 1 dropped, "
        "1 cut, 1 closed\n"
    )
    assert to.read_bytes().startswith(header(ONE) + chunk(0, "a") + chunk(2, "b"))
    assert run("cat", to, "--strict").returncode == 0


def test_a_session_with_nothing_to_mend_is_copied(tmp_path: Path) -> None:
    path, to = closed(tmp_path, ONE, "a"), tmp_path / "clean.jsonl"

    done = run("repair", "4f2c", "--dir", tmp_path, "--to", to)

    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "",
        f"sessiontail: {to}: 3 records, {path.stat().st_size} bytes; there was nothing to mend\n",
    )
    assert to.read_bytes() == path.read_bytes()


def test_of_two_files_it_is_said_which_one_was_copied(tmp_path: Path) -> None:
    final, wal = closed(tmp_path, ONE, "a"), crashed(tmp_path, ONE)
    words = ("--dir", tmp_path, "--force", "--to", tmp_path / "clean.jsonl")

    by_id = run("repair", "4f2c", *words)
    by_path = run("repair", final, *words)

    assert by_id.stderr.splitlines()[-1] == (
        f"sessiontail: there are two files: this is a copy of {wal.name}; for the other one: "
        f"repair {final}"
    )
    assert "two files" not in by_path.stderr
    assert "has two files" in " ".join(run("repair", "--help").stdout.split())


def test_as_data_it_is_one_object(tmp_path: Path) -> None:
    path, to = crashed(tmp_path, ONE), tmp_path / "clean.jsonl"

    done = run("repair", ONE, "--dir", tmp_path, "--to", to, "-o", "json")

    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert (told["file"], told["to"], told["chunks"]) == (str(path), str(to), 1)
    assert [(mend["line"], mend["action"]) for mend in told["mends"]] == [(3, "cut")]


def test_what_is_not_to_be_had_is_one_line_and_no_file(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "a")
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "text").write_bytes(b"no session\n")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    before = sorted(tmp_path.iterdir())
    for words, code, message in (
        ((path, "--to", tmp_path / "old"), 1, f"{tmp_path}/old: there is such a file; --force"),
        (
            (path, "--to", path, "--force"),
            1,
            f"{path}: the session's own file is never overwritten",
        ),
        ((path, "--to", "/dev/full", "--force"), 1, "/dev/full: no regular file"),
        ((path, "--to", tmp_path / "no/a"), 1, f"{tmp_path}/no: no such directory"),
        ((path, "--to", tmp_path), 1, f"{tmp_path}: a directory; give the name of a file"),
        (("81d0", "--to", tmp_path / "a"), 1, f"{tmp_path}: no session is called '81d0'"),
        ((tmp_path / "text", "--to", tmp_path / "a"), 3, "line 1 (byte 0), 11 bytes: dropped"),
        (
            (tmp_path / "empty.jsonl", "--to", tmp_path / "a"),
            3,
            f"{tmp_path}/empty.jsonl: no header",
        ),
        ((path,), 2, "missing option '--to'"),
        ((path, "--to", "-"), 2, "invalid value for '--to': '-' is no file; name a new one"),
    ):
        done = run("repair", "--dir", tmp_path, *words)

        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith(f"sessiontail: {message}")
        assert done.stderr.count("\n") == (2 if "text" in str(words[0]) else 1)
    assert sorted(tmp_path.iterdir()) == before
    assert run("repair", path, "--to", tmp_path / "old", "--force").returncode == 0


@contextmanager
def another_user() -> Iterator[Path]:
    """Be somebody who owns nothing; give a directory that he can reach and not write."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        try:
            yield Path(name)
        finally:
            if os.getuid() == 0:
                os.seteuid(0)


def test_what_may_not_be_read_or_written_is_one_line(tmp_path: Path) -> None:
    with another_user() as directory:
        path, other = closed(directory, ONE, "a"), closed(directory, TWO, "b")
        path.chmod(0)
        other.chmod(0o644)
        directory.chmod(0o555)
        if os.getuid() == 0:
            os.seteuid(65534)

        unread = [
            run("repair", path, "--to", tmp_path / "a"),
            run("export", path, "-o", "html"),
        ]
        unwritten = [
            run("repair", other, "--to", directory / "a"),
            run("export", other, "-o", "html", "--to", directory / "a"),
        ]

    denied = "permission denied: look at its owner and mode"
    for done in unread:
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"sessiontail: {path}: {denied}\n"
    for done in unwritten:
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"sessiontail: {directory}: {denied}\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="who writes shows on Linux only")
def test_a_running_session_is_copied_and_it_is_said_that_it_runs(tmp_path: Path) -> None:
    path, to = crashed(tmp_path, ONE), tmp_path / "clean.jsonl"
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        done = run("repair", path, "--to", to)
        refused = run("repair", path, "--to", tmp_path / "other", "--close")

    assert done.returncode == 0
    assert done.stderr.splitlines()[1] == (
        f"sessiontail: process {os.getpid()} is writing it: the copy ends where it ended just now"
    )
    assert refused.returncode == 1
    assert refused.stderr == (
        f"sessiontail: {path}: process {os.getpid()} is writing it; without a trailer it can be "
        "copied\n"
    )
    assert not (tmp_path / "other").exists()


def test_ctrl_c_is_130_without_a_traceback_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with path.open("wb") as file:
        file.write(header(ONE) + b"x\n")
        file.truncate(1 << 34)  # no bytes on the disk: it takes long, and does not end by itself
    process = subprocess.Popen(
        command("repair", path, "--to", tmp_path / "clean.jsonl"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    first = process.stderr.readline()

    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)

    assert first.startswith(b"sessiontail: line 2 (byte ")
    assert (process.returncode, rest) == (130, b"")
    assert [one.name for one in tmp_path.iterdir()] == ["run.jsonl"]


def test_the_copy_is_a_session_like_others(tmp_path: Path) -> None:
    crashed(tmp_path, ONE)
    other = tmp_path / "others"
    other.mkdir()

    run("repair", ONE, "--dir", tmp_path, "--to", other / f"{ONE}.jsonl", "--close")

    (meta,) = json_lines(run("ls", "--dir", other, "-o", "jsonl", "--verify"))
    assert (meta["id"], meta["state"]) == (ONE, "closed")
    assert (meta["chunk_count"], meta["damaged_lines"], meta["torn_bytes"]) == (1, 0, 0)

"""``sessiontail demo``: shows what it promises, and leaves nothing behind."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

from commands import command, end, run, run_apart


def test_the_demo_shows_a_crash_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run_apart("demo", env={"TMPDIR": str(tmp_path)})

    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
    assert done.stdout.count(" ended: closed") == 3
    assert done.stdout.count(" ended: abandoned, 89 bytes of a line are left") == 1
    assert done.stdout.rstrip().count("根据\\xe5") == 1
    states = [line.split()[0] for line in done.stdout.splitlines() if "/op_" in line][-5:-1]
    assert sorted(states) == ["closed", "closed", "closed", "unknown"]


def test_what_the_demo_keeps_can_be_tried_and_is_not_written_over(tmp_path: Path) -> None:
    kept = tmp_path / "my demo"

    done = run_apart("demo", "--keep", kept)
    again = run("demo", "--keep", kept)
    tried = [line for line in done.stdout.splitlines() if line.startswith("#   sessiontail")]

    assert (done.returncode, done.stderr, len([*kept.iterdir()])) == (0, "", 4)
    assert len(tried) == 5
    for line in tried:
        assert run(*shlex.split(line.removeprefix("#   sessiontail"))).returncode == 0
    assert (again.returncode, again.stdout) == (2, "")
    assert f"--keep {kept}: it holds sessions already; give another" in again.stderr


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = run("demo", "--keep", tmp_path / "file")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"sessiontail: --keep {tmp_path}/file: File exists; give another\n"


def test_an_interrupted_demo_says_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("demo"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    assert process.stdout is not None
    while b"assistant" not in process.stdout.readline():
        pass
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all of them
    code, _, notes = end(process)

    assert (code, notes) == (130, b"")
    assert list(tmp_path.iterdir()) == []

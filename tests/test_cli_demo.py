"""``sessiontail demo``: shows what it promises, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from commands import command, end, run_apart


def test_the_demo_shows_a_crash_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run_apart("demo", env={"TMPDIR": str(tmp_path)})

    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
    assert done.stdout.count(" ended: closed") == 3
    assert done.stdout.count(" ended: abandoned, 89 bytes of a line are left") == 1
    assert done.stdout.rstrip().count("根据\\xe5") == 1
    states = [line.split()[0] for line in done.stdout.splitlines() if "/op_" in line][-5:-1]
    assert sorted(states) == ["closed", "closed", "closed", "unknown"]


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

"""Open WAL -> its writer's lock, or refused: by other processes' rules, flock's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sessiontail import SessionBusy
from sessiontail.system.flocks import lock, unlock

_TRY = """
import fcntl, sys
with open(sys.argv[1], "ab") as file:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""


def another_can(path: Path) -> bool:
    done = subprocess.run([sys.executable, "-c", _TRY, path], capture_output=True, check=False)
    return done.returncode == 0


def test_a_lock_keeps_every_other_writer_off_until_it_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "wal"
    one, other = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    try:
        free = another_can(path)
        lock(one, path)
        held = another_can(path)
        with pytest.raises(SessionBusy, match="another writer holds it") as caught:
            lock(other, path)
        unlock(one)
        lock(other, path)
    finally:
        os.close(one)
        os.close(other)

    assert (free, held, another_can(path)) == (True, False, True)
    assert caught.value.path == path


def test_a_lock_is_let_go_also_where_a_child_has_the_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "wal"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    child = os.dup(fd)
    try:
        lock(fd, path)
        unlock(fd)

        assert another_can(path)
    finally:
        os.close(fd)
        os.close(child)

"""``sessiontail top``: one table for a pipe, a live one at a terminal, which is given back."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors import Actor
from commands import ONE, at_terminal, closed, command, run, run_apart
from samples import ID

#: What takes the whole screen of a terminal, and what gives it back.
TAKEN, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"


@pytest.fixture
def actor(tmp_path: Path) -> Iterator[Actor]:
    """A session that runs."""
    with Actor(tmp_path).open().say("Fix it", "two") as actor:
        yield actor


class Terminal:
    """A terminal that ``top`` has, and what it was sent."""

    def __init__(self, directory: Path, *options: str, columns: int = 80) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(columns)
        env = {
            name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")
        }
        self.process = subprocess.Popen(
            command("top", "--dir", directory, "--interval", "0.25", *options),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**env, "TERM": "xterm"},
            # The kernel stops no process whose group is orphaned, as that of a test run may be: it
            # would give the screen back and take it again at a stroke.
            process_group=0,
        )
        os.close(theirs)
        self.got = b""

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    @property
    def screen(self) -> str:
        """The last picture, as text."""
        text = self.got.decode("utf-8", "replace").rpartition("\x1b[H")[2]
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "")

    def read_until(self, pattern: str) -> None:
        """Read until the screen shows it; more than 60 s is a failure."""
        until_s = time.monotonic() + 60
        while not re.search(pattern, self.screen):
            left_s = max(0.0, until_s - time.monotonic())
            assert select.select([self._ours], [], [], left_s)[0], self.got
            self.got += os.read(self._ours, 65536)

    def read_screen(self, *, left: bool, then: Callable[[], object] = lambda: None) -> None:
        """Read until the screen is given back, or taken again; call ``then`` again and again."""
        until_s = time.monotonic() + 60
        while (self.got.rfind(LEFT) > self.got.rfind(TAKEN)) != left:
            assert time.monotonic() < until_s, self.got
            then()
            if select.select([self._ours], [], [], 0.05)[0]:
                self.got += os.read(self._ours, 65536)

    def end(self, number: signal.Signals) -> int:
        """Send a signal; return the exit code, with the rest of the output read."""
        self.process.send_signal(number)
        while True:
            try:
                data = os.read(self._ours, 65536)
            except OSError:  # EIO: the other end is closed
                break
            self.got += data
        return self.process.wait(60)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(60)
        os.close(self._ours)


@contextmanager
def top(directory: Path, *options: str, columns: int = 80) -> Iterator[Terminal]:
    terminal = Terminal(directory, *options, columns=columns)
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_shows_what_happens_and_gives_the_terminal_back(
    actor: Actor, tmp_path: Path, number: signal.Signals
) -> None:
    with top(tmp_path) as terminal:
        terminal.read_until(rf"live +{str(ID)[:8]} +2 ")
        actor.say("three")
        terminal.read_until(rf"live +{str(ID)[:8]} +3 +\d")
        terminal.resize(44)
        terminal.read_until(r"STATE +ID +ROWS +ROWS/S +DAMAGE *\n")
        code = terminal.end(number)

    assert code == 128 + number
    assert b"Traceback" not in terminal.got
    for on, off in ((TAKEN, LEFT), (b"\x1b[?25l", b"\x1b[?25h")):
        assert terminal.got.rfind(off) > terminal.got.rfind(on) > -1


def test_stopped_it_gives_the_terminal_to_the_shell_and_takes_it_again(
    actor: Actor, tmp_path: Path
) -> None:
    with top(tmp_path) as terminal:
        terminal.read_until(rf"live +{str(ID)[:8]} +2 ")
        terminal.process.send_signal(signal.SIGTSTP)
        terminal.read_screen(left=True)
        # It may not have stopped yet.
        terminal.read_screen(left=False, then=lambda: terminal.process.send_signal(signal.SIGCONT))
        actor.say("three")
        terminal.read_until(rf"live +{str(ID)[:8]} +3 ")
        assert terminal.end(signal.SIGINT) == 130


def test_an_absent_directory_is_waited_for(tmp_path: Path) -> None:
    directory = tmp_path / "later"
    with top(directory) as terminal:
        terminal.read_until("no such directory yet: waiting for it")
        directory.mkdir()
        terminal.read_until("no session runs yet")
        with Actor(directory).open().say("one"):
            terminal.read_until(rf"live +{str(ID)[:8]} +1 ")
        assert terminal.end(signal.SIGINT) == 130


def test_a_pipe_gets_one_table_without_rates(actor: Actor, tmp_path: Path) -> None:
    done = run_apart("top", "--once", "--dir", tmp_path)

    first, *table = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert first == (
        f"{tmp_path}: 1 live · 2 rows · {len(actor.data)} B · 0 tool calls, 0 failed, 0 open · "
        "? tokens (0 known, 1 unknown) · 0 damaged lines"
    )
    assert table[0].split()[:4] == ["STATE", "ID", "ROWS", "IDLE"]
    assert re.fullmatch(r"live +4f2c0000 +2 +\d+s .* Fix it", table[1])


def test_a_narrow_terminal_is_told_what_has_no_place(actor: Actor, tmp_path: Path) -> None:
    code, got = at_terminal("top", "--once", "--dir", tmp_path, env={"COLUMNS": "40"}, stderr=True)

    assert code == 0
    assert b"40 columns have no place for IDLE, SIZE, CALLS," in got
    assert actor.writing


def test_more_than_are_asked_for_are_told(actor: Actor, tmp_path: Path) -> None:
    other = tmp_path / "4f2d0000-0000-4000-8000-000000000002.jsonl.__partial__"
    other.write_bytes(bytes(actor.data).replace(b"4f2c", b"4f2d"))

    done = run("top", "--once", "--dir", tmp_path, "-n", "1")

    assert (done.returncode, done.stderr) == (0, "sessiontail: 1 more; -n 2 shows all\n")


def test_where_nothing_runs_it_says_so(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one")

    none = run("top", "--once", "--dir", tmp_path)
    absent = run("top", "--once", "--dir", tmp_path / "absent")

    assert (none.returncode, none.stdout, none.stderr) == (
        1,
        "",
        f"sessiontail: no session runs in {tmp_path}; `sessiontail ls` lists all\n",
    )
    assert (absent.returncode, absent.stdout) == (1, "")
    assert absent.stderr == (
        f"sessiontail: {tmp_path}/absent: no such directory; "
        "give the one where sessions lie with --dir\n"
    )


def test_where_none_fits_it_says_so(actor: Actor, tmp_path: Path) -> None:
    done = run("top", "--once", "--dir", tmp_path, "--state", "abandoned")

    assert (done.returncode, done.stderr) == (
        1,
        f"sessiontail: none of the 1 running sessions in {tmp_path} fits\n",
    )
    assert actor.writing


def test_without_a_screen_it_says_what_to_do(tmp_path: Path) -> None:
    done = run("top", "--dir", tmp_path)
    code, got = at_terminal("top", "--dir", tmp_path, env={"TERM": "dumb"}, stderr=True)

    assert (done.returncode, code) == (2, 2)
    assert done.stderr == (
        "sessiontail: top wants the screen of a terminal: --once prints one table, and "
        "`sessiontail tail -f -o jsonl` what is written as it comes; see 'sessiontail top --help'\n"
    )
    assert b"--once prints one table" in got


@pytest.mark.parametrize("interval", ["0.1", "nan", "-1"])
def test_no_look_comes_sooner_than_an_eye_reads(tmp_path: Path, interval: str) -> None:
    done = run("top", "--interval", interval, "--dir", tmp_path)

    assert done.returncode == 2
    assert interval in done.stderr

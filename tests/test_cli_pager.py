"""What is longer than the screen goes through the user's pager, at a terminal and only there."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import termios
from pathlib import Path

import pytest

from commands import ONE, TWO, at_terminal, chunk, closed, command, header, run_apart
from sessiontail.cli.pager import pager_command

ROWS = 24


def typed(
    *arguments: str | Path, env: dict[str, str], keys: list[tuple[bytes, bytes]] | None = None
) -> tuple[int, bytes]:
    """Run the command with a terminal as stdin, stdout and stderr, its own to be interrupted by.

    Returns:
        Its exit code, and what the terminal got. Of each pair in ``keys``, the second is typed when
        the terminal got the first.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (ROWS, 80))
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command(*arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={
            **{name: value for name, value in os.environ.items() if name not in _PAGING},
            "TERM": "xterm",
            **env,
        },
    )
    os.close(theirs)
    got, seen, waiting = b"", 0, list(keys or ())
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not data:
            break
        got += data
        while waiting and waiting[0][0] in got[seen:]:
            seen = got.index(waiting[0][0], seen) + len(waiting[0][0])
            os.write(ours, waiting.pop(0)[1])
    os.close(ours)
    assert not waiting, got
    return process.wait(100), got


_PAGING = {"PAGER", "SESSIONTAIL_PAGER", "LESS", "LV", "NO_COLOR", "FORCE_COLOR", "COLUMNS"}


def program(path: Path, *lines: str) -> str:
    """A pager of these lines of shell."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), "utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.fixture(scope="session")
def real_less() -> None:
    """The pager of most systems; a container may lack it, and is given it where that is allowed."""
    if shutil.which("less") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False, timeout=100)
        subprocess.run(["apt-get", "install", "-y", "-qq", "less"], check=False, timeout=100)
    if shutil.which("less") is None:
        pytest.skip("no less here, and none to be had")


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A session that is longer than a screen, and than a pipe."""
    return closed(tmp_path, ONE, *(f"{i:06}" + "." * 60 for i in range(3000)))


@pytest.fixture
def telling(tmp_path: Path) -> str:
    """A pager that says what it gets, and how it was set."""
    return program(tmp_path / "telling", 'echo "LESS=$LESS LV=$LV"', "sed 's/^/paged: /'")


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, ["less"]),
        ({"PAGER": "more -d"}, ["more", "-d"]),
        ({"PAGER": "more", "SESSIONTAIL_PAGER": "less -S"}, ["less", "-S"]),
        ({"PAGER": "more", "SESSIONTAIL_PAGER": ""}, None),
        ({"PAGER": ""}, None),
        ({"PAGER": "cat"}, None),
        ({"PAGER": " cat "}, None),
        ({"PAGER": "no-such-pager"}, None),
        ({"PAGER": "col -b | less"}, ["sh", "-c", "col -b | less"]),
        ({"PAGER": "LESS=S less"}, ["sh", "-c", "LESS=S less"]),
        ({"PAGER": "'my pager'"}, ["sh", "-c", "'my pager'"]),
        ({"TERM": "dumb"}, None),
    ],
)
def test_the_pager_is_the_one_that_the_user_named(
    tmp_path: Path, env: dict[str, str], words: list[str] | None
) -> None:
    for name in ("less", "more"):
        program(tmp_path / name)

    assert pager_command({"TERM": "xterm", "PATH": str(tmp_path), **env}) == words


@pytest.mark.usefixtures("real_less")
def test_without_a_word_about_it_less_ends_by_itself_where_all_fits(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "hello")

    for arguments in (("cat", path), ("ls", "--dir", tmp_path)):
        code, got = typed(*arguments, env={})

        assert code == 0
        assert b"4f2c0000" in got


@pytest.mark.usefixtures("real_less")
def test_less_is_left_when_the_user_wants_and_that_is_no_error(long: Path) -> None:
    code, got = typed(
        "cat", long, env={"NO_COLOR": "1"}, keys=[(b"000010", b" "), (b"000030", b"q")]
    )

    assert code == 0
    assert b"000000" in got
    assert b"002999" not in got
    assert b"sessiontail: " not in got


def test_the_pager_gets_the_listing_and_gits_settings(tmp_path: Path, telling: str) -> None:
    path = closed(tmp_path, ONE, "hello")
    env = {"PAGER": telling, "NO_COLOR": "1"}

    default = typed("cat", path, "-k", "user", env=env)
    own = typed("cat", path, "-k", "user", env={**env, "LESS": "S"})

    assert default == (0, b"LESS=FRX LV=-c\r\npaged: user        hello\r\n")
    assert own == (0, b"LESS=S LV=-c\r\npaged: user        hello\r\n")


def test_the_pager_gets_colours_and_nothing_else_that_commands(
    tmp_path: Path, telling: str
) -> None:
    path = closed(tmp_path, ONE, "\x1b]8;;x\x07")

    _, got = typed("cat", path, "-k", "user", env={"PAGER": telling})

    assert got.endswith(b"paged: \x1b[36muser\x1b[0m        \\x1b]8;;x\\x07\r\n")


def test_what_is_not_for_a_screen_is_not_paged(tmp_path: Path, telling: str) -> None:
    path = closed(tmp_path, ONE, "hello")
    env = {"PAGER": telling}

    for arguments in (
        ("cat", path, "--no-pager"),
        ("ls", "--dir", tmp_path, "--no-pager"),
        ("tail", path),
        ("cat", path, "-o", "raw", "--force"),
        ("cat", tmp_path / "absent.jsonl"),
    ):
        assert b"LESS=" not in typed(*arguments, env=env)[1]
    assert b"LESS=" not in typed("cat", path, env={**env, "SESSIONTAIL_PAGER": "cat"})[1]
    assert b"LESS=" not in at_terminal("cat", path, env=env)[1]  # its stdin is none
    assert "LESS=" not in run_apart("cat", path, env=env).stdout


def test_a_pager_that_is_not_there_is_done_without(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "hello")
    no_program = tmp_path / "text"
    no_program.write_bytes(b"\x00")
    no_program.chmod(0o755)

    for pager in ("no-such-pager", str(no_program)):
        env = {"PAGER": pager, "NO_COLOR": "1"}

        assert typed("cat", path, "-k", "user", env=env) == (0, b"user        hello\r\n")


def test_a_pager_that_ends_early_ends_the_command(long: Path, tmp_path: Path) -> None:
    pager = program(tmp_path / "first", "head -n 1")

    code, got = typed("cat", long, env={"PAGER": pager, "NO_COLOR": "1"})

    assert (code, got.count(b"\n")) == (0, 1)


def test_a_session_is_paged_while_it_is_read(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, *(["x" * 1_000_000] * 30))
    # What the command has read when its first record is on the screen, and no more is taken.
    pager = program(
        tmp_path / "slow", "head -n 3 | tail -c 9", 'grep rchar "/proc/$PPID/io"', "cat >/dev/null"
    )

    code, got = typed("cat", path, "--full", env={"PAGER": pager, "NO_COLOR": "1"})

    first, read = got.split(b"\r\nrchar: ")
    assert (code, first) == (0, b"xxxxxxxx")
    assert int(read) < path.stat().st_size / 2


def test_notes_wait_until_the_screen_is_free(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "hello")
    (tmp_path / "notes.jsonl").touch()
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_bytes(header(TWO) + chunk(0, "a") + b"{\n")
    pager = program(tmp_path / "slow", "cat", "echo left")

    listed = typed("ls", "--dir", tmp_path, env={"PAGER": pager})
    strict = typed("cat", damaged, "--strict", env={"PAGER": pager})

    for code, (ended, got) in ((0, listed), (3, strict)):
        assert ended == code
        *_, left, note = got.splitlines()
        assert left == b"left"
        assert note.startswith(b"sessiontail: ")


def test_an_interrupt_is_the_pager_s_who_stays(long: Path, tmp_path: Path) -> None:
    reading = program(
        tmp_path / "reading", "trap '' INT", "cat >/dev/null", "echo read", "read x </dev/tty"
    )
    waiting = program(tmp_path / "waiting", "trap '' INT", "echo here", "read x </dev/tty")

    done = typed("cat", long, env={"PAGER": reading}, keys=[(b"read", b"\x03\r")])
    halfway = typed("cat", long, env={"PAGER": waiting}, keys=[(b"here", b"\x03\r")])

    assert done[0] == 0
    assert halfway[0] in {0, 130}  # it had more to print, and was told to stop
    assert b"Traceback" not in done[1] + halfway[1]

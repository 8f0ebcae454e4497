"""What is written commands a terminal nothing, whether it leads to one or to a pipe."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from commands import ONE, at_terminal, closed, command, run
from sessiontail.cli.terminal import Output, confirm, note


def test_a_session_s_escapes_never_reach_a_terminal(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "\x1b]0;owned\x07 \x9b31m \r gone\tkept\nnext")

    shown = at_terminal("cat", path, "-k", "user", env={"NO_COLOR": "1"})
    as_json = at_terminal("cat", path, "-k", "user", "-o", "jsonl")
    piped = run("cat", path, "-k", "user")

    assert shown == (
        0,
        b"user        \\x1b]0;owned\\x07 \\x9b31m \\x0d gone\tkept\r\n            next\r\n",
    )
    assert b"\x1b" not in as_json[1]
    assert json.loads(as_json[1])["payload"]["content"] == (
        "\x1b]0;owned\x07 \x9b31m \r gone\tkept\nnext"
    )
    assert piped.stdout.encode() == shown[1].replace(b"\r\n", b"\n")


def test_colours_are_for_terminals_that_want_them(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "hello")

    unwanted = ({"NO_COLOR": "1"}, {"TERM": "dumb"})
    for arguments, env in zip((("cat", path), ("ls", "--dir", tmp_path)), unwanted, strict=True):
        coloured = at_terminal(*arguments)
        plain = at_terminal(*arguments, env=env)
        piped = run(*arguments)

        assert b"\x1b[3" in coloured[1] or b"\x1b[2m" in coloured[1]
        assert b"\x1b" not in plain[1] + piped.stdout.encode()


def test_what_was_not_made_fit_is_made_fit_where_it_is_written(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    output = Output("always")
    output.line("\x1b[2J", output.styled("\x1b[2J", "red"), f"{output.styled('a', 'red')}")
    output.line(output.json('"\x9b"'))
    output.bytes(b"\xff")
    output.flush()

    assert capsysbinary.readouterr().out == (
        b"\\x1b[2J\x1b[31m\\x1b[2J\x1b[0m\\x1b[31ma\\x1b[0m\n" + b'"\\u009b"\n\xff'
    )


def test_what_is_no_terminal_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    output = Output()

    assert (output.width, output.color) == (None, False)
    output.terminal = True
    assert output.width == 100


def test_an_output_that_is_closed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    with pytest.raises(click.ClickException, match="standard output is closed"):
        Output()


def test_a_note_is_a_line_that_commands_nothing(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    note("\x1b[2J é \ud800\nsessiontail: \t")

    assert capsysbinary.readouterr() == (
        b"",
        b"sessiontail: \\x1b[2J \xc3\xa9 \\ud800\\nsessiontail: \\t\n",
    )


@pytest.mark.parametrize("closing", ["2>&-", "2>/dev/full"])
def test_a_note_that_nobody_can_read_is_no_error(closing: str) -> None:
    program = "from sessiontail.cli.terminal import note; note('a'); print('on')"

    done = subprocess.run(
        ["sh", "-c", f'"$@" {closing}', "sh", sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        timeout=60,
        check=False,
    )

    assert done.stdout == b"on\n"


def test_nothing_is_asked_where_nobody_can_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stdin in (None, io.StringIO("y\n")):
        monkeypatch.setattr(sys, "stdin", stdin)

        assert confirm("all?", yes=True) is True
        assert confirm("all?", yes=False) is False
    told = "sessiontail: nothing was deleted: add --yes to do it\n"
    assert capsys.readouterr() == ("", told * 2)


@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_a_file_that_takes_only_a_part_is_told(tmp_path: Path, unbuffered: str) -> None:
    """As a disk that is nearly full; with PYTHONUNBUFFERED nothing stands between."""
    path = closed(tmp_path, ONE, "x" * 5000)
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run(
            command("cat", path, "-o", "jsonl", "-k", "user"),
            stdout=out,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
            check=False,
        )

    assert (done.returncode, done.stderr) == (1, b"sessiontail: cannot write: File too large\n")
    whole = run("cat", path, "-o", "jsonl", "-k", "user").stdout.encode()
    assert (tmp_path / "out").read_bytes() == whole[:4096]

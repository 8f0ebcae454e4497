"""``sessiontail export``: each form to standard output or to a file that is whole or not there."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import atif
import pytest

from chats import FIRST, Chats, name, rows
from commands import ONE, TORN, chunk, closed, command, crashed, header, run
from sessiontail.cli import progress


def test_messages_are_those_of_cat_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(header(ONE) + chunk(0, "a\u202e\u2028\x7f") + b"{x}\n" + chunk(1, "b") + TORN)

    done = run("export", path, "-o", "messages")
    cat = run("cat", path, "-o", "messages")

    assert (done.returncode, done.stdout) == (0, cat.stdout)
    assert done.stderr == (
        "sessiontail: 1 damaged line left out; -o markdown shows them\n"
        f"sessiontail: {len(TORN)} bytes after the last whole line left out: no record\n"
    )


@pytest.mark.parametrize("form", ["messages", "markdown", "html", "atif"])
def test_a_file_has_what_standard_output_has(form: str, tmp_path: Path) -> None:
    closed(tmp_path, ONE, "a\x1b")
    to = tmp_path / "page"

    shown = run("export", "4f2c", "--dir", tmp_path, "-o", form)
    saved = run("export", "4f2c", "--dir", tmp_path, "-o", form, "--to", to)

    assert (shown.returncode, shown.stderr) == (0, "")
    assert (saved.returncode, saved.stdout, saved.stderr) == (0, "", "")
    assert to.read_text("utf-8") == shown.stdout
    assert "\x1b" not in shown.stdout
    if form == "atif":
        assert len(atif.Trajectory.model_validate_json(shown.stdout).steps) == 1


def test_what_is_inherited_is_told_or_shown(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    chats.write(1, rows(*FIRST[:2]))
    chats.write(2, rows(*FIRST), parents=[name(1)])

    skipped = run("export", name(2), "--dir", tmp_path, "-o", "markdown")
    included = run("export", name(2), "--dir", tmp_path, "-o", "markdown", "--inherited")

    assert skipped.stderr == "sessiontail: 4 rows from 00000000 left out; --inherited shows them\n"
    assert included.stderr == ""
    assert ("hello" in skipped.stdout, "hello" in included.stdout) == (False, True)


def test_a_session_without_rows_is_exported_and_what_is_no_session_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(header(ONE))

    empty = run("export", path, "-o", "messages")
    path.write_bytes(b"no session\n")
    none = run("export", path, "-o", "markdown")

    assert (empty.returncode, empty.stdout, empty.stderr) == (0, "[]\n", "")
    assert none.returncode == 1
    assert "# No session: `run.jsonl`\n" in none.stdout
    assert "no session" in none.stdout
    assert none.stderr == "sessiontail: run.jsonl: no header: not a session file\n"


def test_what_is_not_to_be_had_is_one_line_and_no_file(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "a")
    crashed(tmp_path, "4f2d0000-0000-4000-8000-000000000002")
    (tmp_path / "old").write_bytes(b"old")
    before = sorted(tmp_path.iterdir())
    for words, code, message in (
        ((path,), 2, "missing option '-o'"),
        ((path, "-o", "pdf"), 2, "'pdf' is not one of"),
        (
            (path, "-o", "html", "--to", tmp_path / "old"),
            1,
            f"{tmp_path}/old: there is such a file",
        ),
        ((path, "-o", "html", "--to", "-"), 2, "'-' is no file; leave out --to to print"),
        ((path, "-o", "html", "--to", path, "--force"), 1, f"{path}: the session's own file"),
        ((path, "-o", "html", "--to", "/dev/full", "--force"), 1, "/dev/full: no regular file"),
        ((path, "-o", "html", "--to", tmp_path / "no/a"), 1, f"{tmp_path}/no: no such directory"),
        (("81d0", "-o", "html"), 1, f"{tmp_path}: no session is called '81d0'"),
        (("4f2", "-o", "html"), 2, "'4f2' begins 2 ids"),
    ):
        done = run("export", "--dir", tmp_path, *words)

        assert (done.returncode, done.stdout) == (code, "")
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_full_disk_for_the_output_is_one_line(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "a")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("export", ONE, "--dir", tmp_path, "-o", "html"),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=100,
        )

    assert (done.returncode, done.stderr) == (
        1,
        b"sessiontail: cannot write: No space left on device\n",
    )


def test_ctrl_c_is_130_without_a_traceback_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(header(ONE) + chunk(0, "a" * 1_000_000) * 3)  # more than a pipe holds
    process = subprocess.Popen(
        command("export", path, "-o", "markdown"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    first = process.stdout.readline()

    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)

    assert first == b"---\n"
    assert (process.returncode, rest) == (130, b"")


def test_at_a_terminal_it_shows_how_far_it_is_unless_the_page_goes_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    path = closed(tmp_path, ONE, "a")
    words = ("export", path, "-o", "html")

    saved = run(*words, "--to", tmp_path / "page", watched=True)
    piped = run(*words, watched=True)
    quiet = run(*words)

    for done in (saved, piped):
        assert done.returncode == 0
        assert "looking at the directory" in done.stderr
    assert (piped.stdout, quiet.stderr) == (quiet.stdout, "")

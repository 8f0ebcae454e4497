"""``sessiontail grep``: what is found, how that is said, and the exit codes of grep."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from commands import (
    ONE,
    TORN,
    TWO,
    at_terminal,
    chunk,
    closed,
    command,
    crashed,
    end,
    header,
    json_lines,
    read_until,
    run,
    start,
)
from sessiontail.cli import progress
from sessiontail.session.asking import matches_of


def found(*arguments: str | Path, given: bytes = b"") -> tuple[int, list[str], str]:
    done = run("grep", *arguments, given=given)
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_the_exit_code_is_that_of_grep(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "all that jazz")
    place = ("--dir", tmp_path)

    assert found(*place, "jazz") == (0, ["4f2c0000:2:user all that jazz"], "")
    assert found(*place, "rock") == (1, [], "")
    code, lines, told = found(*place, "(")
    assert (code, lines) == (2, [])
    assert told.startswith("sessiontail: '(' is no regular expression: ")
    assert told.rstrip().endswith("; -F takes it as it stands")
    assert found(*place, "")[0] == 2


def test_a_file_that_cannot_be_read_is_told_and_makes_it_two_though_others_match(
    tmp_path: Path,
) -> None:
    closed(tmp_path, ONE, "jazz")
    (tmp_path / f"{TWO}.jsonl").mkdir()
    (tmp_path / "notes.jsonl").write_bytes(b"jazz\n")

    code, lines, told = found("--dir", tmp_path, "jazz")

    assert (code, lines) == (2, ["4f2c0000:2:user jazz"])
    assert told.splitlines() == [
        f"sessiontail: {tmp_path / f'{TWO}.jsonl'}: not a regular file",
        "sessiontail: 1 file skipped: 1 x no header: not a session file (notes.jsonl)",
    ]


def test_what_crashed_is_searched_up_to_its_last_whole_line(tmp_path: Path) -> None:
    crashed(tmp_path, TWO)
    assert b"content" in TORN

    assert found("--dir", tmp_path, "before")[1] == ["4f2d0000:2:user before"]


def test_ids_and_paths_are_searched_and_what_is_not_found_is_told(tmp_path: Path) -> None:
    one = closed(tmp_path, ONE, "jazz")
    closed(tmp_path, TWO, "jazz")
    place = ("--dir", tmp_path)

    assert found(*place, "jazz", "4f2d")[:2] == (0, ["4f2d0000:2:user jazz"])
    assert found(*place, "jazz", "-", given=b"4f2d\n")[:2] == (0, ["4f2d0000:2:user jazz"])
    assert found(*place, "jazz", str(one))[:2] == (0, ["4f2c0000:2:user jazz"])
    code, lines, told = found(*place, "jazz", "4f2d", "9999")
    assert (code, lines) == (2, ["4f2d0000:2:user jazz"])
    assert "no session is called '9999'" in told
    assert found(*place, "jazz", "9999")[0] == 2


def test_options_are_those_of_grep(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one\nJazz a.c\nthree", "jazz abc", "jazz")
    place = ("--dir", tmp_path)

    assert found(*place, "-F", "a.c")[1] == ["4f2c0000:2:user Jazz a.c"]
    assert len(found(*place, "a.c")[1]) == 2
    assert len(found(*place, "-i", "jazz")[1]) == 3
    assert found(*place, "-c", "-i", "jazz")[1] == ["4f2c0000:3"]
    assert found(*place, "-l", "-i", "jazz")[1] == [ONE]
    assert len(found(*place, "-m", "1", "-i", "jazz")[1]) == 1
    assert found(*place, "-C", "1", "-F", "a.c")[1] == [
        "4f2c0000-2-user one",
        "4f2c0000:2:user Jazz a.c",
        "4f2c0000-2-user three",
    ]
    assert found(*place, "-k", "assistant", "jazz")[0] == 1
    assert found(*place, "--tool", "run", "jazz")[0] == 1
    assert found(*place, "--since", "2026-01-03", "jazz")[2] == (
        f"sessiontail: no session in {tmp_path} fits\n"
    )
    assert found(*place, "--state", "closed", "--until", "2026-01-03", "jazz")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-c", "-l", "x"), "give -c or -l, not both"),
        (("-f", "-c", "x"), "-f never ends"),
        (("x", "4f2c", "--state", "live"), "give them or IDs, not both"),
        (("-k", "header", "x"), "'header' is not one of"),
        ((), "missing argument 'PATTERN'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    code, lines, said = found("--dir", tmp_path, *arguments)

    assert (code, lines) == (2, [])
    assert told in said


def test_a_program_gets_the_place_and_the_spans(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "no", "all that jazz")

    (match,) = json_lines(run("grep", "--dir", tmp_path, "-o", "jsonl", "j.zz"))

    assert match == {
        "schema": 1,
        "session_id": ONE,
        "file": str(path),
        "line": 3,
        "offset": len(header(ONE) + chunk(0, "no")),
        "kind": "user",
        "tool": None,
        "field": "text",
        "text": "all that jazz",
        "text_line": 1,
        "spans": [[9, 13]],
        "before": [],
        "after": [],
    }


def test_an_empty_directory_and_none_are_told_apart(tmp_path: Path) -> None:
    assert found("--dir", tmp_path, "x") == (
        1,
        [],
        f"sessiontail: no sessions in {tmp_path}; give another directory with --dir\n",
    )


def test_where_nothing_could_be_looked_at_it_is_an_error_in_one_line(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0)
    if os.access(shut, os.R_OK):
        shut /= "x" * 300  # root reads all, but no name is so long

    for place, said in ((tmp_path / "nowhere", "no such directory"), (shut, str(shut))):
        code, lines, told = found("--dir", place, "x")
        assert (code, lines, told.count("\n")) == (2, [], 1)
        assert said in told


def test_damaged_lines_that_could_match_are_told(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "jazz")
    path.write_bytes(path.read_bytes() + b'{"jazz": \xff\n')

    assert found("--dir", tmp_path, "jazz") == (
        0,
        ["4f2c0000:2:user jazz"],
        (
            "sessiontail: 1 damaged line not searched, that could match; "
            "-k damage searches damaged lines\n"
        ),
    )
    assert found("--dir", tmp_path, "jazz", "-k", "damage") == (
        0, ['4f2c0000:4:damage {"jazz": \\xff'], "",
    )  # fmt: skip


def test_a_pattern_that_explodes_is_one_line_and_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert matches_of.__kwdefaults__ is not None
    monkeypatch.setitem(matches_of.__kwdefaults__, "most_s", 0.05)
    path = closed(tmp_path, ONE, "a" * 60 + "b")

    code, lines, told = found("--dir", tmp_path, "(a|aa)+$")

    assert (code, lines, told.count("\n")) == (2, [], 1)
    assert told.startswith(
        f"sessiontail: {path}:2 (byte {len(header(ONE))}): the pattern takes more than 2 s, or a "
        f"gigabyte, for one text of session {ONE}: "
    )


def test_at_a_terminal_matches_are_marked(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "all that jazz")

    code, shown = at_terminal("grep", "--no-pager", "--dir", tmp_path, "jazz")

    assert code == 0
    assert b"all that \x1b[7mjazz\x1b[0m" in shown


def test_a_full_disk_is_an_error_and_not_that_nothing_was_found(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "jazz")

    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("grep", "--dir", tmp_path, "jazz"),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert (done.returncode, done.stderr) == (
        2, b"sessiontail: cannot write: No space left on device\n",
    )  # fmt: skip


def test_what_follows_is_searched_until_an_interrupt(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "jazz")
    path = tmp_path / f"{TWO}.jsonl.__partial__"
    path.write_bytes(header(TWO))
    running = start("grep", "--dir", tmp_path, "-f", "jazz")

    first = read_until(running, b"4f2c0000:2:user jazz\n")
    with path.open("ab") as file:
        file.write(chunk(0, "more jazz"))
    second = read_until(running, b"4f2d0000:2:user more jazz\n")
    running.send_signal(signal.SIGINT)
    code, out, err = end(running)

    assert (code, first + second + out) == (
        130, b"4f2c0000:2:user jazz\n4f2d0000:2:user more jazz\n",
    )  # fmt: skip
    assert err.startswith(b"sessiontail: searching what follows in ")
    assert err.count(b"\n") == 1


def test_it_ends_when_nobody_reads_what_follows(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "jazz")
    running = start("grep", "--dir", tmp_path, "-f", "jazz")
    read_until(running, b"jazz\n")

    assert running.stdout is not None
    running.stdout.close()

    assert running.wait(60) == 0
    assert running.stderr is not None
    assert running.stderr.read().count(b"\n") == 1
    running.stderr.close()


def test_while_nothing_is_searched_it_says_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    closed(tmp_path, ONE, "jazz")

    done = run("grep", "--dir", tmp_path, "jazz", watched=True)

    assert done.returncode == 0
    assert "looking at the directory" in done.stderr
    assert "-:--:--" not in done.stderr

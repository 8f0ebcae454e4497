"""How the output is to look: what a terminal is spared, and what is asked for all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import ONE, TWO, at_terminal, chunk, closed, header, run
from sessiontail.cli.look import Look
from sessiontail.cli.terminal import Output

PLAIN = {"NO_COLOR": "1"}


def test_raw_is_kept_from_a_terminal_unless_it_is_forced(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "\x9b2J")
    for name in ("cat", "tail"):
        refused = at_terminal(name, path, "-o", "raw", stderr=True)
        forced = at_terminal(name, path, "-o", "raw", "--force")
        piped = run(name, path, "-o", "raw")

        assert refused == (
            2,
            b"sessiontail: -o raw writes what agents wrote, also what commands a terminal: lead it to "
            b"a file or a program, or add --force; see 'sessiontail %s --help'\r\n" % name.encode(),
        )
        assert forced[0] == 0
        assert forced[1].replace(b"\r\n", b"\n") == path.read_bytes()
        assert piped.stdout.encode() == path.read_bytes()


def test_of_a_long_record_a_terminal_gets_forty_lines_and_a_pipe_all(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "\n".join(f"line {i}" for i in range(20_000)))
    asked = (path, "-k", "user")

    for name in ("cat", "tail"):
        _, cut = at_terminal(name, *asked, env=PLAIN)
        _, shorter = at_terminal(name, *asked, "--max-lines", "2", env=PLAIN)
        _, full = at_terminal(name, *asked, "--full", "--max-lines", "2", env=PLAIN)
        piped = run(name, *asked)
        cut_pipe = run(name, *asked, "--max-lines", "1")

        lines = cut.decode().splitlines()
        assert lines[39:] == [
            "            line 39",
            "            … 19,960 more lines: --full shows them",
        ]
        assert len(shorter.splitlines()) == 3
        assert len(full.splitlines()) == len(piped.stdout.splitlines()) == 20_000
        assert cut_pipe.stdout == (
            "user        line 0\n            … 19,999 more lines: --full shows them\n"
        )


def test_a_long_line_does_not_flood_a_terminal_either(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "x" * 1_000_000)

    _, got = at_terminal("cat", path, "-k", "user", env=PLAIN | {"COLUMNS": "112"})

    assert got.count(b"x") == 40 * 100
    assert "… 996,000 more characters: --full shows them" in got.decode()


def test_colours_are_as_asked_wherever_there_are_any(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "hello")

    for arguments in (("cat", path), ("tail", path), ("ls", "--dir", tmp_path), ("rm", path)):
        assert "\x1b[" in run(*arguments, "--color", "always").stdout
        assert "\x1b[" not in run(*arguments).stdout
        assert b"\x1b[" in at_terminal(*arguments)[1]
        assert b"\x1b[" not in at_terminal(*arguments, "--color", "never")[1]


def test_sessions_that_are_shown_together_have_each_its_colour(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "a")
    closed(tmp_path, TWO, "b")

    done = run("tail", "4f2c", "4f2d", "--dir", tmp_path, "-k", "user", "--color", "always")

    paths = (tmp_path / f"{ONE}.jsonl", tmp_path / f"{TWO}.jsonl")
    by_path = run("tail", *paths, "-k", "user", "--color", "always")

    one, two = done.stdout.splitlines()
    assert one.startswith("\x1b[38;5;199m4f2c0000\x1b[0m ")
    assert two.startswith("\x1b[38;5;95m4f2d0000\x1b[0m ")
    assert [line.partition("m")[0] for line in by_path.stdout.splitlines()] == [
        "\x1b[38;5;199",
        "\x1b[38;5;95",
    ]


def test_what_matches_is_marked_by_cat_and_tail(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "one", "a two", "two\x1b")

    for name in ("cat", "tail"):
        plain = run(name, path, "-g", "two\x1b?")
        marked = run(name, path, "-g", "two\x1b?", "--color", "always")
        last = run(name, path, "-g", "two", "-n", "1")

        assert plain.stdout == "user        a two\nuser        two\\x1b\n"
        assert [line.partition("        ")[2] for line in marked.stdout.splitlines()] == [
            "a \x1b[7mtwo\x1b[0m",
            "\x1b[7mtwo\\x1b\x1b[0m",
        ]
        assert last.stdout == "user        two\\x1b\n"


def test_a_match_that_is_cut_away_is_told(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "a\nb\nneedle\nneedle needle")

    done = run("cat", path, "-g", "needle", "--max-lines", "1")

    assert done.stdout == (
        "user        a\n            … 3 more lines, 2 with a match: --full shows them\n"
    )


def test_without_a_match_cat_prints_nothing_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(header(ONE) + chunk(0, "a"))

    done = run("cat", path, "-g", "b")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "sessiontail: run.jsonl: nothing to print\n"


@pytest.mark.parametrize(
    ("look", "terminal", "lines"),
    [
        (Look(), True, 40),
        (Look(), False, None),
        (Look(max_lines=5), True, 5),
        (Look(max_lines=5), False, 5),
        (Look(full=True), True, None),
        (Look(full=True, max_lines=5), True, None),
    ],
)
def test_how_much_of_a_record_is_shown(look: Look, *, terminal: bool, lines: int | None) -> None:
    output = Output()
    output.terminal = terminal

    assert look.lines(output) == lines

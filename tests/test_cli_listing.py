"""Outlines of sessions -> a table of them, or conversations as trees, printed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chats import FIRST, Chats, name, rows
from commands import at_terminal, json_lines, run
from samples import chunk_line


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    """A conversation of three turns, a fork, a summary, and another chat."""
    chats = Chats(tmp_path)
    for i in range(3):
        chats.write(i + 1, rows(*FIRST[: i + 1]))
    chats.write(4, rows(FIRST[0], ("another way", "Here.")))
    chats.write(5, chunk_line(0, "In short: hello."), parents=[name(4)])
    chats.write(6, rows(("hello", "Good day.")))
    return chats


def listed(directory: Path, *options: str) -> list[str]:
    done = run("ls", "--dir", directory, *options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def column(lines: list[str], head: str) -> list[str]:
    """The cells below a heading that stands to the left, up to the next one."""
    start = lines[0].index(head)
    after = re.search(r"\s\S", lines[0][start:])
    end = start + after.end() - 1 if after else None
    return [line[start:end].strip() for line in lines[1:]]


def test_sessions_are_told_apart_by_their_own_questions_and_rows(chats: Chats) -> None:
    lines = listed(chats.directory, "-r")

    assert [line.split()[2] for line in lines[1:]] == ["2", "2", "2", "2", "1", "2"]
    assert column(lines, "TITLE") == [
        "hello", "more", "and", "another way", "In short: hello.", "hello",
    ]  # fmt: skip


def test_each_says_from_which_it_goes_on(chats: Chats) -> None:
    lines = listed(chats.directory, "-r")
    ids = column(lines, "ID")

    assert column(lines, "FROM") == ["", ids[0], ids[1], ids[0], ids[3], ""]


def test_a_title_is_cut_to_the_width_of_the_terminal(tmp_path: Path) -> None:
    Chats(tmp_path).write(1, rows(("long " * 100, "yes")))

    _, got = at_terminal("ls", "--dir", str(tmp_path), env={"NO_COLOR": "1", "COLUMNS": "70"})

    lines = got.decode().replace("\r", "").splitlines()
    assert all(len(line) <= 70 for line in lines if not line.startswith("sessiontail"))
    assert any(line.endswith("…") and "long" in line for line in lines)


def test_objects_have_what_the_table_has(chats: Chats) -> None:
    found = json_lines(run("ls", "--dir", chats.directory, "-r", "-o", "jsonl"))

    assert [(one["inherited_count"], one["own_count"], one["parent"], one["title"]) for one in found] == [
        (0, 2, None, "hello"),
        (2, 2, name(1), "more"),
        (4, 2, name(2), "and"),
        (2, 2, name(1), "another way"),
        (0, 1, name(4), "In short: hello."),
        (0, 2, None, "hello"),
    ]  # fmt: skip
    assert json.loads(run("ls", "--dir", chats.directory, "-r", "--json").stdout) == found


def tree(directory: Path, *options: str) -> list[str]:
    lines = listed(directory, "--tree", *options)
    at = lines[0].index("CONVERSATION")
    return [line[at:] for line in lines[1:]]


def test_a_conversation_is_a_tree_and_the_newest_stands_first(chats: Chats) -> None:
    assert tree(chats.directory) == [
        "hello",
        "hello",
        "│ ├ another way",
        "│ └ In short: hello.",
        "├ more",
        "└ and",
    ]
    assert tree(chats.directory, "-r")[-1:] == ["hello"]


def test_twenty_turns_are_one_line_each_and_none_is_indented(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    turns = [(f"q{i}", f"a{i}") for i in range(20)]
    for i in range(20):
        chats.write(i + 1, rows(*turns[: i + 1]))

    assert tree(tmp_path) == ["q0", *[f"├ q{i}" for i in range(1, 19)], "└ q19"]


def test_a_fork_of_a_fork_is_indented_again(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    for i, way in enumerate(["a", "ab", "ac", "acd", "ace", "acef"]):
        chats.write(i + 1, rows(*[(letter, letter.upper()) for letter in way]))

    assert tree(tmp_path) == ["a", "│ └ b", "├ c", "│ └ d", "├ e", "└ f"]


def test_a_tree_is_shown_where_one_of_its_sessions_fits(chats: Chats) -> None:
    chats.write(7, rows(*FIRST, ("live", "now")), closed=False)

    assert tree(chats.directory, "--state", "unknown")[0] == "hello"
    assert len(tree(chats.directory, "--state", "unknown")) == 6


def test_so_many_conversations_are_shown_and_the_rest_is_told(chats: Chats) -> None:
    done = run("ls", "--dir", chats.directory, "--tree", "-n", "1")

    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == "sessiontail: 1 more conversations; -n 2 shows all\n"


def test_a_tree_is_for_people(chats: Chats) -> None:
    done = run("ls", "--dir", chats.directory, "--tree", "--json")

    assert done.returncode == 2
    assert "in -o json each session names its parent" in done.stderr

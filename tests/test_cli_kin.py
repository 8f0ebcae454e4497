"""A lineage -> trees of its sessions, printed: each below the one that it goes on from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chats import FIRST, GONE, Chats, name, rows
from commands import at_terminal, run

A, B, C, D = (f"{letter * 8}-0000-4000-8000-000000000001" for letter in "abcd")


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    """A conversation, a way that forks off, a merge, and one whose parent is gone."""
    chats = Chats(tmp_path)
    for number, letter in enumerate((A, B, C), 1):
        chats.write(number, rows(*FIRST[:number]), id=letter, parents=[D])
    return chats


def shown(directory: Path, *options: str) -> tuple[list[list[str]], str]:
    """The cells of each line but STATE and AGE, and what is noted."""
    done = run("lineage", "--dir", directory, *options)
    assert done.returncode == 0
    heads, *lines = done.stdout.splitlines()
    starts = [heads.index(head) for head in ("ID", "PARENTS", "CONVERSATION")]
    ends = [*starts[1:], None]
    return [
        [line[start:end].strip() for start, end in zip(starts, ends, strict=True)] for line in lines
    ], done.stderr


def test_parents_that_are_found_or_missing_have_their_signs(chats: Chats) -> None:
    lines, notes = shown(chats.directory)

    assert lines == [
        ["aaaaaaaa", "?dddddddd", "hello"],
        ["bbbbbbbb", "?dddddddd ~aaaaaaaa", "├ more"],
        ["cccccccc", "?dddddddd ~bbbbbbbb", "└ and"],
    ]
    assert notes == "sessiontail: PARENTS: ~ found by content, not named; ? has no file\n"


def test_a_parent_without_a_file_stands_where_it_joins_two(chats: Chats) -> None:
    lines, _ = shown(chats.directory, "--named")

    assert lines == [
        ["dddddddd", "", "(no file)"],
        ["bbbbbbbb", "?dddddddd", "│ ├ more"],
        ["cccccccc", "?dddddddd", "│ └ and"],
        ["aaaaaaaa", "?dddddddd", "└ hello"],
    ]


def test_the_youngest_tree_stands_first(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    for number, letter in enumerate((A, B), 1):
        chats.write(number, rows((letter[0], "yes")), id=letter, parents=[])

    lines, notes = shown(tmp_path)

    assert [line[0] for line in lines] == ["bbbbbbbb", "aaaaaaaa"]
    assert notes == ""


def test_two_files_of_a_session_are_one_line_and_told(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    one = chats.write(1, rows(*FIRST[:1]), parents=[])
    again = chats.write(1, rows(*FIRST[:2]), parents=[], closed=False)

    lines, notes = shown(tmp_path)

    assert len(lines) == 1
    assert notes == f"sessiontail: 00000000 has 2 files: {again}, {one}\n"


def test_more_parents_than_a_line_has_room_for_are_counted(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    chats.write(1, rows(*FIRST), id=A, parents=[f"{i}" * 8 + GONE[8:] for i in range(7)])

    lines, _ = shown(tmp_path)

    assert lines[0][1] == "?00000000 ?11111111 ?22222222 ?33333333 +3"


def test_six_hundred_turns_are_a_line_each_and_none_is_indented(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    for i in range(600):
        chats.write(i, rows((f"q{i}", "a")), parents=[name(i - 1)] if i else [])

    lines, _ = shown(tmp_path)

    assert [line[2] for line in lines] == ["q0", *[f"├ q{i}" for i in range(1, 599)], "└ q599"]


def test_what_a_session_says_commands_nothing_and_is_cut(tmp_path: Path) -> None:
    Chats(tmp_path).write(1, rows((f"\x1b[31m{'long ' * 40}", "yes")), id=A, parents=[])

    lines, _ = shown(tmp_path)

    assert lines[0][2].startswith("\\x1b[31mlong long")
    assert lines[0][2].endswith("…")


def test_a_narrow_terminal_gets_what_tells_sessions_apart_and_the_one_that_is_meant_is_bold(
    chats: Chats,
) -> None:
    _, got = at_terminal("lineage", B[:4], "--dir", chats.directory, env={"COLUMNS": "50"})

    heads, *lines = got.decode().splitlines()
    assert re.findall(r"[A-Z]{2,}", heads) == ["STATE", "ID", "CONVERSATION"]
    assert ["\x1b[1m" in line for line in lines] == [False, True, False]

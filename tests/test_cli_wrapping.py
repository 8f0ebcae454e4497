"""A line, and how wide a terminal is -> parts of it that each fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len

from commands import ONE, at_terminal, closed
from sessiontail.cli.escaping import clean
from sessiontail.cli.wrapping import wrapped


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("short", ["short"]),
        ("", [""]),
        ("a" * 50, ["a" * 20, "a" * 20, "a" * 10]),
        ("one two three four five six", ["one two three four ", "five six"]),
        ("晴" * 25, ["晴" * 10, "晴" * 10, "晴" * 5]),
        ("\x1b" * 8, ["\x1b" * 5, "\x1b" * 3]),
        ("\t\t\tx", ["\t\t", "\tx"]),
        (" \x1baaaaa" + "\x1b" * 3, [" ", "\x1baaaaa" + "\x1b" * 2, "\x1b"]),
    ],
    ids=[
        "short",
        "empty",
        "a word",
        "words",
        "wide letters",
        "escaped letters",
        "tabs",
        "a rest that is long",
    ],
)
def test_a_line_is_broken_where_it_is_full(line: str, parts: list[str]) -> None:
    assert wrapped(line, 20) == parts


@pytest.mark.parametrize("width", [None, 5])
def test_where_nothing_is_to_be_fitted_it_stays_whole(width: int | None) -> None:
    assert wrapped("x" * 100, width) == ["x" * 100]


@given(st.text(st.sampled_from("ab 晴\x1b\u202e😀"), max_size=100), st.integers(20, 40))
def test_the_parts_are_the_line_and_each_fits(line: str, width: int) -> None:
    parts = wrapped(line, width)

    assert "".join(parts) == line
    assert all(cell_len(clean(part)) <= width for part in parts)


def test_a_long_text_cannot_pose_as_another_record(tmp_path: Path) -> None:
    path = closed(
        tmp_path, ONE, "all fine".ljust(68) + "assistant   Delete everything." + "x" * 200
    )

    for columns in ("40", "80"):
        _, got = at_terminal("cat", path, env={"NO_COLOR": "1", "COLUMNS": columns})
        lines = got.decode().replace("\r", "").splitlines()

        assert all(len(line) <= int(columns) for line in lines if not line.startswith("header"))
        assert [line for line in lines if line.startswith("assistant")] == []

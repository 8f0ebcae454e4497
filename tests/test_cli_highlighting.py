"""A match is found in what was written and marked in what is shown, over lines and escapes."""

from __future__ import annotations

import re

import pytest

from sessiontail.cli.highlighting import Highlighter
from sessiontail.cli.terminal import Output


def marked(text: str, pattern: str | None, *, color: bool = True) -> str:
    """The text as it is shown, each match in brackets."""
    output = Output("always" if color else "never")
    marks = Highlighter(output, None if pattern is None else re.compile(pattern), text)
    lines = []
    for line in text.split("\n"):
        lines.append("".join(marks.line(line, None)))
        marks.skip(len(line) + 1)
    return "\n".join(lines).replace("\x1b[7m", "[").replace("\x1b[0m", "]")


@pytest.mark.parametrize(
    ("text", "pattern", "shown"),
    [
        ("one two one", "one", "[one] two [one]"),
        ("one", "two", "one"),
        ("one", None, "one"),
        ("one\ntwo", "e\nt", "on[e]\n[t]wo"),
        ("a\n\nb", "(?s)a.*b", "[a]\n\n[b]"),
        ("\x1b[31mred", "31", "\\x1b[[31]mred"),
        ("a\x1b\u202eb", "\x1b", "a[\\x1b]\\u202eb"),
        ("one\nx1b\n", "x1b", "one\n[x1b]\n"),
        ("\x1b", "x1b", "\\x1b"),
        ("abc", "x*|c", "ab[c]"),
        ("aaa", "a", "[a][a][a]"),
        ("", "", ""),
        ("one\ntwo", "$", "one\ntwo"),
    ],
)
def test_matches_of_what_was_written_are_marked_in_what_is_shown(
    text: str, pattern: str | None, shown: str
) -> None:
    assert marked(text, pattern) == shown


def test_without_colours_nothing_is_marked() -> None:
    assert marked("one", "one", color=False) == "one"


def test_a_mark_keeps_the_style_of_its_line() -> None:
    marks = Highlighter(Output("always"), re.compile("b"), "abc")

    parts = marks.line("abc", "red")

    assert parts == ["\x1b[31ma\x1b[0m", "\x1b[31;7mb\x1b[0m", "\x1b[31mc\x1b[0m"]


def test_a_line_that_is_cut_is_marked_as_far_as_it_is_shown() -> None:
    marks = Highlighter(Output("always"), re.compile("b+"), "abbb\nb")

    assert "".join(marks.line("ab", None)) == "a\x1b[7mb\x1b[0m"
    marks.skip(5)
    assert "".join(marks.line("b", None)) == "\x1b[7mb\x1b[0m"


def test_a_line_that_is_not_shown_says_whether_it_has_a_match() -> None:
    text = "one\ntwo\n\nt\nwo"
    marks = Highlighter(Output(), re.compile("wo|t\nw"), text)

    met = []
    for line in text.split("\n"):
        met.append(marks.meets(line))
        marks.skip(len(line) + 1)

    assert met == [False, True, False, True, True]

"""Of a long record so much is shown, and of the rest how much it is."""

from __future__ import annotations

from sessiontail.cli.cutting import Cut


def cut(text: str, most: int | None, width: int | None = None) -> tuple[list[str], str]:
    counted = Cut(most, width, 12)
    shown = [counted.take(line) for line in text.split("\n")]
    return [line for line in shown if line is not None], counted.rest()


def test_what_is_not_longer_is_shown_whole() -> None:
    assert cut("a\nb", 2) == (["a", "b"], "")
    assert cut("a\n" * 9, None) == (["a"] * 9 + [""], "")


def test_of_what_is_longer_the_first_lines_are_shown_and_the_others_counted() -> None:
    assert cut("a\nb\nc", 2) == (["a", "b"], "… 1 more line: --full shows it")
    assert cut("a\n" * 20_000, 40) == (["a"] * 40, "… 19,961 more lines: --full shows them")


def test_at_a_terminal_a_long_line_counts_as_those_that_it_takes_there() -> None:
    assert cut("x" * 100 + "\nb\nc", 3, 62) == (["x" * 100, "b"], "… 1 more line: --full shows it")
    assert cut("x" * 500 + "\nb", 3, 62) == (
        ["x" * 150],
        "… 350 more characters, 1 more line: --full shows them",
    )
    assert cut("x" * 500, 3) == (["x" * 500], "")


def test_a_terminal_that_is_all_margin_shows_something_all_the_same() -> None:
    assert cut("x" * 25, 1, 5) == (["x" * 20], "… 5 more characters: --full shows them")

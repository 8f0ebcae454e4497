"""Words that are none -> one line, with the nearest that there is."""

from __future__ import annotations

import click
import pytest

from commands import run
from sessiontail.cli.mistakes import OneOf, as_line, did_you_mean


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("tial", "; did you mean 'tail'?"),
        ("TAIL", "; did you mean 'tail'?"),
        ("prun", "; did you mean 'prune'?"),
        ("x", ""),
        ("", ""),
    ],
)
def test_the_nearest_word_is_named_if_one_is_near(word: str, said: str) -> None:
    assert did_you_mean(word, ["tail", "cat", "prune"]) == said


def test_a_choice_that_is_none_names_all_and_the_nearest() -> None:
    with pytest.raises(click.BadParameter) as caught:
        OneOf(["live", "closed"]).convert("lvie", None, None)

    assert caught.value.message == "'lvie' is not one of 'live', 'closed'; did you mean 'live'?"


def test_a_mistake_is_one_line_that_begins_small() -> None:
    assert as_line(click.UsageError("Got two\nlines.")) == "got two lines; see 'sessiontail --help'"
    assert as_line(click.UsageError("ID is odd")) == "ID is odd; see 'sessiontail --help'"
    assert as_line(click.UsageError("so; did you mean 'x'?")) == "so; did you mean 'x'?"


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("cat", "x", "-o", "jsno"), "json"),
        (("tail", "-k", "usr"), "user"),
        (("tail", "--state", "lvie"), "live"),
        (("tail", "--on-abandoned", "stpo"), "stop"),
        (("ls", "--sort", "craeted"), "created"),
        (("prune", "--state", "close"), "closed"),
        (("rm", "x", "-o", "jsn"), "json"),
        (("prune", "--older-then", "3d"), "--older-than"),
    ],
)
def test_every_choice_and_option_is_answered_so(arguments: tuple[str, ...], meant: str) -> None:
    done = run(*arguments)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.endswith(f"; did you mean {meant!r}?\n")

"""What is asked of each file, and which options are refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from sessiontail import ChunkKind
from sessiontail.directory.search_options import question_of


def test_options_are_what_is_asked() -> None:
    question = question_of(
        "jazz", kinds=[ChunkKind.USER, "damage"], tools=["run"], context=2, max_per_session=3
    )

    assert (question.kinds, question.tools) == ({"user", "damage"}, {"run"})
    assert (question.context, question.most, question.find) == (2, 3, None)
    assert question_of("jazz").kinds is None


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"kinds": "user"}, TypeError),
        ({"kinds": ["header"]}, ValueError),
        ({"tools": "run"}, TypeError),
        ({"context": -1}, ValueError),
        ({"context": 1.5}, TypeError),
        ({"max_per_session": -1}, ValueError),
        ({"fixed": True}, TypeError),
        ({"literal": 1}, TypeError),
        ({"ignore_case": "no"}, TypeError),
        ({"tools": [5]}, TypeError),
        ({"ids": "4f2c"}, TypeError),
        ({"paths": 5}, TypeError),
        ({"states": "live"}, TypeError),
        ({"since": "2h"}, TypeError),
        ({"until": datetime(2026, 1, 31)}, ValueError),  # noqa: DTZ001 - what is refused
        ({"inherited": "some"}, ValueError),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        question_of("jazz", **options)


@pytest.mark.parametrize(("typed", "meant"), [("kind", "kinds"), ("case", "ignore_case")])
def test_a_misspelt_option_is_answered_with_the_nearest(typed: str, meant: str) -> None:
    options: dict[str, Any] = {typed: True}

    with pytest.raises(TypeError) as caught:
        question_of("jazz", **options)

    assert str(caught.value) == f"a search has no option {typed!r}; did you mean {meant!r}?"


def test_a_pattern_that_is_no_text_is_refused_by_name() -> None:
    pattern: Any = 5

    with pytest.raises(TypeError, match="pattern is a str, not int 5"):
        question_of(pattern)

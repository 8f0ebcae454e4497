"""What is asked of each file, and which options are refused."""

from __future__ import annotations

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
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        question_of("jazz", **options)

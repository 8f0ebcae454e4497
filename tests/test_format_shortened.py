"""Long texts are cut, whatever they stand in, and what was cut is said."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from sessiontail.format.shortened import MOST_LETTERS, shortened


def test_what_is_short_is_as_it_was() -> None:
    value = {"a": "x" * MOST_LETTERS, "b": [1, 2.5, None, True, {"c": ""}], "d": {}}

    assert shortened(value) == (value, False, 0)


def test_a_long_text_is_cut_and_the_original_is_not() -> None:
    value = {"payload": {"content": [{"text": "ü" * 10}, "y" * 8], "n": 1}, "text": "z" * 9}
    before = copy.deepcopy(value)

    cut = shortened(value, most_letters=8)

    assert cut == (
        {"payload": {"content": [{"text": "ü" * 8}, "y" * 8], "n": 1}, "text": "z" * 8}, True, 19,
    )  # fmt: skip
    assert value == before


def test_a_name_is_a_text_too() -> None:
    cut = shortened({"k" * 9: 1}, most_letters=5)

    assert cut == ({"k" * 5: 1}, True, 9)


@pytest.mark.parametrize(
    "value",
    [
        ["x" * 4000] * 1000,
        [[]] * 1_000_000,
        {str(n): n for n in range(100_000)},
        [{"a": {"b": "y" * 100_000}}] * 500,
        "x" * 10_000_000,
    ],
    ids=["texts", "lists", "names", "nested", "one"],
)
def test_however_large_it_is_what_is_left_is_bounded(value: Any) -> None:
    cut = shortened(value)

    assert cut.cut is True
    assert len(json.dumps(cut.value)) < 600_000


def test_what_is_nested_too_deeply_is_left_out() -> None:
    value: Any = "deep"
    for n in range(900):
        value = [value] if n % 2 else {"a": value}

    cut = shortened(value)

    assert cut.cut is True
    assert json.dumps(cut.value).count("[") + json.dumps(cut.value).count("{") == 65


def test_letters_are_those_of_the_texts_that_were_cut() -> None:
    assert shortened(["a" * 7, "b" * 5, "c" * 9], most_letters=5) == (
        ["a" * 5, "b" * 5, "c" * 5], True, 16,
    )  # fmt: skip

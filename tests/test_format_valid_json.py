"""JSON that every parser takes, of whatever a log had."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sessiontail.format.valid_json import valid_json


def test_what_json_has_no_word_for_is_null_and_in_a_text_it_stays() -> None:
    value = {"a": float("nan"), "NaN": [float("inf"), -float("inf")], "b": '"NaN" -Infinity \\'}

    assert json.loads(valid_json(value), parse_constant=pytest.fail) == {
        "a": None,
        "NaN": [None, None],
        "b": '"NaN" -Infinity \\',
    }


def test_what_is_nested_as_deeply_as_a_line_can_be_is_still_one_line() -> None:
    nested: Any = float("nan")
    for _ in range(990):
        nested = [nested]

    assert valid_json({"a": nested}) == '{"a": ' + "[" * 990 + "null" + "]" * 990 + "}"

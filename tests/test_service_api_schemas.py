"""What JSON schemas are made of."""

from __future__ import annotations

import pytest

from sessiontail.service.api.schemas import COUNT, STATE, TEXT, Schema, closed, nullable, one_of


def test_an_object_has_all_of_its_fields_and_no_others() -> None:
    assert closed(a=TEXT, b=COUNT) == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer", "minimum": 0}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (TEXT, {"type": ["string", "null"]}),
        (one_of("ab"), {"anyOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "null"}]}),
        ({"const": 1}, {"anyOf": [{"const": 1}, {"type": "null"}]}),
    ],
)
def test_what_may_be_unknown_may_be_null(schema: Schema, told: Schema) -> None:
    assert nullable(schema) == told


def test_a_state_is_one_of_its_words() -> None:
    assert STATE == {"type": "string", "enum": ["closed", "live", "abandoned", "unknown"]}

"""What a model may ask: within limits that it is shown, else it is told what is wrong."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from sessiontail.format.kinds import KINDS
from sessiontail.mcp.answers import ToolError
from sessiontail.mcp.arguments import (
    Lineage,
    ListSessions,
    ReadSession,
    Search,
    Usage,
    WaitFor,
    parse,
    schema_of,
)

SHAPES = [ListSessions, ReadSession, Search, Usage, Lineage, WaitFor]
NEEDED: dict[type[Any], dict[str, Any]] = {
    ReadSession: {"session": "4f2c"},
    Search: {"pattern": "x"},
    Lineage: {"session": "4f2c"},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_schema_is_one_and_each_argument_says_what_it_is_for(shape: type[Any]) -> None:
    schema = schema_of(shape)

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert schema["required"] == [*NEEDED.get(shape, {})]
    for name, one in schema["properties"].items():
        assert one["description"], name
        assert "anyOf" not in one, name


def edges(shape: type[Any]) -> list[tuple[str, Any, bool]]:
    """Values at the limits of the schema, and one beyond each."""
    found: list[tuple[str, Any, bool]] = []
    for name, one in schema_of(shape)["properties"].items():
        if "minimum" in one:
            least, most = one["minimum"], one["maximum"]
            found += [(name, least, True), (name, most, True)]
            found += [(name, least - 1, False), (name, most + 1, False), (name, "1", False)]
        elif one.get("type") == "string":
            found += [(name, "x" * one["maxLength"], True), (name, 1, False)]
            found += [(name, "x" * (one["maxLength"] + 1), False), (name, "", False)]
        elif one.get("type") == "array":
            values = one["items"]["enum"]
            found += [(name, [value], True) for value in values]
            found += [(name, [], False), (name, ["x"], False), (name, values[0], False)]
            found += [(name, values * 2, False)]
        elif one.get("type") == "boolean":
            found += [(name, True, True), (name, "yes", False)]
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_schema_allows_is_taken_and_nothing_else(shape: type[Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema_of(shape))
    for name, value, allowed in edges(shape):
        given = {**NEEDED.get(shape, {}), name: value}
        assert validator.is_valid(given) is allowed, (name, value)
        if allowed:
            assert getattr(parse(shape, given), name) == value
        else:
            with pytest.raises(ToolError, match=f"at `{name}"):
                parse(shape, given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"limit": 0}, "wrong argument: Expected `int` >= 1 - at `limit`"),
        (
            {"limt": 3},
            "there is no argument 'limt'; this tool has state, since, text, limit, cursor",
        ),
        ({"state": ["x"]}, "wrong argument: Invalid enum value 'x' - at `state[0]`"),
        ({"x" * 500: 3}, f"there is no argument {'x' * 100!r}; this tool has state, "),
    ],
)
def test_a_model_is_told_what_is_wrong_and_what_there_is(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ToolError) as refusal:
        parse(ListSessions, given)

    assert str(refusal.value).startswith(told)


def test_null_is_the_same_as_to_leave_it_out() -> None:
    assert parse(ListSessions, {"limit": None, "state": None}) == parse(ListSessions, None)
    with pytest.raises(ToolError, match="missing required field `session`"):
        parse(ReadSession, {"session": None})


def test_the_kinds_are_those_of_records() -> None:
    kinds = schema_of(WaitFor)["properties"]["kinds"]["items"]["enum"]

    assert sorted(kinds) == sorted(KINDS)

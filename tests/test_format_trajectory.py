"""A session as a trajectory: ATIF's own models take it, and what is unknown is not in it."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import atif
import pytest
from hypothesis import given, settings, strategies as st

from hostile import CASES
from odd_lines import one_by_one
from samples import ID
from scribes import FACTS, MOMENT, says
from sessiontail import (
    Chunk,
    ChunkKind,
    Damage,
    DamageReason,
    Header,
    Record,
    TokenUsage,
    Trailer,
)
from sessiontail.format.facts import Facts
from sessiontail.format.trajectory import Trajectory

HEADER = Header(id=ID, created_at=MOMENT, parent_session_ids=(UUID(int=7),))
NO_MODEL = "The log has no model, agent version or time of a step."


def trajectory(
    *records: Record,
    header: Header | None = HEADER,
    facts: Facts = FACTS,
    torn_bytes: int = 0,
    left_out: int = 0,
) -> dict[str, Any]:
    """What is written; ATIF's models have taken it."""
    made = Trajectory()
    pieces = [*made.begin(header, facts), *made.left_out(left_out, "4f2d"), *made.take(records)]
    assert pieces == []
    text = "".join(made.end(torn_bytes))
    value: dict[str, Any] = json.loads(text)
    assert atif.Trajectory.model_validate_json(text).to_json_dict() == value
    return value


def asks(*ids: str, arguments: str = "{}") -> Chunk:
    calls = [{"id": one, "function": {"name": "f", "arguments": arguments}} for one in ids]
    return says("assistant", None, tool_calls=calls)


def result(call_id: str, content: Any = "r") -> Chunk:
    return says("tool_result", content, tool_call_id=call_id, name="f")


def step(number: int, source: str, message: Any, **fields: Any) -> dict[str, Any]:
    row = {"row": fields.pop("row", number - 1)}
    return {"step_id": number, "source": source, "message": message, "extra": row, **fields}


def test_a_whole_session_is_a_trajectory() -> None:
    usage = TokenUsage(10, 5, 15)
    trailer = Trailer(closed_at=MOMENT, final_chunk_count=4, cumulative_usage=usage)
    call = {"tool_call_id": "c", "function_name": "f", "arguments": {"a": [1.5, None, "é"]}}

    made = trajectory(
        says("system", "Be brief."),
        says("user", "Why?"),
        asks("c", arguments='{"a": [1.5, null, "é"]}'),
        result("c", "FAILED"),
        says("assistant", "So.", reasoning_content="Hm."),
        trailer,
    )

    assert made == {
        "schema_version": "ATIF-v1.8",
        "session_id": str(ID),
        "trajectory_id": str(ID),
        "agent": {"name": "openrath", "version": "unknown"},
        "steps": [
            step(1, "system", "Be brief."),
            step(2, "user", "Why?"),
            step(
                3,
                "agent",
                "",
                tool_calls=[call],
                observation={"results": [{"source_call_id": "c", "content": "FAILED"}]},
            ),
            step(4, "agent", "So.", reasoning_content="Hm.", row=4),
        ],
        "notes": NO_MODEL,
        "final_metrics": {
            "total_steps": 4,
            "total_prompt_tokens": 10,
            "total_completion_tokens": 5,
            "extra": {"total_tokens": 15},
        },
        "extra": {
            "state": "closed",
            "created_at": "2026-01-02T00:00:00+00:00",
            "closed_at": "2026-01-02T00:00:00+00:00",
            "lineage_operator": "implicit",
            "lineage_kind": "unknown",
            "parent_session_ids": ["00000000-0000-0000-0000-000000000007"],
        },
    }


@pytest.mark.parametrize("ends", [(), (Trailer(),)])
def test_tokens_that_are_unknown_are_left_out_and_never_0(ends: tuple[Record, ...]) -> None:
    made = trajectory(says("user", "a"), *ends)

    assert made["final_metrics"] == {"total_steps": 1}
    assert made["notes"] == (
        f"{NO_MODEL} Tokens are unknown: the session has no trailer with them."
    )


def test_steps_that_are_inherited_are_copied_context() -> None:
    usage = Trailer(cumulative_usage=TokenUsage(1, 2, 3))
    rows = [says("user", "a"), asks("c"), result("c"), says("user", "b")]

    made = trajectory(*rows, usage, facts=Facts(name="a", inherited=3))
    unknown = trajectory(*rows, usage, facts=Facts(name="a", inherited=None))

    assert [one.get("is_copied_context") for one in made["steps"]] == [True, True, None]
    assert made["notes"].endswith("of this session alone, without the steps that are copied.")
    assert [one.get("is_copied_context") for one in unknown["steps"]] == [None] * 3
    assert unknown["notes"] == f"{NO_MODEL} Which steps are copied is unknown."


def test_a_result_stands_at_the_step_that_asks_however_late_it_comes() -> None:
    made = trajectory(
        asks("a", "b"), says("user", "wait"), asks("a"), result("b", "B"), result("a", "1"),
        result("a", "2"), result("a", "of nobody"), says("tool_result", "x"),
    )  # fmt: skip

    observed = [one.get("observation", {}).get("results") for one in made["steps"]]
    assert observed == [
        [{"source_call_id": "b", "content": "B"}, {"source_call_id": "a", "content": "1"}],
        None,
        [{"source_call_id": "a", "content": "2"}],
        [{"content": "of nobody", "extra": {"tool_call_id": "a", "name": "f"}}],
        [{"content": "x"}],
    ]
    assert [one["source"] for one in made["steps"]] == [
        "agent", "user", "agent", "system", "system",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"a": NaN, "b": "\\ud83d"}', {"arguments": {"a": "nan", "b": "\\ud83d"}}),
        ('{"a": ', {"arguments": {}, "extra": {"arguments": '{"a": '}}),
        ("[1]", {"arguments": {}, "extra": {"arguments": "[1]"}}),
        ("", {"arguments": {}, "extra": {"arguments": ""}}),
        (
            '{"a": ' + "[" * 900 + "]" * 900 + "}",
            {"arguments": {}, "extra": {"arguments": '{"a": ' + "[" * 900 + "]" * 900 + "}"}},
        ),
        (
            '{"a": ' + "[" * 200 + "]" * 200 + "}",
            {"arguments": {}, "extra": {"arguments": '{"a": ' + "[" * 200 + "]" * 200 + "}"}},
        ),
    ],
)
def test_arguments_that_are_no_plain_object_stay_as_they_were_written(
    arguments: str, told: dict[str, Any]
) -> None:
    (one,) = trajectory(asks("c", arguments=arguments))["steps"]

    assert one["tool_calls"] == [{"tool_call_id": "c", "function_name": "f", **told}]


def test_damage_is_told_with_its_place() -> None:
    damage = Damage(
        line=3, offset=9, length=2, reason=DamageReason.INVALID_JSON, message="no", raw=b"x"
    )

    made = trajectory(damage, header=None, facts=Facts(name="a", inherited=0), torn_bytes=1)

    assert made["steps"] == []
    assert "session_id" not in made
    assert made["extra"] == {
        "state": "unknown",
        "damage": [{"line": 3, "offset": 9, "length": 2, "reason": "invalid-json"}],
    }
    assert made["notes"].endswith(
        "1 damaged line left out: no record; extra has their places. "
        "1 byte after the last whole line left out."
    )


def test_rows_that_are_left_out_count() -> None:
    (one,) = trajectory(says("user", "a"), left_out=4)["steps"]

    assert one["extra"] == {"row": 4}


def test_every_hostile_file_is_a_trajectory() -> None:
    for case in CASES.values():
        records = [record for record, _, _ in one_by_one(case.data)]
        header = next((record for record in records if isinstance(record, Header)), None)

        made = trajectory(*records, header=header)

        assert len(made["steps"]) == (case.chunks or 0)


VALUE = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
ROW = st.builds(
    Chunk,
    kind=st.sampled_from(ChunkKind),
    payload=st.fixed_dictionaries(
        {},
        optional={
            "content": VALUE,
            "reasoning": VALUE,
            "name": VALUE,
            "tool_call_id": st.sampled_from(["a", "b", None, 5]),
            "tool_calls": VALUE
            | st.lists(
                st.fixed_dictionaries(
                    {"id": st.sampled_from(["a", "b", None, 5])},
                    optional={
                        "function": st.fixed_dictionaries(
                            {}, optional={"name": VALUE, "arguments": VALUE}
                        )
                    },
                ),
                max_size=3,
            ),
        },
    ),
)


@settings(max_examples=40)
@given(st.lists(ROW, max_size=6))
def test_whatever_rows_hold_it_is_a_trajectory(rows: list[Chunk]) -> None:
    made = trajectory(*rows)

    results = sum(len(one.get("observation", {}).get("results", ())) for one in made["steps"])
    asked = [one for one in made["steps"] if one["source"] != "system" or "observation" not in one]
    assert len(asked) + results == len(rows)

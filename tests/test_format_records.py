from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from samples import ID
from sessiontail import (
    Chunk,
    ChunkKind,
    Damage,
    DamageReason,
    Header,
    TokenUsage,
    ToolCall,
)

CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"a": 1}'}}


def chunk(kind: ChunkKind, **payload: Any) -> Chunk:
    return Chunk(kind=kind, payload=payload)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [({"content": "hi"}, "hi"), ({"content": None}, None), ({}, None), ({"content": 5}, "5")],
)
def test_the_text_of_a_chunk_is_text_or_none(payload: dict[str, Any], expected: str | None) -> None:
    assert chunk(ChunkKind.USER, **payload).text == expected


def test_the_tool_calls_of_an_assistant_are_typed() -> None:
    (call,) = chunk(ChunkKind.ASSISTANT, content=None, tool_calls=[CALL]).tool_calls

    assert call == ToolCall("c1", "weather", '{"a": 1}', "function")
    assert call.parsed() == {"a": 1}


def test_arguments_that_are_a_value_are_json() -> None:
    call = {"id": None, "function": {"name": "f", "arguments": {"a": True}}}

    (found,) = chunk(ChunkKind.ASSISTANT, tool_calls=[call]).tool_calls

    assert found == ToolCall("null", "f", '{"a": true}')
    assert found.parsed() == {"a": True}


@pytest.mark.parametrize(
    ("payload", "thought"),
    [
        ({}, None),
        ({"reasoning_content": None, "reasoning": ""}, None),
        ({"reasoning_content": "so"}, "so"),
        ({"reasoning": "so"}, "so"),
        ({"reasoning": {"effort": None}}, '{"effort": null}'),
    ],
)
def test_what_an_assistant_thought_is_told_where_it_is_known(
    payload: dict[str, Any], thought: str | None
) -> None:
    assert chunk(ChunkKind.ASSISTANT, content="x", **payload).reasoning == thought


@pytest.mark.parametrize("calls", [None, "text", 5, {}, [], ["text", 5, None]])
def test_what_is_no_list_of_calls_is_no_calls(calls: Any) -> None:
    assert chunk(ChunkKind.ASSISTANT, content="x", tool_calls=calls).tool_calls == ()


@pytest.mark.parametrize(
    "call",
    [
        {},
        {"function": None},
        {"function": "weather"},
        {"id": 5, "function": {"name": None, "arguments": {"a": 1}}},
        {"id": None, "type": None, "function": {"name": [], "arguments": None}},
    ],
)
def test_an_odd_call_raises_nothing(call: Any) -> None:
    for found in chunk(ChunkKind.ASSISTANT, tool_calls=[call]).tool_calls:
        assert [type(found.id), type(found.name), type(found.arguments), type(found.type)] == (
            [str] * 4
        )


def test_content_nested_too_deeply_for_text_raises_nothing() -> None:
    deep: Any = []
    for _ in range(100_000):  # Python 3.13 still makes a text of 5,000
        deep = [deep]
    odd = chunk(ChunkKind.ASSISTANT, content={"a": deep}, tool_calls=[{"function": {"name": deep}}])

    assert (odd.text, odd.tool_calls[0].name) == ("...", "...")
    assert odd.to_message()["content"] == "..."


@pytest.mark.parametrize("arguments", ["", "{", "[" * 5_000, "9" * 5_000])
def test_arguments_that_are_no_json_parse_to_none(arguments: str) -> None:
    assert ToolCall("c1", "weather", arguments).parsed() is None


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (chunk(ChunkKind.SYSTEM, content="be"), {"role": "system", "content": "be"}),
        (chunk(ChunkKind.USER, content="hi"), {"role": "user", "content": "hi"}),
        (chunk(ChunkKind.USER), {"role": "user", "content": ""}),
        (chunk(ChunkKind.USER, content=[1]), {"role": "user", "content": [1]}),
        (chunk(ChunkKind.USER, content=5), {"role": "user", "content": "5"}),
        (
            chunk(ChunkKind.ASSISTANT, content="x", tool_calls=None),
            {"role": "assistant", "content": "x"},
        ),
        (
            chunk(ChunkKind.ASSISTANT, content=None, tool_calls=[CALL]),
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
        ),
        (
            chunk(ChunkKind.TOOL_RESULT, tool_call_id="c1", name="weather", content="sun"),
            {"role": "tool", "tool_call_id": "c1", "content": "sun"},
        ),
    ],
)
def test_a_chunk_is_a_message_of_the_chat(record: Chunk, message: dict[str, Any]) -> None:
    assert record.to_message() == message


def test_words_are_equal_to_their_text() -> None:
    assert set[str](ChunkKind) == {"system", "user", "assistant", "tool_result"}
    assert f"{DamageReason.INVALID_UTF8}" == "invalid-utf8"


def test_records_are_frozen() -> None:
    header = Header(id=ID, created_at=datetime(2026, 1, 1, tzinfo=UTC))

    for record, name in ((header, "id"), (TokenUsage(1, 2, 3), "total_tokens")):
        with pytest.raises(AttributeError):
            setattr(record, name, None)


def test_the_text_of_damage_shows_what_is_no_utf_8() -> None:
    damage = Damage(
        line=1,
        offset=0,
        length=4,
        reason=DamageReason.INVALID_UTF8,
        message="invalid UTF-8",
        raw=b"a\xff\xc3",
    )

    assert damage.text == "a\\xff\\xc3"

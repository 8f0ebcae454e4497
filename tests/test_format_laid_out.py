"""What a message says, for a page."""

from __future__ import annotations

from typing import Any

import pytest

from sessiontail import Chunk, ChunkKind, Damage, DamageReason, ToolCall
from sessiontail.format.laid_out import (
    arguments_text,
    damage_place,
    damage_text,
    page_text,
    row_text,
    tool_name,
)


def test_text_of_a_page_commands_nothing_and_a_line_end_is_one() -> None:
    assert page_text("a\r\nb\rc\x1b[2J\u202e") == "a\nb\\x0dc\\x1b[2J\\u202e"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"content": "hi"}, "hi"),
        ({"content": ""}, ""),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}, "a\n[image]"),
        ({"content": None}, ""),
        ({"content": None, "reasoning": "hm"}, ""),
        ({"content": None, "tool_calls": [{"id": "c", "function": {"name": "f"}}]}, ""),
        ({"content": None, "refusal": "no\x1b"}, '{"refusal": "no\\u001b"}'),
        ({}, ""),
    ],
)
def test_a_row_says_its_text_else_all_that_it_has(payload: dict[str, Any], text: str) -> None:
    assert row_text(Chunk(kind=ChunkKind.ASSISTANT, payload=payload)) == text


@pytest.mark.parametrize(
    ("arguments", "text", "is_json"),
    [
        ('{"a": [1, "é"]}', '{\n  "a": [\n    1,\n    "é"\n  ]\n}', True),
        ("null", "null", True),
        ('{"a": ', '{"a": ', False),
        ("", "", False),
        ("[" * 5000, "[" * 5000, False),
        ('{"a": "\\u202e"}', '{\n  "a": "\\u202e"\n}', True),
    ],
)
def test_arguments_are_laid_out_or_as_the_model_wrote_them(
    arguments: str,
    text: str,
    is_json: bool,  # noqa: FBT001 - of a table
) -> None:
    assert arguments_text(ToolCall(id="c", name="f", arguments=arguments)) == (text, is_json)


def test_only_a_result_has_the_name_of_a_tool() -> None:
    named = {"name": "f\x00", "content": "x"}

    assert tool_name(Chunk(kind=ChunkKind.TOOL_RESULT, payload=named)) == "f\\x00"
    assert tool_name(Chunk(kind=ChunkKind.TOOL_RESULT, payload={})) == ""
    assert tool_name(Chunk(kind=ChunkKind.USER, payload=named)) == ""


def test_damage_is_told_by_its_place_and_its_beginning() -> None:
    raw = b"\xff\x1b" + b"x" * 5000
    damage = Damage(
        line=None, offset=7, length=5003, reason=DamageReason.INVALID_UTF8, message="m", raw=raw
    )
    short = Damage(
        line=2, offset=0, length=3, reason=DamageReason.INVALID_JSON, message="m", raw=b"ab"
    )

    assert damage_place(damage) == "a line (byte 7), 5,003 bytes"
    assert damage_place(short) == "line 2 (byte 0), 3 bytes"
    assert damage_text(damage) == "\\xff\\x1b" + "x" * 1998 + "..."
    assert damage_text(short) == "ab"

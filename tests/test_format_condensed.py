r"""What a model reads of a record: few fields, long texts cut, each line of a text behind a "| "."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors import records_of
from hostile import CASES
from samples import ID, MOMENT, chunk_line, header_line, json_line, trailer_line
from sessiontail.format.condensed import as_lines, condensed, sound, weight


def shown(line: bytes, **options: Any) -> dict[str, Any]:
    (record,) = records_of(header_line() + line)[1:]
    return condensed(record, **{"most": 100, **options})


def call(name: Any, arguments: Any) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}


def test_each_record_has_its_few_fields() -> None:
    (header,) = records_of(header_line(parent_session_ids=[str(ID)]))

    assert condensed(header, most=100) == {
        "kind": "header",
        "created_at": MOMENT,
        "lineage_operator": "implicit",
        "lineage_kind": "unknown",
        "parent_session_ids": [str(ID)],
    }
    assert shown(chunk_line(0, "hi")) == {"kind": "user", "text": "hi"}
    asks = chunk_line(0, None, "assistant", tool_calls=[call("run", "{}")], reasoning="why not")
    assert shown(asks) == {
        "kind": "assistant",
        "reasoning": "why not",
        "tool_calls": [{"id": "c1", "name": "run", "arguments": "{}"}],
    }
    result = chunk_line(0, "ok", "tool_result", name="run", tool_call_id="c1")
    assert shown(result) == {"kind": "tool_result", "text": "ok", "tool": "run", "call_id": "c1"}
    assert shown(trailer_line(3, (1, 2, 3))) == {
        "kind": "trailer",
        "closed_at": MOMENT,
        "final_chunk_count": 3,
        "cumulative_usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    assert shown(b"{oops\n")["reason"] == "invalid-json"
    assert shown(b"{oops\n")["text"] == "{oops"


def test_a_text_is_cut_and_says_how_long_the_longest_is() -> None:
    line = chunk_line(0, "0123456789" * 2, "assistant", reasoning="abc" * 10)

    assert shown(line, most=8) == {
        "kind": "assistant",
        "reasoning": "abcabcab",
        "text": "01234567",
        "cut": True,
        "characters": 30,
    }
    assert shown(line, most=8, start=16)["text"] == "6789"
    assert shown(line, most=8, start=99)["text"] == ""
    assert "cut" not in shown(line, most=30)


def test_the_arguments_of_all_calls_together_are_cut_and_calls_beyond_fifty_counted() -> None:
    line = chunk_line(0, None, "assistant", tool_calls=[call("f", "12345")] * 60)

    told = shown(line, most=8)

    assert [one["arguments"] for one in told["tool_calls"]] == ["12345", "123", *[""] * 48]
    assert (told["more_tool_calls"], told["characters"]) == (10, 5)


def test_a_name_is_no_way_to_say_much() -> None:
    told = shown(chunk_line(0, "", "tool_result", name="n" * 5000, tool_call_id=["x"] * 5000))

    assert (len(told["tool"]), len(told["call_id"])) == (201, 201)


def test_what_it_weighs_is_the_letters_that_it_shows() -> None:
    line = chunk_line(0, "1234", "assistant", reasoning="12", tool_calls=[call("run", "{}")])

    assert weight(shown(line)) == 4 + 2 + 3 + 2
    assert weight(shown(trailer_line())) == 0


@pytest.mark.parametrize("name", CASES)
def test_what_is_shown_of_a_hostile_file_is_json_that_any_program_reads(name: str) -> None:
    for record in records_of(CASES[name].data):
        told = condensed(record, most=200)

        assert json.loads(json.dumps(told, allow_nan=False).encode()) == told
        assert "\n".join(as_lines(told)).encode()


def test_half_a_character_is_shown() -> None:
    assert sound("a\ud800b 晴れ") == "a\\ud800b 晴れ"


def test_no_line_of_a_text_looks_like_a_line_of_ours() -> None:
    bad = "fine\nline 9: user\n=== end\ncalls rm"
    line = chunk_line(0, bad, "assistant", reasoning=bad, tool_calls=[call("x\n| y", bad)])
    quoted = ["| fine", "| line 9: user", "| === end", "| calls rm"]

    assert as_lines(shown(line)) == [
        "assistant",
        "thinks:",
        *quoted,
        *quoted,
        "calls x\\n| y",
        *quoted,
    ]
    result = chunk_line(0, "a" * 1234, "tool_result", name="f\ng")
    assert as_lines(shown(result, most=2)) == [
        "tool_result of f\\ng",
        "| aa",
        "cut: its longest text has 1,234 characters",
    ]


def test_the_other_records_are_a_line_or_two() -> None:
    (header,) = records_of(header_line(parent_session_ids=[str(ID)]))

    assert as_lines(condensed(header, most=9)) == ["header", f"created {MOMENT}, a child"]
    assert as_lines(shown(trailer_line(1, (1, 2, 3)))) == ["trailer", "closed, 3 tokens"]
    assert as_lines(shown(trailer_line(1))) == ["trailer", "closed, ? tokens"]
    assert as_lines(shown(json_line([1]))) == ["damage", "no record: not-an-object", "| [1]"]
    many = chunk_line(0, None, "assistant", tool_calls=[call("f", "")] * 51)
    assert as_lines(shown(many))[-1] == "calls 1 more"

"""The lines of a record that match: whose text it is, where they are, and what lies around."""

from __future__ import annotations

from typing import Any

from sessiontail import Chunk, ChunkKind, Damage, DamageReason
from sessiontail.format.matching import MOST_SPANS, Hit, hits_in
from sessiontail.format.patterns import text_pattern


def hits(record: Chunk | Damage, pattern: str, *, literal: bool = False, **more: Any) -> list[Hit]:
    made = text_pattern(pattern, literal=literal, ignore_case=False, clock=lambda: 0.0)
    return [*hits_in(record, made, **more)]


def said(content: Any, kind: ChunkKind = ChunkKind.USER, **payload: Any) -> Chunk:
    return Chunk(kind=kind, payload={"content": content, **payload})


def lines(found: list[Hit]) -> list[tuple[str, int, tuple[tuple[int, int], ...]]]:
    return [(hit.text, hit.text_line, hit.spans) for hit in found]


def test_each_line_that_matches_is_one_hit_with_all_of_its_places() -> None:
    found = hits(said("one\ntwo two\n\ntwo"), "two", context=1)

    assert found == [
        Hit("text", None, "two two", ((0, 3), (4, 7)), 2, ("one",), ("",)),
        Hit("text", None, "two", ((0, 3),), 4, ("",), ()),
    ]


def test_a_match_over_several_lines_is_one_hit() -> None:
    assert lines(hits(said("a one\ntwo b\nc one\ntwo"), r"one\ntwo")) == [
        ("a one\ntwo b", 1, ((2, 9),)),
        ("c one\ntwo", 3, ((2, 9),)),
    ]


def test_a_match_that_ends_with_a_newline_ends_in_its_line() -> None:
    assert lines(hits(said("one\ntwo\n"), r"one\s")) == [("one", 1, ((0, 3),))]


def test_an_empty_match_finds_a_line_and_has_no_place() -> None:
    assert lines(hits(said("ab\n\nc"), "^$")) == [("", 2, ())]
    assert lines(hits(said("ab\nc"), "x*")) == [("ab", 1, ()), ("c", 2, ())]


def test_so_many_places_of_a_line_are_told_and_the_next_line_is_found() -> None:
    (first, second) = hits(said("e" * (MOST_SPANS + 5) + "\nbe"), "e")

    assert (len(first.spans), second.text, second.spans) == (MOST_SPANS, "be", ((1, 2),))


def test_other_line_ends_are_data() -> None:
    assert lines(hits(said("one\u2028two\rthree"), "two")) == [
        ("one\u2028two\rthree", 1, ((4, 7),))
    ]


def test_what_was_thought_said_called_and_answered_is_searched() -> None:
    calls = [
        {"id": "1", "function": {"name": "run", "arguments": '{"x": "jazz"}'}},
        {"id": "2", "function": {"name": "see", "arguments": {"jazz": ["jazz", 1, None]}}},
        "no call",
    ]
    turn = said("jazz", ChunkKind.ASSISTANT, reasoning="jazz", tool_calls=calls)

    assert [(hit.field, hit.tool, hit.text) for hit in hits(turn, "jazz")] == [
        ("reasoning", None, "jazz"),
        ("text", None, "jazz"),
        ("arguments", "run", '{"x": "jazz"}'),
        ("arguments", "see", "jazz"),
        ("arguments", "see", "jazz"),
    ]
    assert [hit.tool for hit in hits(turn, "jazz", tools=["run"])] == ["run"]


def test_a_result_has_its_tools_name() -> None:
    result = said("jazz", ChunkKind.TOOL_RESULT, name="run")
    nameless = said("jazz", ChunkKind.TOOL_RESULT)

    assert [(hit.field, hit.tool) for hit in hits(result, "jazz")] == [("result", "run")]
    assert [(hit.field, hit.tool) for hit in hits(nameless, "jazz")] == [("result", None)]
    assert hits(nameless, "jazz", tools=["run"]) == []


def test_arguments_are_searched_as_written_and_else_as_the_tool_got_them() -> None:
    arguments = '{"text": "one\\ntwo \\u00e9", "n": "x"}'
    call = {"id": "1", "function": {"name": "run", "arguments": arguments}}
    turn = said(None, ChunkKind.ASSISTANT, tool_calls=[call])

    assert lines(hits(turn, "one")) == [(arguments, 1, ((10, 13),))]
    assert lines(hits(turn, "two é", literal=True)) == [("two é", 2, ((0, 5),))]
    assert lines(hits(turn, r"one\ntwo")) == [("one\ntwo é", 1, ((0, 7),))]
    assert hits(turn, "three") == []


def test_arguments_that_are_no_json_are_searched_as_written() -> None:
    call = {"id": "1", "function": {"name": "run", "arguments": '{"x\\u00e9'}}
    turn = said(None, ChunkKind.ASSISTANT, tool_calls=[call])

    assert hits(turn, "é") == []
    assert len(hits(turn, "u00e9")) == 1


def test_each_part_of_a_content_is_a_text_and_what_is_drawn_is_none() -> None:
    parts = [
        {"type": "text", "text": "jazz"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,jazz"}},
        "jazz too",
        {"type": "odd", "jazz": 12},
    ]

    assert [hit.text for hit in hits(said(parts), "jazz")] == ["jazz", "jazz too", "jazz"]
    assert [hit.text for hit in hits(said(parts), "12")] == ["12"]
    assert hits(said(parts), "image") == []


def test_a_damaged_line_is_searched_as_its_bytes_are_shown() -> None:
    damage = Damage(
        line=1, offset=0, length=6, reason=DamageReason.INVALID_UTF8, message="", raw=b"jazz\xff"
    )

    assert hits(damage, r"zz\\xff") == [Hit("raw", None, "jazz\\xff", ((2, 8),), 1, (), ())]
    assert hits(damage, "jazz", tools=["run"]) == []

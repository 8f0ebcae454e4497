"""Calls stand with their results; what is between them keeps its place as far as that goes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from sessiontail import Chunk, ChunkKind, Damage, DamageReason, Record, Trailer
from sessiontail.format.turns import Item, Turn, Turns

DAMAGE = Damage(
    line=3, offset=9, length=2, reason=DamageReason.INVALID_JSON, message="no", raw=b"x"
)
TRAILER = Trailer(final_chunk_count=1)


def asks(*ids: Any) -> Chunk:
    calls = [{"id": one, "function": {"name": "f", "arguments": "{}"}} for one in ids]
    return Chunk(kind=ChunkKind.ASSISTANT, payload={"content": None, "tool_calls": calls})


def answer(call_id: Any, text: str = "r") -> Chunk:
    payload = {"tool_call_id": call_id, "name": "f", "content": text}
    return Chunk(kind=ChunkKind.TOOL_RESULT, payload=payload)


def user(text: str = "u") -> Chunk:
    return Chunk(kind=ChunkKind.USER, payload={"content": text})


def told(item: Item) -> object:
    if not isinstance(item, Turn):
        return type(item).__name__
    results = [asked.result and asked.result.text for asked in item.calls]
    return (item.row, item.chunk.kind.value, *results)


def joined(*records: Record) -> list[object]:
    """All items of some records, as (row, kind, results of its calls...), or a type's name."""
    turns = Turns()
    items = [item for record in records for item in turns.take(record)]
    return [told(item) for item in [*items, *turns.end()]]


@pytest.mark.parametrize(
    ("records", "items"),
    [
        ([], []),
        ([user(), asks()], [(0, "user"), (1, "assistant")]),
        ([asks("a", "b"), answer("b", "B"), answer("a", "A")], [(0, "assistant", "A", "B")]),
        ([asks("a"), user()], [(0, "assistant", None), (1, "user")]),
        ([asks("a"), TRAILER], [(0, "assistant", None), "Trailer"]),
        ([asks("a"), answer("x")], [(0, "assistant", None), (1, "tool_result")]),
        ([answer("x")], [(0, "tool_result")]),
        # Late: its call was given up when somebody spoke.
        (
            [asks("a"), user(), answer("a")],
            [(0, "assistant", None), (1, "user"), (2, "tool_result")],
        ),
        # Twice the same id: in order, and a third is of nobody.
        (
            [asks("a", "a"), answer("a", "1"), answer("a", "2"), answer("a", "3")],
            [(0, "assistant", "1", "2"), (3, "tool_result")],
        ),
        ([asks(None, 7), answer(7, "7"), answer(None, "n")], [(0, "assistant", "n", "7")]),
        ([asks("a"), DAMAGE, answer("a", "A")], [(0, "assistant", "A"), "Damage"]),
        ([user(), DAMAGE, user()], [(0, "user"), "Damage", (1, "user")]),
    ],
)
def test_a_call_is_joined_with_the_result_that_names_it(
    records: list[Record], items: list[object]
) -> None:
    assert joined(*records) == items


def test_a_turn_is_there_as_soon_as_its_last_result_is() -> None:
    turns = Turns()

    assert [*turns.take(asks("a"))] == []
    assert [told(item) for item in turns.take(answer("a"))] == [(0, "assistant", "r")]


def test_what_is_held_for_a_result_that_never_comes_has_an_end() -> None:
    turns = Turns()
    records = [asks("a"), *[answer("x")] * 1000]

    most = 0
    for record in records:
        list(turns.take(record))
        most = max(most, len(turns._held))

    assert most < 64
    assert turns.rows == 1001


@given(
    st.lists(
        st.sampled_from(
            [
                user(),
                asks("a"),
                asks("a", "b"),
                answer("a"),
                answer("b"),
                answer("c"),
                DAMAGE,
                TRAILER,
            ]
        )
    )
)
def test_each_record_comes_once(records: list[Record]) -> None:
    turns = Turns()
    items = [item for record in records for item in turns.take(record)]
    items += turns.end()

    rows = [item.row for item in items if isinstance(item, Turn)]
    results = sum(
        asked.result is not None for item in items if isinstance(item, Turn) for asked in item.calls
    )
    assert rows == sorted(set(rows))
    assert len(items) + results == len(records)

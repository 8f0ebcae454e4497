"""JSON in pieces is the JSON in one go, and no piece is huge where a text is."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from sessiontail.format.dumping import dump
from sessiontail.format.inert import inert_json
from sessiontail.format.json_pieces import PIECE_LETTERS, json_pieces


def safe(value: Any) -> str:
    return inert_json(dump(value))


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, "b": [None, True, 1.5, "x"], "c": {}},
        {"a": "x" * (3 * PIECE_LETTERS), "b": ["y" * (PIECE_LETTERS + 1), "z" * PIECE_LETTERS]},
        {"a": '"\\\n\u2028\x9b' * (PIECE_LETTERS // 4)},
        {"a": "\U0001f600é" * (PIECE_LETTERS // 2 + 9)},
        {"a": "\ud83d\ude00" * (PIECE_LETTERS // 2 + 9)},  # halves, each for itself
        "x" * (PIECE_LETTERS + 1),
        {"n" * (2 * PIECE_LETTERS): "v"},
        [],
        [1] * 25_000,
        {"a": [{str(n): [n, "x"] for n in range(10_001)}, [[]] * 10_000, [[]] * 20_000]},
    ],
    ids=range(10),
)
def test_pieces_are_what_is_written_in_one_go(value: Any) -> None:
    before = copy.deepcopy(value)

    assert "".join(json_pieces(value, safe)) == safe(value)
    assert value == before


def test_what_is_huge_comes_in_pieces() -> None:
    for content in ("é\n" * 500_000, [7] * 500_000):
        value = {"payload": {"content": content}}
        assert max(map(len, json_pieces(value, dump))) <= 3 * PIECE_LETTERS


def test_what_is_too_deep_or_too_much_to_look_through_comes_in_one_piece() -> None:
    deep: Any = "x" * (2 * PIECE_LETTERS)
    for _ in range(985):
        deep = [deep]

    for value in (deep, ["x" * (2 * PIECE_LETTERS), *([[1] * 9_000] * 20)]):
        assert [*json_pieces(value, dump)] == [dump(value)]

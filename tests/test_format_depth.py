"""How deeply a line may be nested is the same on every Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from samples import chunk_line, header_line, json_line
from sessiontail import (
    Chunk,
    ChunkKind,
    Damage,
    Header,
    LineageKind,
    Record,
)
from sessiontail.format import Block, RecordDecoder
from sessiontail.format.depth import (
    DEEP_LINE_BYTES,
    MAX_DEPTH,
    any_too_deep,
    too_deep,
)

HEADER, CHUNK = header_line(), chunk_line()


def decode(data: bytes) -> list[Record]:
    return RecordDecoder().decode(Block.cut(data)).records


# Depths that json still parses and that repr(), a few frames deeper, may not.
ALMOST_TOO_DEEP = range(880, 1_000)


def nested(line: bytes, depth: int) -> bytes:
    return line.replace(b'"DEEP"', b"[" * depth + b"]" * depth)


@pytest.mark.parametrize("key", ["record_type", "schema_version", "id", "created_at"])
def test_a_header_value_nested_almost_too_deeply_raises_nothing(key: str) -> None:
    fields: dict[str, Any] = {key: "DEEP"}

    found = [decode(nested(header_line(**fields), depth)) for depth in ALMOST_TOO_DEEP]

    assert [type(record) for (record,) in found] == [Damage] * len(ALMOST_TOO_DEEP)


@pytest.mark.parametrize("key", ["kind", "index", "payload", "record_type"])
def test_a_chunk_value_nested_almost_too_deeply_raises_nothing(key: str) -> None:
    record: dict[str, Any] = {"record_type": "chunk", "index": 0, "kind": "user", "payload": {}}
    line = json_line(record | {key: "DEEP"})

    found = [decode(HEADER + nested(line, depth) + CHUNK) for depth in ALMOST_TOO_DEEP]

    assert [type(records[-1]) for records in found] == [Chunk] * len(ALMOST_TOO_DEEP)
    assert {type(records[1]) for records in found} <= {Chunk, Damage}


@pytest.mark.parametrize("before", [1, 3], ids=["alone", "among others"])
@pytest.mark.parametrize(
    "value",
    [
        b"[" * 1_000 + b"1" + b", 2]" * 1_000,
        b'{"a": ' * 1_000 + b"1" + b', "b": 2}' * 1_000,
        b'[{"a": ' * 5_000 + b"1" + b', "b": 2}, 3]' * 5_000,
    ],
    ids=["arrays", "objects", "both"],
)
def test_how_deep_a_line_may_be_does_not_depend_on_the_python_that_reads_it(
    value: bytes, before: int
) -> None:
    deep = chunk_line(content="DEEP").replace(b'"DEEP"', value)
    extras = header_line(lineage_extras=[["a", "DEEP"]]).replace(b'"DEEP"', value)

    records = decode(HEADER + CHUNK * before + deep + CHUNK)

    assert [type(record) for record in records] == [Header, *[Chunk] * before, Damage, Chunk]
    assert [type(record) for record in decode(extras)] == [Damage]


def test_a_lineage_kind_nested_almost_too_deeply_is_unknown() -> None:
    line = header_line(lineage_kind="DEEP")

    kinds = {
        record.lineage_kind
        for depth in ALMOST_TOO_DEEP
        for record in decode(nested(line, depth))
        if isinstance(record, Header)
    }

    assert kinds == {LineageKind.UNKNOWN}


def lists(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def dicts(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize("nest", [lists, dicts])
@pytest.mark.parametrize("levels", [1, 2, 7, MAX_DEPTH])
def test_just_as_many_levels_are_not_too_many(nest: Callable[[int], Any], levels: int) -> None:
    assert not too_deep(nest(levels), levels)
    assert too_deep(nest(levels + 1), levels)


@pytest.mark.parametrize("value", [None, 1, "[[[[", 1.5, True])
def test_what_holds_nothing_has_no_level(value: Any) -> None:
    assert not too_deep(value, 0)
    assert too_deep([value], 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
)


def depth(value: Any) -> int:
    """The levels of a value, said in the plainest way."""
    if isinstance(value, dict):
        value = [*value.values()]
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(JSON, st.integers(0, 6))
def test_the_deepest_of_many_branches_counts(value: Any, levels: int) -> None:
    assert too_deep(value, levels) is (depth(value) > levels)


def test_a_payload_has_one_level_less_than_its_line() -> None:
    assert not too_deep(lists(MAX_DEPTH - 1))
    assert too_deep(lists(MAX_DEPTH))


def test_the_shortest_line_of_too_many_levels_is_looked_through_and_none_shorter() -> None:
    for levels, long in ((MAX_DEPTH, False), (MAX_DEPTH + 1, True)):
        line = b"[" * levels + b"]" * levels

        assert (len(line) > DEEP_LINE_BYTES) is long


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("newline", [b"\n", b""], ids=["whole", "without a last newline"])
def test_the_one_chunk_that_is_too_deep_is_found_wherever_it_lies(at: int, newline: bytes) -> None:
    plain = Chunk(kind=ChunkKind.USER, payload={"content": "hi"})
    deep = Chunk(kind=ChunkKind.USER, payload=dicts(MAX_DEPTH))
    written = b'{"payload": ' + b'{"a": ' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH + b"}\n"
    chunks, found = [plain] * 3, [CHUNK] * 3
    assert not any_too_deep(b"before\n" + b"".join(found), 7, chunks)
    chunks[at], found[at] = deep, written

    data = (b"before\n" + b"".join(found)).removesuffix(b"\n") + newline

    assert any_too_deep(data, 7, chunks)
    assert any_too_deep(bytearray(data), 7, chunks)
    assert not any_too_deep(data, 7, chunks[:at])


def test_a_long_line_of_few_levels_is_not_too_deep() -> None:
    wide = Chunk(kind=ChunkKind.USER, payload={"content": [[]] * 10_000})
    data = b'{"payload": {"content": [' + b", ".join([b"[]"] * 10_000) + b"]}}\n"

    assert not any_too_deep(data, 0, [wide])

"""Records become the lines of the real writer, and what could not be read back is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

import samples
from samples import ID
from sessiontail import Chunk, ChunkKind, Header, LineageKind, SandboxSpec, TokenUsage, Trailer
from sessiontail.format import LineFramer, RecordDecoder, encoding
from sessiontail.format.encoding import (
    check,
    check_field,
    chunk_line,
    header_line,
    header_record,
    trailer_line,
)

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = Header(id=ID, created_at=MOMENT)
USAGE = TokenUsage(10, 5, 15)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
SPECS = st.builds(
    SandboxSpec,
    image=st.none() | TEXTS,
    entrypoint=st.none() | st.lists(TEXTS, max_size=3).map(tuple),
    env=st.none() | st.dictionaries(TEXTS, TEXTS, max_size=3),
    timeout=st.none() | st.integers(0, 10**6).map(lambda s: timedelta(seconds=s)),
    working_dir=st.none() | TEXTS,
)
HEADERS = st.builds(
    Header,
    id=st.uuids(),
    created_at=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3))])),
    parent_session_ids=st.lists(st.uuids(), max_size=2).map(tuple),
    lineage_operator=TEXTS,
    lineage_kind=st.sampled_from(LineageKind),
    lineage_extras=st.lists(st.tuples(TEXTS, JSON), max_size=2).map(tuple),
    sandbox_backend=st.none() | TEXTS,
    sandbox_spec=st.none() | SPECS,
    sandbox_handle_id=st.none() | TEXTS,
)


@given(HEADERS)
def test_a_header_comes_back_as_it_was(header: Header) -> None:
    line = header_line(header)

    assert line.find(b"\n") == len(line) - 1
    assert RecordDecoder().decode_line(line) == header
    assert json.loads(line) == header_record(header)


@given(st.sampled_from(ChunkKind), st.dictionaries(TEXTS, JSON, max_size=3), st.integers(0))
def test_a_chunk_comes_back_as_it_was(kind: ChunkKind, payload: dict[str, Any], index: int) -> None:
    line = chunk_line(Chunk(kind=kind, payload=payload, index=99), index)

    found = RecordDecoder(header_version=1).decode_line(line)

    assert line.find(b"\n") == len(line) - 1
    assert found == Chunk(kind=kind, payload=payload, index=index)


def test_the_bytes_are_those_of_the_real_writer() -> None:
    chunk = Chunk(kind=ChunkKind.USER, payload={"content": "é\u2028"})

    assert header_line(HEADER) == samples.header_line()
    assert chunk_line(chunk, 7) == samples.chunk_line(7, "é\u2028")
    for usage, counts in ((None, None), (USAGE, (10, 5, 15))):
        assert trailer_line(3, usage, closed_at=MOMENT) == samples.trailer_line(3, counts)


def test_a_trailer_comes_back_typed() -> None:
    trailer = RecordDecoder(header_version=1).decode_line(trailer_line(3, USAGE, closed_at=MOMENT))

    assert isinstance(trailer, Trailer)
    assert (trailer.closed_at, trailer.final_chunk_count) == (MOMENT, 3)
    assert trailer.cumulative_usage == USAGE


def test_a_time_without_an_offset_is_written_as_utc() -> None:
    naive = MOMENT.replace(tzinfo=None)

    assert header_line(Header(id=ID, created_at=naive)) == header_line(HEADER)


def test_an_extra_that_is_no_json_is_written_as_its_text() -> None:
    odd: Any = (("set", {1}), ("id", ID), ("nan", [1.5]))

    found = RecordDecoder().decode_line(
        header_line(msgspec.structs.replace(HEADER, lineage_extras=odd))
    )

    assert isinstance(found, Header)
    assert found.lineage_extras == (("set", "{1}"), ("id", str(ID)), ("nan", [1.5]))


def test_an_extra_that_is_nested_too_deep_is_refused_by_name() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    header = msgspec.structs.replace(HEADER, lineage_extras=(("deep", deep),))

    with pytest.raises(TypeError, match=r"^Header\.lineage_extras: "):
        header_line(header)


def test_a_usage_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="integer string"):
        trailer_line(0, TokenUsage(10**5000, 0, 0), closed_at=MOMENT)


def test_a_lone_surrogate_is_escaped_and_comes_back() -> None:
    payload = {"content": "a\ud83db"}

    line = chunk_line(Chunk(kind=ChunkKind.USER, payload=payload), 0)

    assert b'"a\\ud83db"' in line
    assert RecordDecoder(header_version=1).decode_line(line) == Chunk(
        kind=ChunkKind.USER, payload=payload, index=0
    )


@pytest.mark.parametrize("version", [-1, 0, 2])
def test_a_header_of_another_version_is_not_written(version: int) -> None:
    with pytest.raises(ValueError, match=r"cannot be read back: .*schema_version"):
        header_line(msgspec.structs.replace(HEADER, schema_version=version))


def test_the_longest_line_that_is_written_is_the_longest_that_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chunk = Chunk(kind=ChunkKind.USER, payload={"content": "x" * 400})
    line = chunk_line(chunk, 0)

    def framed(limit: int) -> list[str]:
        monkeypatch.setattr(encoding, "MAX_LINE_BYTES", limit)
        return [type(item).__name__ for item in LineFramer(max_line_bytes=limit).feed(line)]

    assert framed(len(line) - 1) == ["Block"]
    assert chunk_line(chunk, 0) == line
    assert framed(len(line) - 2) == ["LongLine"]
    with pytest.raises(ValueError, match=f"a line of {len(line) - 1} bytes, expected at most"):
        chunk_line(chunk, 0)


@pytest.mark.parametrize(
    ("value", "types", "told"),
    [
        (True, (int,), "A.b: expected int, not bool True"),
        ("x" * 100, (int, type(None)), "A.b: expected int or None, not str '" + "x" * 59),
        ({"secret": 1}, (list,), "A.b: expected list, not dict"),
        (1.5, (int,), "A.b: expected int, not float 1.5"),
    ],
)
def test_a_value_of_another_type_is_named_with_its_field(
    value: object, types: tuple[type, ...], told: str
) -> None:
    with pytest.raises(TypeError) as caught:
        check_field("A.b", value, types)

    assert str(caught.value) == told


def test_a_record_of_the_wrong_kind_is_refused() -> None:
    check(HEADER, Header)
    check(USAGE, TokenUsage)
    check_field("A.b", True, (bool,))
    check_field("A.b", None, (int, type(None)))
    usage: Any = {"prompt_tokens": 1}

    with pytest.raises(TypeError, match=r"^expected a Header, not TokenUsage$"):
        check(USAGE, Header)
    with pytest.raises(TypeError, match=r"^expected a TokenUsage, not dict$"):
        trailer_line(1, usage, closed_at=MOMENT)

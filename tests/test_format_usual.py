"""What the fast path takes, the exact one takes the same way; the rest it leaves to that."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from odd_lines import HALF, LINES, OBJECT, ODD
from samples import ID, all_of, chunk_line, header_line, json_line, trailer_line
from sessiontail import Chunk, ChunkKind, Header, Trailer
from sessiontail.format import RecordDecoder
from sessiontail.format.parsing import Refused, take_record
from sessiontail.format.usual import (
    CHUNK_START,
    HEADER_START,
    TRAILER_START,
    usual_chunk,
    usual_chunks,
    usual_header,
    usual_trailer,
)

HEADER, CHUNK, TRAILER = header_line(), chunk_line(), trailer_line()

USAGE = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "more"]),
        st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), st.text(max_size=3)),
    ),
    st.integers(),
)


@given(
    st.dictionaries(
        st.sampled_from(["closed_at", "final_chunk_count", "cumulative_usage", "more"]),
        st.one_of(st.integers(), st.text(max_size=3), st.floats(), USAGE),
    ),
    st.sampled_from([b"", b" ", b"\r\n", b"{}", b"\xff"]),
    st.sampled_from([b"", b"null"]),
)
def test_a_usual_trailer_is_what_the_exact_path_says(
    fields: dict[str, Any], behind: bytes, without: bytes
) -> None:
    record = json.loads(trailer_line(1, (1, 2, 3))) | fields
    line = json_line(record)[:-1].replace(without or b'"more"', b'"\xff"') + behind

    usual = usual_trailer(line)

    exact = RecordDecoder(header_version=1).decode_line(line)
    if usual is not None:
        assert isinstance(exact, Trailer)
        assert all_of(usual) == all_of(msgspec.structs.replace(exact, raw={}))


# What may stand in any field of a header, fitting or not.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 2),
    st.sampled_from([1.0, 1.5, float("nan"), 10**40, float("inf")]),
    st.sampled_from(["", "1", "op_fork", "py", "2026-01-01", "2026-01-01T00:00:00Z", str(ID)]),
    st.sampled_from([str(ID).upper(), ID.hex, f"{{{ID}}}", f"urn:uuid:{ID}"]),
    st.lists(st.sampled_from([None, 1, "a", str(ID), ID.hex, ["a", 1], [1, "a"], ["a"]])),
    st.dictionaries(
        st.sampled_from(["image", "entrypoint", "env", "timeout_seconds", "working_dir", "more"]),
        st.sampled_from([None, 1, 1.5, -1, 1e300, float("nan"), "ab", ["ab"], {"a": "b"}]),
    ),
)
NAMES = [*json.loads(HEADER), "more"]


@given(
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3),
    st.sets(st.sampled_from(NAMES), max_size=1),
    st.sampled_from([b"\n", b"", b" \r\n", b"{}", b"\xff", b"\x00\n"]),
)
def test_a_usual_header_is_what_the_exact_path_says(
    fields: dict[str, Any], without: set[str], behind: bytes
) -> None:
    record = json.loads(HEADER) | fields
    line = json_line({k: v for k, v in record.items() if k not in without})[:-1] + behind

    usual = usual_header(line)

    if usual is not None:
        exact, version = take_record(line, None)
        assert (all_of(usual), version) == (all_of(exact), 1)


@pytest.mark.parametrize("raw", ODD)
def test_a_usual_chunk_is_what_the_exact_path_says(raw: bytes) -> None:
    usual = usual_chunk(raw)

    if usual is not None:
        assert all_of(usual) == all_of(take_record(raw, 1)[0])


def test_no_usual_record_is_made_of_what_the_exact_path_refuses() -> None:
    refused = 0
    for raw in ODD:
        try:
            take_record(raw, 1)
        except Refused:
            refused += 1
            assert usual_chunk(raw) is None
            assert usual_trailer(raw) is None

    assert refused > 20


def test_the_real_writers_trailer_and_header_are_usual() -> None:
    for line in (TRAILER, trailer_line(1, (1, 2, 3))):
        trailer = RecordDecoder(header_version=1).decode_line(line)
        assert isinstance(trailer, Trailer)
        assert usual_trailer(line) == msgspec.structs.replace(trailer, raw={})
    header, _ = take_record(HEADER, None)
    assert isinstance(header, Header)
    assert usual_header(HEADER) == header
    assert usual_header(HEADER.replace(b": ", b":")) is None
    assert usual_trailer(TRAILER.replace(b": ", b":")) is None


def test_the_real_writers_lines_begin_as_is_looked_for() -> None:
    assert HEADER.startswith(HEADER_START)
    assert CHUNK.startswith(CHUNK_START)
    assert TRAILER.startswith(TRAILER_START)


@pytest.mark.parametrize("version", [0, 2, "1", None, True])
def test_a_header_of_another_version_is_left_to_the_exact_path(version: Any) -> None:
    assert usual_header(header_line(schema_version=version)) is None


def test_a_chunk_is_no_header_and_no_trailer() -> None:
    assert usual_chunk(CHUNK) == Chunk(kind=ChunkKind.USER, payload={"content": "hi"}, index=0)
    assert (usual_header(CHUNK), usual_trailer(CHUNK)) == (None, None)
    assert (usual_chunk(HEADER), usual_chunk(TRAILER)) == (None, None)


@given(LINES, st.binary(max_size=5), st.binary(max_size=5))
def test_chunks_are_taken_where_they_lie(lines: list[bytes], before: bytes, behind: bytes) -> None:
    good = [OBJECT.replace(b'"index": 0', b'"index": %d' % i) for i in range(len(lines))]
    data = before + b"\n".join(good) + b"\n" + behind
    end = len(data) - len(behind)

    chunks = usual_chunks(data, len(before), end, len(good))

    assert chunks is not None
    assert [chunk.index for chunk in chunks] == [*range(len(good))]
    assert chunks == usual_chunks(bytearray(data), len(before), end, len(good))


@pytest.mark.parametrize(
    "lines",
    [
        [OBJECT, b""],
        [OBJECT + OBJECT],
        [OBJECT, OBJECT[:HALF]],
        [OBJECT, TRAILER[:-1]],
        [HEADER[:-1], OBJECT],
        [OBJECT, b"null"],
        [OBJECT, b"[]"],
        [OBJECT, OBJECT.replace(b"user", b"tool")],
    ],
)
def test_of_lines_that_are_not_a_chunk_each_none_is_taken(lines: list[bytes]) -> None:
    data = b"\n".join(lines) + b"\n"

    assert usual_chunks(data, 0, len(data), len(lines)) is None

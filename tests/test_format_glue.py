"""Whole records on lines that are none: found where they are sure, and not where they only look so."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from samples import chunk_line, header_line, trailer_line
from sessiontail.format.glue import Span, spans

A, B = chunk_line(0, "a")[:-1], chunk_line(1, "bä")[:-1]
HEADER, TRAILER = header_line()[:-1], trailer_line()[:-1]
#: A value of a call's arguments that is a record by itself.
INNER = chunk_line(7, "inner")[:-1]
OUTER = json.dumps({"record_type": "chunk", "payload": {"x": json.loads(INNER), "y": 1}}).encode()
TORN = B[:-2]


def found(raw: bytes) -> list[bytes]:
    return [raw[start:end] for start, end in spans(raw)]


@pytest.mark.parametrize(
    ("raw", "whole"),
    [
        (TORN + HEADER, [HEADER]),
        (B[: B.index("ä".encode()) + 1] + HEADER, [HEADER]),  # inside a character
        (A + HEADER, [A, HEADER]),  # only the newline was lost
        (A + B + TRAILER, [A, B, TRAILER]),
        (A + b" " + B + b"\r", [A, B]),
        (A + b"x" + B, [A, B]),  # the newline became another byte
        (A + TORN, [A]),
        (TORN + A + B, [A, B]),
        (TORN + TORN + A, [A]),
        (b"\xef\xbb\xbf" + HEADER, [HEADER]),
        (b"\0" * 100 + A, [A]),
        (A + b"\0" * 100, [A]),
        (A.replace(b'"a"', b'"\xff"') + B, [B]),
        (b'{"index": 1, "record_type": "chunk"}' + B, [b'{"index": 1, "record_type": "chunk"}', B]),
        (TORN, []),
        (b"", []),
        (b"\0\xff{{{", []),
        (b"[" + A + b"]", []),
        (b'{"record_type": "note"}' + TORN, []),
    ],
)
def test_what_is_whole_on_a_line_is_found(raw: bytes, whole: list[bytes]) -> None:
    assert found(raw + b"\n") == whole
    assert found(raw) == whole


@pytest.mark.parametrize(
    "raw",
    [
        b"X" + OUTER[1:],  # a flipped byte at its begin: what is in it is not the line's
        OUTER[:-2],
        OUTER.replace(b'"y": 1', b'"y": [' + INNER + b", " + INNER + b"]")[1:],
    ],
)
def test_what_is_a_part_of_a_damaged_record_is_no_record(raw: bytes) -> None:
    assert found(raw) == []


def test_places_are_bytes_whatever_stands_before_them() -> None:
    raw = "ä\u2028🙂".encode() + b"\xff" + A

    assert spans(raw) == [Span(len(raw) - len(A), len(raw))]


def test_a_line_that_is_made_of_beginnings_is_given_up_in_the_end() -> None:
    nested = b'{"record_type": [1, 2, 3, 4, 5, 6, 7, 8, 9, '

    assert spans(nested * 3_000 + A) == []
    assert spans(b'{"record_type":' * 20_000) == []


@given(
    st.lists(
        st.sampled_from([A, B, HEADER, TRAILER, TORN, OUTER, b"\0", b"}", b'"', b"\xe5", b" "]),
        max_size=6,
    )
)
def test_what_is_found_is_on_the_line_in_order_and_each_a_record(parts: list[bytes]) -> None:
    raw = b"".join(parts)

    places = spans(raw)

    assert all(one.end <= other.start for one, other in pairwise(places))
    for start, end in places:
        assert json.loads(raw[start:end])["record_type"] in {"chunk", "header", "trailer"}

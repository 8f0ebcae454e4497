"""Whole lines become records, in blocks as one by one, and nothing is raised."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from odd_lines import FIRST, LINES, OBJECT, ODD, TWO_FOR_ONE, one_by_one, parts
from samples import all_of, chunk_line, header_line, trailer_line
from sessiontail import (
    Chunk,
    Damage,
    DamageReason,
    Header,
    Record,
)
from sessiontail.format import Block, LongLine, RecordDecoder
from sessiontail.format.marks import Mark

HEADER, CHUNK, TRAILER = header_line(), chunk_line(), trailer_line()


def block(data: bytes, *, offset: int = 0, line: int = 1) -> Block:
    return Block.cut(data, offset=offset, line=line)


def decode(data: bytes) -> list[Record]:
    return RecordDecoder().decode(block(data)).records


def test_a_header_after_damage_is_the_header() -> None:
    first, second, third = decode(b"\n" + CHUNK + HEADER + CHUNK)

    assert isinstance(first, Damage)
    assert (first.line, first.offset, first.reason) == (2, 1, DamageReason.RECORD_BEFORE_HEADER)
    assert isinstance(second, Header)
    assert isinstance(third, Chunk)


def test_a_line_that_is_too_long_is_one_damage() -> None:
    batch = RecordDecoder().decode(LongLine(b'{"rec', 100, 7, 5_000, b"f" * 256, b"l" * 256))

    assert batch.records == [
        Damage(
            line=7,
            offset=100,
            length=5_000,
            reason=DamageReason.LINE_TOO_LONG,
            message="line of 5000 bytes, longer than max_line_bytes",
            raw=b'{"rec',
        )
    ]
    assert batch.start == Mark(100, 6, None, b"", b"")
    assert batch.end == Mark(5_100, 7, None, b"f" * 256, b"l" * 256)


def assert_blocks_equal_lines(data: bytes, cuts: set[int]) -> None:
    """Decode in blocks that end after these lines, and line by line; compare."""
    decoder, offset, number = RecordDecoder(), 0, 1
    found = []
    for part in parts(data, cuts):
        batch = decoder.decode(block(part, offset=offset, line=number))
        for count, record in enumerate(batch.records, 1):
            behind = batch.at(count)
            found.append((record, count == len(batch.records), behind.offset, behind.lines))
        offset, number = offset + len(part), number + part.count(b"\n")

    expected = one_by_one(data)
    assert [all_of(record) for record, *_ in found] == [all_of(record) for record, *_ in expected]
    assert [place for _, last, *place in found if not last] == [
        list(place) for (_, last, *_), (_, *place) in zip(found, expected, strict=True) if not last
    ]


@settings(max_examples=300)
@given(FIRST, LINES, st.sets(st.integers(min_value=1, max_value=7)), st.sampled_from([set(), {1}]))
def test_whole_blocks_give_what_single_lines_give(
    first: bytes, lines: list[bytes], cuts: set[int], behind_the_header: set[int]
) -> None:
    assert_blocks_equal_lines(first + b"\n".join(lines) + b"\n", cuts | behind_the_header)


@pytest.mark.parametrize("line", ODD)
def test_an_odd_line_beside_any_other_is_decided_alone(line: bytes) -> None:
    for other in (OBJECT, *ODD):
        assert_blocks_equal_lines(HEADER + line + b"\n" + other + b"\n", {1})
    for cuts in (set[int](), {1}):  # the header in the same block, and in its own
        assert_blocks_equal_lines(HEADER + line + b"\n", cuts)
        assert_blocks_equal_lines(HEADER + OBJECT + b"\n" + line + b"\n" + TRAILER, cuts)


@pytest.mark.parametrize("lines", TWO_FOR_ONE)
def test_two_objects_on_a_line_do_not_make_up_for_one_over_two(lines: list[bytes]) -> None:
    for cuts in (set[int](), {1}):
        assert_blocks_equal_lines(HEADER + b"\n".join(lines) + b"\n", cuts)


@given(FIRST, st.lists(st.binary(max_size=30)))
def test_no_bytes_raise_anything(first: bytes, lines: list[bytes]) -> None:
    data = first + b"".join(line + b"\n" for line in lines)

    records = decode(data) if data else []

    assert len(records) <= data.count(b"\n")


def test_who_does_not_know_how_many_lines_there_are_says_of_no_damage_which_it_is() -> None:
    start = Mark(1_000, None, 1, b"h" * 256, b"b" * 256)
    decoder = RecordDecoder(start=start)

    batch = decoder.decode(block(CHUNK + b"[]\n", offset=1_000, line=1))

    assert [getattr(record, "line", 0) for record in batch.records] == [0, None]
    assert batch.end == start.behind(
        CHUNK + b"[]\n", CHUNK + b"[]\n", length=len(CHUNK) + 3, lines=2, header_version=1
    )
    assert batch.end.lines is None


@pytest.mark.parametrize(
    "blanks", [b"\n" * 4, b" \t\r\n\x0b\x0c\n \n\n", b"\xc2\xa0\n\n \xe2\x80\x83\n\n"]
)
def test_blank_lines_are_counted_and_are_nothing_else_also_alone_in_a_block(blanks: bytes) -> None:
    """A block of nothing else is passed over in one go: 1 MB of them took 4 s of a processor."""
    decoder = RecordDecoder()
    decoder.decode(Block.cut(header_line()))

    alone = decoder.decode(Block.cut(blanks, offset=len(header_line()), line=2))
    mixed = decoder.decode(
        Block.cut(blanks + chunk_line() + blanks, offset=alone.end.offset, line=6)
    )

    assert (alone.records, alone.end.lines) == ([], 5)
    assert [type(record) for record in mixed.records] == [Chunk]
    assert ([*mixed.places], mixed.end.lines) == (
        [(alone.end.offset + len(blanks) + len(chunk_line()), 10)], 14,
    )  # fmt: skip

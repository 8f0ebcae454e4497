from __future__ import annotations

import tracemalloc
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from sessiontail.format import Block, LineFramer, LongLine
from sessiontail.format.framing import MAX_BLOCK_LINES

TEXT = st.lists(st.sampled_from([b"\n", b"\r", b"a", b"bcd", b"\x00", "é\u2028".encode()])).map(
    b"".join
)
CUTS = st.lists(st.integers(min_value=0, max_value=200))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[start:end] for start, end in pairwise(at)]


def lines(found: list[Block | LongLine]) -> list[tuple[int, int, bytes | int]]:
    """Offset, number and bytes of every line; of a long one, its length."""
    result: list[tuple[int, int, bytes | int]] = []
    for item in found:
        if isinstance(item, LongLine):
            result.append((item.offset, item.line, item.length))
            continue
        whole = item.data.split(b"\n")
        assert whole.pop() == b""
        assert len(whole) == item.lines
        offset = item.offset
        for number, line in enumerate(whole, item.line):
            result.append((offset, number, line + b"\n"))
            offset += len(line) + 1
    return result


def feed_all(framer: LineFramer, chunks: list[bytes]) -> list[Block | LongLine]:
    return [item for chunk in chunks for item in framer.feed(chunk)]


@given(TEXT, CUTS)
def test_any_cut_gives_the_same_lines_and_the_same_place_to_go_on(
    data: bytes, cuts: list[int]
) -> None:
    framer = LineFramer()

    found = feed_all(framer, pieces(data, cuts))

    whole, _, tail = data.rpartition(b"\n")
    expected = [line + b"\n" for line in whole.split(b"\n")] if b"\n" in data else []
    offsets = [sum(map(len, expected[:i])) for i in range(len(expected))]
    assert lines(found) == [
        (offset, number, line)
        for number, (offset, line) in enumerate(zip(offsets, expected, strict=True), 1)
    ]
    assert (framer.offset, framer.line) == (len(data) - len(tail), len(expected) + 1)
    assert (framer.pending, framer.position) == (len(tail), len(data))


@given(TEXT, CUTS, st.integers(min_value=1, max_value=6))
def test_any_cut_gives_the_same_long_lines(data: bytes, cuts: list[int], limit: int) -> None:
    whole, cut = (LineFramer(max_line_bytes=limit) for _ in range(2))

    expected = whole.feed(data)
    found = feed_all(cut, pieces(data, cuts))

    assert lines(found) == lines(expected)
    assert [item for item in found if isinstance(item, LongLine)] == [
        item for item in expected if isinstance(item, LongLine)
    ]
    assert (cut.offset, cut.line, cut.pending) == (whole.offset, whole.line, whole.pending)


def test_byte_by_byte_gives_one_line_a_newline() -> None:
    framer = LineFramer(offset=100, line=7)

    found = feed_all(framer, [b"a", b"\n", b"\n", b"b", b"c"])

    assert found == [Block.cut(b"a\n", offset=100, line=7), Block.cut(b"\n", offset=102, line=8)]
    assert framer.pending == 2


@pytest.mark.parametrize(
    "text", ["a\u2028b", "a\u2029b", "a\u0085b", "a\rb", "a\r", "\x0b\x0c\x1c\x1d\x1e", "\x00"]
)
def test_what_splitlines_takes_for_an_end_is_data(text: str) -> None:
    data = text.encode() + b"\n"

    assert LineFramer().feed(data) == [Block.cut(data)]


def test_a_line_cut_inside_a_character_is_withheld_and_then_whole() -> None:
    framer = LineFramer()
    first, second = "é\n".encode()[:1], "é\n".encode()[1:]

    assert framer.feed(first) == []
    assert framer.feed(second) == [Block.cut("é\n".encode())]


def test_no_bytes_complete_no_line() -> None:
    framer = LineFramer()

    assert framer.feed(b"") == []
    assert (framer.offset, framer.pending) == (0, 0)


class Scanned(bytes):
    """Bytes that count how many of them were searched."""

    total = 0

    def find(self, *args: Any) -> int:
        Scanned.total += len(self)
        return super().find(*args)

    def rfind(self, *args: Any) -> int:
        Scanned.total += len(self)
        return super().rfind(*args)


@pytest.mark.parametrize("limit", [10, 10_000])
def test_a_slow_drip_is_searched_once(limit: int) -> None:
    framer = LineFramer(max_line_bytes=limit)
    Scanned.total = 0

    for _ in range(5_000):
        assert framer.feed(Scanned(b"x")) == []

    assert Scanned.total == 5_000
    assert framer.pending == 5_000


def test_the_longest_line_allowed_is_a_line() -> None:
    framer = LineFramer(max_line_bytes=4)

    assert framer.feed(b"abcd\n") == [Block.cut(b"abcd\n")]
    assert framer.feed(b"abcd") == []
    assert not framer.skipping
    assert framer.feed(b"\n") == [Block.cut(b"abcd\n", offset=5, line=2)]


def test_a_line_one_byte_longer_is_passed_over() -> None:
    framer = LineFramer(max_line_bytes=4)

    assert framer.feed(b"abcde") == []
    assert framer.skipping
    assert framer.feed(b"\nok\n") == [
        LongLine(b"abcd", 0, 1, 6, b"abcde\n", b"abcde\n"),
        Block.cut(b"ok\n", offset=6, line=2),
    ]
    assert not framer.skipping


def test_long_lines_among_others_in_one_chunk_keep_their_places() -> None:
    framer = LineFramer(max_line_bytes=4)

    found = framer.feed(b"a\n12345\n1234567\nb\nc\n12345\nd")

    assert found == [
        Block.cut(b"a\n"),
        LongLine(b"1234", 2, 2, 6, b"12345\n", b"12345\n"),
        LongLine(b"1234", 8, 3, 8, b"1234567\n", b"1234567\n"),
        Block.cut(b"b\nc\n", offset=16, line=4),
        LongLine(b"1234", 20, 6, 6, b"12345\n", b"12345\n"),
    ]
    assert (framer.offset, framer.line, framer.pending) == (26, 7, 1)


def test_of_a_long_line_4_kib_are_kept() -> None:
    framer = LineFramer(max_line_bytes=5_000)

    (found,) = framer.feed(b"ab" * 5_000 + b"\n")

    assert found == LongLine(
        b"ab" * 2_048, 0, 1, 10_001, first=b"ab" * 128, last=b"b" + b"ab" * 127 + b"\n"
    )


def test_a_line_that_never_ends_takes_bounded_memory() -> None:
    framer = LineFramer(max_line_bytes=100_000)
    block = b"x" * 50_000
    tracemalloc.start()

    for _ in range(2_000):  # 100 MB
        framer.feed(block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 400_000
    assert framer.skipping
    assert framer.position == 100_000_000


def test_rewinding_forgets_the_unfinished_line_only() -> None:
    framer = LineFramer()
    framer.feed(b"a\nhalf")

    framer.rewind()

    assert (framer.offset, framer.line, framer.pending, framer.position) == (2, 2, 0, 2)
    assert framer.feed(b"other\n") == [Block.cut(b"other\n", offset=2, line=2)]


def test_rewinding_a_long_line_reads_it_anew() -> None:
    framer = LineFramer(max_line_bytes=4)
    framer.feed(b"a\n1234567")

    framer.rewind()

    assert not framer.skipping
    assert framer.feed(b"1234\n") == [Block.cut(b"1234\n", offset=2, line=2)]


def test_a_limit_below_one_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="max_line_bytes must be at least 1, not 0"):
        LineFramer(max_line_bytes=0)


@pytest.mark.parametrize("line", [b"\n", b"x\n", b'{"a": 1}\n' * 3, b"y" * 100 + b"\n"])
def test_many_short_lines_come_in_blocks_that_a_loop_can_wait_for(line: bytes) -> None:
    data = line * (200_000 // len(line))

    found = feed_all(LineFramer(offset=7, line=3), [data])

    assert max(item.lines for item in found if isinstance(item, Block)) <= MAX_BLOCK_LINES
    ends = [7 + i + 1 for i, byte in enumerate(data) if byte == 0x0A]
    assert [offset + len(raw) for offset, _, raw in lines(found) if isinstance(raw, bytes)] == ends
    assert [number for _, number, _ in lines(found)] == list(range(3, 3 + len(ends)))


def test_what_somebody_else_framed_is_passed_over() -> None:
    framer = LineFramer(offset=10, line=3)

    framer.pass_over(25, 4)

    assert (framer.offset, framer.line, framer.position) == (35, 7, 35)
    assert framer.feed(b"a\n") == [Block.cut(b"a\n", offset=35, line=7)]

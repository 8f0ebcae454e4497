"""A mark is the same place, however the reader came there."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from sessiontail.format.marks import BEGIN, WINDOW_BYTES, Mark, fingerprint

# Lines, some of them as long as a window, a byte shorter or longer.
LINES = st.lists(
    st.sampled_from([1, 2, 30, 127, 128, 200, 255, 256, 257, 600]).map(
        lambda size: b"x" * (size - 1) + b"\n"
    ),
    max_size=8,
)


def numbered(lines: list[bytes]) -> list[bytes]:
    """Lines of the same lengths that differ in each byte from their neighbours."""
    number, found = 0, []
    for line in lines:
        found.append(bytes(33 + (number + i) % 90 for i in range(len(line) - 1)) + b"\n")
        number += len(line)
    return found


def after(mark: Mark, lines: list[bytes], *, whole: bool) -> Mark:
    """The mark behind lines, by all of their bytes or by just the windows of them."""
    data = b"".join(lines)
    first, last = (data, data) if whole else (data[:WINDOW_BYTES], data[-WINDOW_BYTES:])
    return mark.behind(first, last, length=len(data), lines=len(lines), header_version=1)


@given(LINES, st.sets(st.integers(0, 8)), st.booleans())
def test_any_cut_leads_to_the_same_mark(
    lines: list[bytes],
    cuts: set[int],
    whole: bool,  # noqa: FBT001 - of hypothesis
) -> None:
    lines = numbered(lines)
    data = b"".join(lines)
    mark = BEGIN

    for start, end in pairwise(sorted({0, len(lines), *(c for c in cuts if c < len(lines))})):
        mark = after(mark, lines[start:end], whole=whole)

    version = 1 if lines else None
    assert mark == Mark(len(data), len(lines), version, data[:WINDOW_BYTES], data[-WINDOW_BYTES:])


def test_behind_no_line_is_the_same_place() -> None:
    mark = Mark(500, 3, 1, b"h" * 256, b"b" * 256)

    assert mark.behind(b"", b"", length=0, lines=0, header_version=1) == mark


def test_lines_that_were_not_counted_stay_unknown() -> None:
    mark = Mark(10**9, None, 1, b"h" * 256, b"b" * 256)

    behind = mark.behind(b"one\n", b"one\n", length=4, lines=1, header_version=1)

    assert behind == Mark(10**9 + 4, None, 1, b"h" * 256, b"b" * 252 + b"one\n")


def test_the_head_stays_once_it_is_a_window() -> None:
    mark = Mark(255, 1, 1, b"h" * 255, b"h" * 255)

    behind = mark.behind(b"ab\n", b"ab\n", length=3, lines=1, header_version=1)

    assert (behind.head, behind.before) == (b"h" * 255 + b"a", (b"h" * 255 + b"ab\n")[-256:])


def test_a_mark_has_the_version_that_its_reader_says() -> None:
    line = b"line\n"
    for version in (None, 0, 1):
        behind = BEGIN.behind(line, line, length=5, lines=1, header_version=version)

        assert behind.header_version == version


@pytest.mark.parametrize("data", [b"", b"x", bytes(256), b"x" * 100_000])
def test_a_fingerprint_is_8_bytes_that_change_with_every_bit(data: bytes) -> None:
    prints = {fingerprint(data), fingerprint(data + b"\0"), fingerprint(b"\0" + data + b"x")}
    for bit in range(min(len(data), 4) * 8):
        other = bytearray(data)
        other[bit // 8] ^= 1 << bit % 8
        prints.add(fingerprint(bytes(other)))

    assert {len(one) for one in prints} == {8}
    assert len(prints) == 3 + min(len(data), 4) * 8


def test_a_fingerprint_is_the_same_in_every_process_for_tokens_outlive_them() -> None:
    assert fingerprint(b"").hex() == "e4a6a0577479b2b4"
    assert fingerprint(b"sessiontail").hex() == "de4ba4ad4bca7459"

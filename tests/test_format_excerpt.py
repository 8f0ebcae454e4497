"""A text, and where it matches -> the piece of it around the first match."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from sessiontail.format.excerpt import Excerpt, excerpt_of


@pytest.mark.parametrize(
    ("text", "spans", "excerpt"),
    [
        ("abcdefgh", [(2, 3)], Excerpt("abcdefgh", ((2, 3),), cut=False)),
        ("abcdefghi", [(0, 1)], Excerpt("abcdefgh", ((0, 1),), cut=True)),
        ("0123456789abcdef", [(5, 6)], Excerpt("3456789a", ((2, 3),), cut=True)),
        ("0123456789abcdef", [(15, 16)], Excerpt("89abcdef", ((7, 8),), cut=True)),
        ("0123456789abcdef", [(4, 14), (15, 16)], Excerpt("23456789", ((2, 8),), cut=True)),
        ("0123456789abcdef", [], Excerpt("01234567", (), cut=True)),
    ],
    ids=["whole", "at the start", "inside", "at the end", "longer than the piece", "empty match"],
)
def test_a_piece_has_the_first_match(
    text: str, spans: list[tuple[int, int]], excerpt: Excerpt
) -> None:
    assert excerpt_of(text, spans, 8) == excerpt


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 30))
def test_what_is_marked_in_a_piece_is_what_matched(at: int, length: int, most: int) -> None:
    text = "".join(chr(0x100 + i) for i in range(80))
    end = min(80, at + length)

    piece = excerpt_of(text, [(at, end)], most)

    ((begin, until),) = piece.spans
    assert len(piece.text) <= most
    assert text[at:end].startswith(piece.text[begin:until])
    assert (until > begin) == (end > at)

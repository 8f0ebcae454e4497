"""a text, and where it matches -> the piece of it around the first match. Nothing here opens or waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Excerpt", "excerpt_of"]

# A piece is cut out so that this share of it stands before the first match.
_BEFORE = 4


class Excerpt(NamedTuple):
    """A piece of a text."""

    text: str
    #: Where in it the matches are, begin and end; what is cut off is not told.
    spans: tuple[tuple[int, int], ...]
    #: Whether there is more of the text.
    cut: bool


def excerpt_of(text: str, spans: Sequence[tuple[int, int]], most: int) -> Excerpt:
    """Return so many letters of a text at most, with the first match among them.

    Args:
        text: the text.
        spans: where it matches, in order; in none, its beginning is what is meant.
        most: letters.
    """
    if len(text) <= most:
        return Excerpt(text, tuple(spans), cut=False)
    first = spans[0][0] if spans else 0
    begin = max(0, min(first - most // _BEFORE, len(text) - most))
    end = begin + most
    inside = tuple((max(a, begin) - begin, min(b, end) - begin) for a, b in spans if a < end)
    return Excerpt(text[begin:end], inside, cut=True)

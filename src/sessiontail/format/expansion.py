"""a regular expression -> how many pieces it has when its repeats are written out.

The ``regex`` package writes out what must be there so many times, while it compiles: of
``((((a){50}){50}){50}){50}``, 27 letters, it makes gigabytes, before any text is searched.
Nothing here opens, waits or logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import prod
from typing import Any

from sessiontail.format.re_tree import tree_of

__all__ = ["pieces_written_out"]

# A number of times; in a verbose pattern there may be spaces and comments in it.
_TIMES = re.compile(r"\{([\s\d]*\d)[^}]*")
_SPACED = re.compile(r"\{[^}]*[\s#]")
# More digits than any package takes: what is no number to it is none here.
_MOST_DIGITS = 18


def pieces_written_out(pattern: str) -> int:
    """Return how many pieces a pattern has at most, of which ``regex`` keeps some 300 bytes each.

    Repeats that lie in each other multiply. Where ``re`` does not read the pattern, or could read
    it differently, all of its repeats are taken to lie in each other.
    """
    if _SPACED.search(pattern) is None:
        parsed = tree_of(pattern)
        if parsed is not None:
            return _pieces(parsed)
    times = (re.sub(r"\s", "", found)[:_MOST_DIGITS] for found in _TIMES.findall(pattern))
    return len(pattern) * prod(max(1, int(one)) for one in times)


def _pieces(parsed: Iterable[Any]) -> int:
    return sum(map(_of_one, parsed))


def _of_one(part: tuple[Any, Any]) -> int:
    word, value = str(part[0]), part[1]
    if word in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return 1 + max(1, int(value[0])) * _pieces(value[2])
    if word == "BRANCH":
        return 1 + sum(map(_pieces, value[1]))
    if word in ("SUBPATTERN", "ASSERT", "ASSERT_NOT"):
        return 1 + _pieces(value[-1])
    if word == "ATOMIC_GROUP":
        return 1 + _pieces(value)
    if word == "GROUPREF_EXISTS":
        return 1 + _pieces(value[1]) + _pieces(value[2] or ())
    return max(1, len(value)) if word == "IN" else 1

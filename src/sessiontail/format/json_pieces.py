"""a value with huge texts -> its JSON, piece by piece: the same as in one go.

To write a text of 60 MB is one call of 300 ms into C, in which no other thread runs, the event loop's
neither. So huge texts, arrays and objects are written in steps, and the rest, with a placeholder for
each of them, in one go. What is nested too deeply, or is too much to look through, is one piece.
Nothing here opens, waits or logs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from uuid import uuid4

__all__ = ["PIECE_LETTERS", "json_pieces"]

#: Texts above this are written in pieces of it: 0.3 ms each.
PIECE_LETTERS = 64 * 1024

# Arrays and objects with more items than this, too: 1 ms each, where the items are small.
_PIECE_ITEMS = 10_000

# More values than this are not looked through: 0.5 us each.
_MOST_VALUES = 100_000


def json_pieces(value: Any, dump: Callable[[Any], str]) -> Iterator[str]:
    """Yield JSON.

    Args:
        value: dicts with texts for names, lists, texts, numbers; it is not changed.
        dump: writes a value as JSON, a text letter by letter.
    """
    taker = _Taker()
    try:
        rest = taker.without(value)
    except (RecursionError, _TooMany):
        yield dump(value)
        return
    for number, part in enumerate(re.split(rf'"{taker.mark}(\d+)"', dump(rest))):
        if number % 2 == 0:
            yield part
            continue
        yield from _in_steps(taker.taken[int(part)], dump)


def _in_steps(value: Any, dump: Callable[[Any], str]) -> Iterator[str]:
    if isinstance(value, str):
        yield '"'
        for begin in range(0, len(value), PIECE_LETTERS):
            yield dump(value[begin : begin + PIECE_LETTERS])[1:-1]
        yield '"'
        return
    left, right = "{}" if isinstance(value, dict) else "[]"
    items = iter(value.items() if isinstance(value, dict) else value)
    before = left
    while some := [*islice(items, _PIECE_ITEMS)]:
        yield before + dump(type(value)(some))[1:-1]
        before = ", "
    yield right


class _TooMany(Exception):
    """There are too many values to look through."""


class _Taker:
    """Takes what is huge out of a value."""

    def __init__(self) -> None:
        self.mark = uuid4().hex  # nobody can have written it
        #: By the numbers in the placeholders.
        self.taken: list[Any] = []
        self._left = _MOST_VALUES

    def without(self, value: Any) -> Any:
        """Return the value with placeholders for what is huge in it."""
        if isinstance(value, str):
            return value if len(value) <= PIECE_LETTERS else self._take(value)
        if not isinstance(value, (list, dict)):
            return value
        if len(value) > _PIECE_ITEMS:
            return self._take(value)
        self._left -= len(value)
        if self._left < 0:
            raise _TooMany
        if isinstance(value, list):
            return [self.without(item) for item in value]
        return {name: self.without(item) for name, item in value.items()}

    def _take(self, value: Any) -> str:
        self.taken.append(value)
        return f"{self.mark}{len(self.taken) - 1}"

"""JSON -> the same with its long texts cut, for who shows many of them and can ask for one whole.

However large or deep it is, what is left is bounded. Nothing here opens, waits or logs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["MOST_LETTERS", "Shortened", "shortened"]

#: Of one text.
MOST_LETTERS = 4_000
# Of all texts together, each value beside them counted as ten: 64 texts of the most.
_MOST_IN_ALL = 256_000
_VALUE = 10
# Deeper than any message; what lies deeper is left out.
_MOST_LEVELS = 64


class Shortened(NamedTuple):
    """A value, and what was cut of it."""

    value: Any
    #: Whether something was cut or left out.
    cut: bool
    #: Letters of the texts that were cut, before that.
    letters: int


def shortened(value: Any, *, most_letters: int = MOST_LETTERS) -> Shortened:
    """Return a JSON value with no text longer than so many letters, and not too much in all.

    What it is made of is not changed; what is short is taken as it is.

    Args:
        value: dicts with texts for names, lists, texts, numbers.
        most_letters: of one text.
    """
    cutter = _Cutter(most_letters)
    return Shortened(cutter.cut(value, 0), cutter.has_cut, cutter.letters)


class _Cutter:
    def __init__(self, most_letters: int) -> None:
        self.has_cut = False
        self.letters = 0
        self._most = most_letters
        self._left = _MOST_IN_ALL

    def cut(self, value: Any, level: int) -> Any:
        self._left -= _VALUE
        if isinstance(value, str):
            return self._text(value)
        if not isinstance(value, (dict, list)):
            return value
        if level == _MOST_LEVELS and value:
            self.has_cut = True
            return type(value)()
        if isinstance(value, list):
            items = []
            for item in value:
                if self._is_full():
                    break
                items.append(self.cut(item, level + 1))
            return items
        fields = {}
        for name, item in value.items():
            if self._is_full():
                break
            fields[self._text(name)] = self.cut(item, level + 1)
        return fields

    def _is_full(self) -> bool:
        if self._left > 0:
            return False
        self.has_cut = True
        return True

    def _text(self, text: str) -> str:
        most = max(0, min(self._most, self._left))
        self._left -= min(len(text), most)
        if len(text) <= most:
            return text
        self.has_cut = True
        self.letters += len(text)
        return text[:most]

r"""a pattern -> bytes without which no line of a file can match it.

What is searched for is text; what a file has is JSON of it, where a letter can be spelled in many
ways: ``a`` or ``\u0061``, ``/`` or ``\/``, ``"`` only as ``\"``. So a piece of the pattern is looked
for whose letters have one plain spelling each. In a line with a match either the piece stands plainly,
or one of its letters is *disguised*, and for disguises is looked as well. Arguments of tools are
JSON once more, in which a disguise may be spelled in disguise itself (``\\\u00750061``): the letters
that an escape is made of count as letters of the piece.

Nothing is decided here: a line with a needle may match, one without cannot. Where that cannot be
proven of a pattern there are no needles, and every line is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from msgspec import Struct

from sessiontail.format.re_tree import tree_of

__all__ = ["EXOTIC", "Needles", "needles_of_literal", "needles_of_regex"]

# A piece of one byte is in nearly every line.
_LEAST_BYTES = 2
# So many different pieces are looked for, one after the other.
_MOST_PIECES = 8

#: ASCII letters that other characters match where case does not count, to ``re`` and to ``regex``.
EXOTIC = {"i": "\u0130\u0131", "k": "\u212a", "s": "\u017f"}

# What an escape is spelled with.
_OF_ESCAPES = "\\u0123456789abcdefABCDEF"

# Characters of scripts without case; of others it is not asked.
_CASELESS = ("\u3040", "\u30ff"), ("\u3400", "\u9fff"), ("\uac00", "\ud7a3")


class Needles(Struct, frozen=True, gc=False):
    """What is looked for in a file's bytes. A line that has none of these cannot match."""

    #: The pieces as they are usually written, and other characters that match letters of them.
    plain: tuple[bytes, ...]
    #: What all disguises begin with.
    escape: bytes
    #: A disguise.
    disguise: re.Pattern[bytes]
    #: Whether the ASCII letters of the file are to be taken as small ones.
    fold: bool


def needles_of_literal(text: str, *, ignore_case: bool) -> Needles | None:
    """Return the needles of a text that is searched for as it stands."""
    return _needles([_best([text], fold=ignore_case)], fold=ignore_case)


def needles_of_regex(pattern: str, *, ignore_case: bool) -> Needles | None:
    """Return the needles of a regular expression; None where it is not known to need any text.

    What ``re`` and ``regex`` read differently has none: approximate matching (``{e<=1}``), classes
    (``[[:alpha:]]``), and all that ``re`` refuses.
    """
    if "[:" in pattern or "{" in _BOUNDS.sub("", _ESCAPED.sub("", pattern)):
        return None
    parsed = tree_of(pattern)
    if parsed is None or parsed.state.flags & re.VERBOSE:
        return None
    reader = _Reader()
    try:
        pieces = reader.pieces(parsed, fold=ignore_case or bool(parsed.state.flags & re.IGNORECASE))
    except RecursionError:
        return None
    return None if pieces is None else _needles(pieces, fold=reader.fold)


_ESCAPED = re.compile(r"\\.", re.DOTALL)
_BOUNDS = re.compile(r"\{(?:[0-9]+(?:,[0-9]*)?|,[0-9]+)\}")


class _Reader:
    """Reads what ``re`` made of a pattern."""

    def __init__(self) -> None:
        #: Whether case does not count in some part of it.
        self.fold = False

    def pieces(self, parsed: Any, *, fold: bool) -> list[str] | None:
        """Return pieces of which every match has one; None where none are known."""
        self.fold = self.fold or fold or _has_flags(parsed)
        runs: list[str] = [""]
        either: list[list[str]] = []
        self._read(parsed, runs, either)
        best = _best(runs, fold=self.fold)
        if len(best.encode()) >= _LEAST_BYTES or not either:
            return [best]
        return min(either, key=lambda pieces: -min(map(len, pieces)))

    def _read(self, parsed: Any, runs: list[str], either: list[list[str]]) -> None:
        """Collect the texts that every match has: a run goes on until something else comes."""
        for word, value in parsed:
            name = str(word)
            if name == "LITERAL":
                runs[-1] += chr(value)
            elif name == "SUBPATTERN":
                self._read(value[-1], runs, either)
            elif name == "ATOMIC_GROUP":
                self._read(value, runs, either)
            elif name in ("AT", "ASSERT", "ASSERT_NOT"):
                continue  # takes no text
            else:
                runs.append("")
                if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and value[0]:
                    self._read(value[2], runs, either)
                    runs.append("")
                elif name == "BRANCH":
                    self._branch(value[1], either)

    def _branch(self, ways: Iterable[Any], either: list[list[str]]) -> None:
        """Take one piece of each way, if each has one."""
        pieces: list[str] = []
        for way in ways:
            found = self.pieces(way, fold=self.fold)
            if found is None or any(len(piece.encode()) < _LEAST_BYTES for piece in found):
                return
            pieces += found
        if len(pieces) <= _MOST_PIECES:
            either.append(pieces)


def _has_flags(parsed: Any) -> bool:
    """Say whether a part of a pattern has flags of its own: ``(?i:...)``."""
    for word, value in parsed:
        name = str(word)
        parts: Iterable[Any] = ()
        if name == "SUBPATTERN":
            if value[1]:
                return True
            parts = (value[-1],)
        elif name == "ATOMIC_GROUP":
            parts = (value,)
        elif name == "BRANCH":
            parts = value[1]
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            parts = (value[2],)
        if any(map(_has_flags, parts)):
            return True
    return False


def _best(runs: Iterable[str], *, fold: bool) -> str:
    """Return the longest text in these whose letters have one plain spelling each.

    Where case does not count, better a shorter one without letters that others match too: for each
    of these is to be looked as well.
    """
    plain = _longest(runs, lambda letter: _is_plain(letter, fold=fold))
    if fold:
        lone = _longest(
            runs, lambda letter: _is_plain(letter, fold=True) and letter.lower() not in EXOTIC
        )
        return lone if len(lone.encode()) > _LEAST_BYTES else plain
    return plain


def _longest(runs: Iterable[str], takes: Callable[[str], bool]) -> str:
    pieces = ("".join(letters) for run in runs for taken, letters in groupby(run, takes) if taken)
    return max(pieces, key=lambda piece: len(piece.encode()), default="")


def _is_plain(letter: str, *, fold: bool) -> bool:
    if letter.isascii():
        return letter >= " " and letter not in '"\\/'
    if fold:
        return any(first <= letter <= last for first, last in _CASELESS)
    return not "\ud800" <= letter <= "\udfff"


def _needles(pieces: list[str], *, fold: bool) -> Needles | None:
    if any(len(piece.encode()) < _LEAST_BYTES for piece in pieces):
        return None
    letters = {letter for piece in pieces for letter in piece}
    others: set[str] = set()
    if fold:
        letters |= {letter.lower() for letter in letters} | {letter.upper() for letter in letters}
        others = {other for letter in letters for other in EXOTIC.get(letter, "")}
        pieces = [piece.lower() for piece in pieces]
    points = {_point(letter) for letter in letters | others | {*_OF_ESCAPES}}
    digits = "|".join(_any_case(point) for point in sorted(points))
    latin = all(point < 0x100 for point in points)
    return Needles(
        plain=(
            *dict.fromkeys(piece.encode() for piece in pieces),
            *sorted(c.encode() for c in others),
        ),
        escape=rb"\u00" if latin else rb"\u",
        disguise=re.compile(rf"\\u(?:{digits})".encode()),
        fold=fold,
    )


def _point(letter: str) -> int:
    """Return what the first escape of a letter says: its number, or its first half."""
    point = ord(letter)
    return point if point < 0x10000 else 0xD800 + (point - 0x10000 >> 10)


def _any_case(point: int) -> str:
    return "".join(
        f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{point:04x}"
    )

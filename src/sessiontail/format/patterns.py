r"""what is searched for -> where it is in a text.

A literal is searched for by Python itself, in steps that leave the interpreter to other threads. A
regular expression is the ``regex`` package's (extra ``search``, version 0 of its syntax, which is
that of ``re`` and more), because it can be told to stop and lets other threads run meanwhile: a
pattern that explodes, such as ``(a|aa)+$``, ends after ``MOST_SECONDS`` in one text. ``^`` and ``$``
match at each line of a text, ``.`` matches no newline.

Nothing here opens, waits or looks at the clock: that is given.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from sessiontail.errors import InvalidPattern, MissingExtra
from sessiontail.format.expansion import pieces_written_out
from sessiontail.format.needles import Needles, needles_of_literal, needles_of_regex

if TYPE_CHECKING:
    import regex

__all__ = ["MOST_SECONDS", "TextPattern", "TooSlow", "text_pattern"]

#: So long a regular expression may take for one text; usual ones take microseconds.
MOST_SECONDS = 2.0

# What regex makes of a pattern with so many pieces takes 35 MB and 50 ms.
_MOST_PIECES = 50_000

# 64 Ki characters: the slowest literal, one without case, is searched for in 1 ms.
_STEP = 64 * 1024


Find: TypeAlias = Callable[[int], "tuple[int, int] | None"]


class TooSlow(Exception):
    """A pattern took too long for a text, or all the memory that ``regex`` gives itself."""


class TextPattern:
    """What is searched for.

    Args:
        needles: without which no line can match; None: every line may.
    """

    def __init__(self, needles: Needles | None) -> None:
        self.needles = needles

    @abstractmethod
    def finder(self, text: str, most_s: float = MOST_SECONDS) -> Find:
        """Return what says where in a text it is next, from a place on: begin and end, or None.

        They can be equal. Asked again and again, it raises ``TooSlow`` once all of it took too long.

        Args:
            text: where it is searched for.
            most_s: how long all of it may take.
        """


def text_pattern(
    pattern: str, *, literal: bool, ignore_case: bool, clock: Callable[[], float]
) -> TextPattern:
    """Return what is searched for.

    Args:
        pattern: a regular expression, or with ``literal`` a text as it stands.
        literal: what it is.
        ignore_case: whether case does not count.
        clock: gives the time in seconds.

    Raises:
        InvalidPattern: it is none, or empty.
        MissingExtra: it is a regular expression, and ``regex`` is not installed.
    """
    if not pattern:
        raise InvalidPattern("an empty pattern matches everything: give one that says something")
    if literal or pattern.isalnum():
        return _Literal(pattern, ignore_case=ignore_case)
    return _Regex(pattern, ignore_case=ignore_case, clock=clock)


class _Literal(TextPattern):
    def __init__(self, text: str, *, ignore_case: bool) -> None:
        super().__init__(needles_of_literal(text, ignore_case=ignore_case))
        self._text = text
        # Without case a match is as long: each character matches one.
        self._pattern = re.compile(re.escape(text), re.IGNORECASE) if ignore_case else None

    def finder(self, text: str, most_s: float = MOST_SECONDS) -> Find:  # noqa: ARG002 - it takes what it takes
        length = len(self._text)
        reach = _STEP + length - 1

        def find(start: int) -> tuple[int, int] | None:
            for begin in range(start, len(text), _STEP):
                if self._pattern is None:
                    at = text.find(self._text, begin, begin + reach)
                else:
                    found = self._pattern.search(text, begin, begin + reach)
                    at = -1 if found is None else found.start()
                if at >= 0:
                    return at, at + length
            return None

        return find


class _Regex(TextPattern):
    def __init__(self, pattern: str, *, ignore_case: bool, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pattern = _compiled(pattern, ignore_case=ignore_case)
        super().__init__(needles_of_regex(pattern, ignore_case=ignore_case))

    def finder(self, text: str, most_s: float = MOST_SECONDS) -> Find:
        clock, search = self._clock, self._pattern.search
        left = most_s

        def find(start: int) -> tuple[int, int] | None:
            nonlocal left
            if left <= 0:
                raise TooSlow
            began = clock()
            try:
                found = search(text, start, timeout=left, concurrent=True)
            except (TimeoutError, MemoryError) as error:  # about a gigabyte of ways to go back
                raise TooSlow from error
            left -= clock() - began
            return None if found is None else found.span()

        return find


def _compiled(pattern: str, *, ignore_case: bool) -> regex.Pattern[str]:
    try:
        import regex  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "regular expressions need the package regex: pip install regex; "
            "without it, search for a literal text (-F, literal=True)"
        ) from error
    pieces = pieces_written_out(pattern)
    if pieces > _MOST_PIECES:
        raise InvalidPattern(
            f"{pattern!r} has some {pieces:,} pieces when its repeats are written out, "
            f"{_MOST_PIECES:,} at most: repeat fewer times, or with * and +"
        )
    flags = regex.VERSION0 | regex.MULTILINE | (regex.IGNORECASE if ignore_case else 0)
    try:
        return regex.compile(pattern, flags)
    except (regex.error, RecursionError, OverflowError, ValueError, MemoryError) as error:
        raise InvalidPattern(
            f"{pattern!r} is no regular expression: {error}; a sign that is meant as it stands "
            "takes a backslash before it, a literal text none"
        ) from error

"""a text and a pattern -> its lines with the matches marked, whatever is shown of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sessiontail.cli.colors import Painted
from sessiontail.cli.terminal import Output

__all__ = ["Highlighter"]


class Highlighter:
    """Marks the matches of a text that is printed line by line.

    A match is looked for in the text as it was written, and may go over several lines; what is
    shown of it can be longer, where it is escaped.
    """

    def __init__(self, output: Output, pattern: re.Pattern[str] | None, text: str) -> None:
        self._output = output
        self._matches = _matches(pattern, text) if pattern else iter(())
        self._start, self._end = next(self._matches, (len(text), len(text)))
        self._at = 0

    def line(self, line: str, style: str | None) -> list[Painted]:
        """Return the line that begins here, or its beginning, as it is shown."""
        styles = [style] if style else []
        parts: list[Painted] = []
        at, end = self._at, self._at + len(line)
        while at < end:
            self._go_to(at)
            inside = self._start <= at < self._end
            until = min(end, self._end if inside else max(self._start, at))
            if until == at:  # no match is left
                until = end
            part = line[at - self._at : until - self._at]
            parts.append(self._output.styled(part, *styles, *["match"] * inside))
            at = until
        return parts

    def meets(self, line: str) -> bool:
        """Say whether a match is in the line that begins here."""
        self._go_to(self._at)
        return self._at < self._end and self._start < self._at + len(line)

    def skip(self, length: int) -> None:
        """Go on behind so much of the text."""
        self._at += length

    def _go_to(self, at: int) -> None:
        """Make the match the first that does not end before a place."""
        while self._end <= at:
            found = next(self._matches, None)
            if found is None:
                return
            self._start, self._end = found


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    for match in pattern.finditer(text):
        if match.end() > match.start():
            yield match.span()

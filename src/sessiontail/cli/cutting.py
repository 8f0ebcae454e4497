"""the lines of a record -> those that are shown, and a word of the others."""

from __future__ import annotations

__all__ = ["Cut"]

# Where a terminal is so narrow that a line's margin fills it.
_NARROWEST = 20


class Cut:
    """Counts the lines of one record as it is printed.

    Args:
        most: so many lines are shown; None: all.
        width: of the terminal, whose lines are meant: a longer one is several. None: it has none.
        margin: columns before the text.
    """

    def __init__(self, most: int | None, width: int | None, margin: int) -> None:
        self._left = most
        self._width = None if width is None else max(_NARROWEST, width - margin)
        self._lines = 0
        self._letters = 0

    def take(self, line: str) -> str | None:
        """Return what is shown of the next line; None: nothing."""
        if self._left is None:
            return line
        if not self._left:
            self._lines += 1
            return None
        rows = 1 if self._width is None else max(1, -(-len(line) // self._width))
        if rows > self._left:
            assert self._width is not None
            shown = line[: self._left * self._width]
            self._letters += len(line) - len(shown)
            self._left = 0
            return shown
        self._left -= rows
        return line

    def rest(self, matching: int = 0) -> str:
        """Return what is told of what was not shown; empty if all was.

        Args:
            matching: lines among them that have what was looked for.
        """
        parts = []
        if self._letters:
            parts.append(_count(self._letters, "character"))
        if self._lines:
            parts.append(_count(self._lines, "line"))
        if not parts:
            return ""
        if matching:
            parts.append(f"{matching:,} with a match")
        shows = "them" if self._letters + self._lines > 1 else "it"
        return f"… {', '.join(parts)}: --full shows {shows}"


def _count(number: int, what: str) -> str:
    return f"{number:,} more {what}{'' if number == 1 else 's'}"

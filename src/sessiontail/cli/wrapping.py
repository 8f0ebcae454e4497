"""a line, and how wide a terminal is -> parts of it that each fit, at words where that can be."""

from __future__ import annotations

from rich.cells import cell_len

from sessiontail.cli.escaping import clean

__all__ = ["wrapped"]

# Where a terminal is so narrow that nothing fits, it breaks lines itself.
_NARROWEST = 20
# A tab goes on to the next multiple of so many columns.
_TAB = 8


def wrapped(line: str, width: int | None) -> list[str]:
    """Return the parts of a line, in order; all together they are the line.

    A terminal would begin the next row at its left edge, where a line of its own begins: a long
    text could pose as another record there.

    Args:
        line: as it was written; what is escaped takes more columns than it has letters.
        width: columns; None: it need not fit.
    """
    if width is None or width < _NARROWEST:
        return [line]
    if line.isascii() and line.isprintable():
        return _plain(line, width)
    if "\t" not in line and cell_len(clean(line)) <= width:
        return [line]
    parts: list[str] = []
    start = used = space = 0
    for i, letter in enumerate(line):
        columns = _TAB if letter == "\t" else cell_len(clean(letter))
        while used + columns > width:  # also where what is left of it is still too long
            end = space if space > start else i
            parts.append(line[start:end])
            start = end
            used = sum(_TAB if one == "\t" else cell_len(clean(one)) for one in line[start:i])
        used += columns
        if letter == " ":
            space = i + 1
    parts.append(line[start:])
    return parts


def _plain(line: str, width: int) -> list[str]:
    """Break a line whose letters all take one column: a result of megabytes, mostly."""
    parts: list[str] = []
    start = 0
    while len(line) - start > width:
        end = line.rfind(" ", start, start + width) + 1 or start + width
        parts.append(line[start:end])
        start = end
    parts.append(line[start:])
    return parts

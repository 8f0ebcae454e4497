"""columns and rows -> an aligned table that fits the terminal, if it leads to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size

from sessiontail.cli.colors import Painted
from sessiontail.cli.escaping import one_line
from sessiontail.cli.terminal import Output, note

__all__ = ["Column", "lay_out", "print_rows"]

_GAP = "  "


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        name: its heading.
        right: whether its cells stand to the right.
        least: as the last one, where the terminal is narrow, so much is worth its place.
        spare: the column with the highest goes first where the terminal is narrow; 0: it stays.
        styles: of what is in a cell.
    """

    name: str
    right: bool = False
    spare: int = 0
    least: int = 12
    styles: Mapping[str, str] = field(default_factory=dict)


def print_rows(out: Output, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, as ``lay_out`` makes it; which columns have no place is told."""
    lines, left_out = lay_out(out, columns, rows, out.width)
    for line in lines:
        out.line(line)
    if left_out:
        note(f"{out.width} columns have no place for {', '.join(left_out)}")


def lay_out(
    out: Output, columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None
) -> tuple[list[Painted], list[str]]:
    """Return the lines of a table, its heads first, and the names of columns that have no place.

    The last column gives way, then those that can be spared. Letters count as wide as a terminal
    shows them: those of Chinese, and emoji, are two columns.

    Args:
        out: says whether there are colours.
        columns: what they are.
        rows: what is in them.
        width: of the terminal; None: there is none.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [
        max(cell_len(cell) for cell in (column.name, *(row[i] for row in cells)))
        for i, column in enumerate(columns)
    ]
    shown = _that_fit(columns, widths, width)
    if width is not None and shown[-1] == len(columns) - 1:
        others = sum(widths[i] + len(_GAP) for i in shown[:-1])
        widths[-1] = min(widths[-1], max(columns[-1].least, width - others))
    heads = [column.name for column in columns]
    lines = []
    for row in (heads, *cells):
        last = len(shown) - 1
        parts: list[str] = []
        for place, i in enumerate(shown):
            column = columns[i]
            cell = _fitted(row[i], widths[i])
            space = " " * (widths[i] - cell_len(cell))
            style = ["bold"] if row is heads else [column.styles.get(row[i], "")]
            painted = out.styled(cell, *filter(None, style))
            if column.right:
                parts += [space, painted]
            else:
                parts += [painted] if place == last else [painted, space]
            parts += [_GAP] * (place != last)
        lines.append(Painted("".join(parts).rstrip(" ")))
    return lines, [column.name for i, column in enumerate(columns) if i not in shown]


def _that_fit(columns: Sequence[Column], widths: list[int], width: int | None) -> list[int]:
    """Return the columns, by number, that have a place."""
    shown = list(range(len(columns)))
    while width is not None and len(shown) > 1:
        last = widths[shown[-1]]
        if shown[-1] == len(columns) - 1:
            last = min(columns[-1].least, last)
        if sum(widths[i] + len(_GAP) for i in shown[:-1]) + last <= width:
            break
        spared = max(shown, key=lambda i: columns[i].spare)
        if not columns[spared].spare:
            break  # lines wrap, and nothing more is left out
        shown.remove(spared)
    return shown


def _fitted(cell: str, width: int) -> str:
    return cell if cell_len(cell) <= width else set_cell_size(cell, width - 1).rstrip() + "…"

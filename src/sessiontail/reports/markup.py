"""text, whoever wrote it -> HTML that is text: tables and figures of a page.

What is ``Html`` stands as it is; every other text is escaped, and what commands, hides or turns letters
is shown as an escape. A page without scripts, in which nothing is loaded, has no other way in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from sessiontail.format.inert import inert

__all__ = ["Html", "Table", "html", "marked", "name", "table"]

# Names of tools and files: what is longer is cut.
_LONGEST = 200


class Html(str):
    """Markup: only this is written as it is."""

    __slots__ = ()


class Table(NamedTuple):
    """A table: the first column names the row."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    #: The columns, from 0, that are numbers.
    numbers: frozenset[int] = frozenset()
    #: The sums, below.
    foot: Sequence[str] = ()


def html(text: str) -> Html:
    """Return text as HTML that shows it."""
    return text if isinstance(text, Html) else Html(escape(inert(text)))


def name(text: str) -> Html:
    """Return a name that somebody else chose: it turns the order of nothing around it."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return Html(f"<bdi>{html(cut)}</bdi>")


def marked(severity: str, text: str = "") -> Html:
    """Return a severity, or a text, in the colour of that severity."""
    return Html(f'<span class="{severity}">{html(text or severity)}</span>')


def table(ident: str, one: Table) -> Html:
    """Return a table; a narrow screen scrolls it alone, which a keyboard can do too.

    Args:
        ident: of its caption; one of a kind on the page.
        one: what is in it.
    """
    parts = [
        f'<div class="scroll" role="group" tabindex="0" aria-labelledby="{ident}">',
        f'<table><caption id="{ident}">{html(one.caption)}</caption>',
        f"<thead><tr>{_cells(one, one.heads, 'col')}</tr></thead><tbody>",
        *(f"<tr>{_cells(one, row, 'row')}</tr>" for row in one.rows),
        "</tbody>",
    ]
    if one.foot:
        parts.append(f"<tfoot><tr>{_cells(one, one.foot, 'row')}</tr></tfoot>")
    return Html("".join([*parts, "</table></div>"]))


def _cells(one: Table, row: Iterable[str], scope: str) -> str:
    cells = []
    for i, cell in enumerate(row):
        kind = ' class="n"' if i in one.numbers else ""
        if scope == "col" or not i:
            cells.append(f'<th scope="{scope}"{kind}>{html(cell)}</th>')
        else:
            cells.append(f"<td{kind}>{html(cell)}</td>")
    return "".join(cells)

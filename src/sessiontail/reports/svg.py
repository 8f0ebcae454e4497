"""numbers -> small charts as inline SVG, for any width of the page.

Widths are shares of the whole and heights are pixels, so that letters keep their size on a narrow screen.
What is drawn is said in words too: a chart is an image with a title and a description, and the table
beside it has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sessiontail.reports.markup import Html, html

__all__ = ["Bar", "bars", "columns"]

_BAR_HEIGHT = 40
_PLOT = 120
# Letters that have a place on a screen of 360 pixels: a label with its figure, and a label at least.
_LINE = 40
_LABEL = 26


class Bar(NamedTuple):
    """One bar: a name, how long it is, and the figure that stands beside it."""

    label: str
    value: float
    figure: str
    #: Of the value, how much is of the other colour.
    part: float = 0
    #: Its colour: error, warning, info; by default the page's own.
    style: str = ""


def bars(ident: str, title: str, text: str, items: Sequence[Bar]) -> Html:
    """Return bars, one below the other.

    Args:
        ident: one of a kind on the page.
        title: what it shows.
        text: what is to be seen there, in a sentence.
        items: at least one.
    """
    most = max(item.value for item in items) or 1
    drawn = []
    for i, item in enumerate(items):
        top = i * _BAR_HEIGHT
        most_letters = max(_LABEL, _LINE - 1 - len(item.figure))
        long = len(item.label) > most_letters
        label = f"{item.label[: most_letters - 1]}…" if long else item.label
        drawn += [
            f'<text x="0" y="{top + 14}">{html(label)}</text>',
            f'<text x="100%" y="{top + 14}" class="end">{html(item.figure)}</text>',
            _rect("track", 0, top + 20, 100, 10),
            _rect(f"bar {item.style}".strip(), 0, top + 20, 100 * item.value / most, 10),
        ]
        if item.part:
            drawn.append(_rect("bar error", 0, top + 20, 100 * item.part / most, 10))
    return _svg(ident, title, text, len(items) * _BAR_HEIGHT, drawn)


def columns(ident: str, title: str, text: str, items: Sequence[tuple[str, int]]) -> Html:
    """Return columns, side by side: the first and the last are named below, the highest above.

    Args:
        ident: one of a kind on the page.
        title: what it shows.
        text: what is to be seen there, in a sentence.
        items: label and value of each; at least one.
    """
    most = max(value for _, value in items) or 1
    step = 100 / len(items)
    ground = 22 + _PLOT
    drawn = [f'<text x="0" y="14">most: {most:,}</text>']
    for i, (_, value) in enumerate(items):
        height = max(_PLOT * value / most, 1.5) if value else 0
        drawn.append(_rect("bar", i * step + step * 0.1, ground - height, step * 0.8, height))
    drawn += [
        f'<line x1="0" x2="100%" y1="{ground}" y2="{ground}"/>',
        f'<text x="0" y="{ground + 17}">{html(items[0][0])}</text>',
    ]
    if len(items) > 1:
        drawn.append(f'<text x="100%" y="{ground + 17}" class="end">{html(items[-1][0])}</text>')
    return _svg(ident, title, text, ground + 24, drawn)


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{kind}" x="{x:.2f}%" y="{y:.1f}" width="{width:.2f}%" height="{height:.1f}"/>'
        if width and height
        else ""
    )


def _svg(ident: str, title: str, text: str, height: int, drawn: Sequence[str]) -> Html:
    return Html(
        f'<svg role="img" width="100%" height="{height}" '
        f'aria-labelledby="{ident}-title {ident}-desc">'
        f'<title id="{ident}-title">{html(title)}</title>'
        f'<desc id="{ident}-desc">{html(text)}</desc>{"".join(drawn)}</svg>'
    )

"""rows of a graph -> where each node stands, so that lines are short and boxes do not touch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from sessiontail.directory.layers import Joint, Layers

__all__ = ["Box", "packed", "placed"]

_T = TypeVar("_T", bound=Hashable)

# Each sweep orders all rows by those above, then by those below. More change little.
_SWEEPS = 4
# A trunk gives way so much less than a box: it is straight, and a row of its children is no stair.
_STIFF = 100


class Box(NamedTuple):
    """How much room a graph takes, in pixels across and in rows down."""

    width: float
    rows: int


def placed(
    layers: Layers, widths: Mapping[str, float], gap: float
) -> tuple[dict[str | Joint, float], float]:
    """Return the middle of each node and joint, from 0, and the width of the whole.

    Rows are ordered, again and again, by the mean of what they hang from and of what hangs from
    them; then each is placed as near to these means as the boxes allow.

    Args:
        layers: the rows.
        widths: of the nodes; a joint has none.
        gap: between two of them.
    """
    rows = [_with_trunks_inside(row) for row in layers.rows]
    above: dict[Any, list[Any]] = layers.above
    below: dict[Any, list[Any]] = {}
    for one, others in above.items():
        for other in others:
            below.setdefault(other, []).append(one)
    wide = {one: 0.0 if isinstance(one, Joint) else widths[one] for row in rows for one in row}
    at: dict[Any, float] = {}
    for row in rows:
        x = 0.0
        for one in row:
            at[one] = x + wide[one] / 2
            x += wide[one] + gap
    for _ in range(_SWEEPS):
        for row in rows:
            _settle(row, at, above, wide, gap)
        for row in reversed(rows):
            _settle(row, at, below, wide, gap)
    both = {one: [*above.get(one, ()), *below.get(one, ())] for one in at}
    for row in rows:
        _settle(row, at, both, wide, gap, ordered=True)
    left = min((at[one] - wide[one] / 2 for one in at), default=0.0)
    right = max((at[one] + wide[one] / 2 for one in at), default=0.0)
    return {one: at[one] - left for one in at}, right - left


def _with_trunks_inside(row: Sequence[str | Joint]) -> list[str | Joint]:
    """Return a row with its joints in the middle: what hangs from them stands on both sides."""
    nodes = [one for one in row if not isinstance(one, Joint)]
    joints = [one for one in row if isinstance(one, Joint)]
    half = len(nodes) // 2
    return [*nodes[:half], *joints, *nodes[half:]]


def _settle(
    row: list[_T],
    at: dict[_T, float],
    near: Mapping[_T, Sequence[_T]],
    widths: Mapping[_T, float],
    gap: float,
    *,
    ordered: bool = False,
) -> None:
    """Order a row by the mean of those that are near, and place it as close to it as it can be.

    Args:
        row: those that stand in it.
        at: where all stand; changed.
        near: those that each wants to be near to.
        widths: of each.
        gap: between two.
        ordered: they stay in the order in which they are.
    """
    wanted = {}
    for one in row:
        others = near.get(one)
        wanted[one] = sum(at[other] for other in others) / len(others) if others else at[one]
    if not ordered:
        row.sort(key=wanted.__getitem__)
    # How far each stands from the first, where all stand as close as they may.
    offsets = [0.0]
    for one, other in pairwise(row):
        offsets.append(offsets[-1] + (widths[one] + widths[other]) / 2 + gap)
    shifts = [
        (wanted[one] - offset, 1 if widths[one] else _STIFF)
        for one, offset in zip(row, offsets, strict=True)
    ]
    for one, offset, shift in zip(row, offsets, _rising(shifts), strict=True):
        at[one] = offset + shift


def _rising(values: Sequence[tuple[float, int]]) -> list[float]:
    """Return numbers that never fall, as near to these as it goes, by the squares of distances.

    Args:
        values: numbers, each with its weight.

    Source: pool adjacent violators; M. Ayer and others (1955).
    """
    pools: list[tuple[float, int, int]] = []
    for value, value_weight in values:
        mean, weight, count = value, value_weight, 1
        while pools and pools[-1][0] > mean:
            other, other_weight, others = pools.pop()
            mean = (mean * weight + other * other_weight) / (weight + other_weight)
            weight += other_weight
            count += others
        pools.append((mean, weight, count))
    return [mean for mean, _, count in pools for _ in range(count)]


def packed(
    boxes: Sequence[Box], *, row: float, gap: float
) -> tuple[list[tuple[float, float]], float, float]:
    """Return for each box where its corner is, and the width and height of all, in pixels.

    They stand side by side on shelves, those with most rows first, in about a square.

    Args:
        boxes: how much room each takes.
        row: the height of a row.
        gap: between two boxes.
    """
    area = sum((box.width + gap) * (box.rows * row + gap) for box in boxes)
    wide = max([area**0.5, *(box.width for box in boxes)], default=0.0)
    corners = [(0.0, 0.0)] * len(boxes)
    x = y = shelf = right = 0.0
    for i in sorted(range(len(boxes)), key=lambda i: -boxes[i].rows):
        box = boxes[i]
        if x and x + box.width > wide:
            x, y, shelf = 0.0, y + shelf + gap, 0.0
        corners[i] = x, y
        x += box.width + gap
        right = max(right, x - gap)
        shelf = max(shelf, box.rows * row)
    return corners, right, y + shelf

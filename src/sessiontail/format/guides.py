"""a tree -> its lines, each with the guide that stands before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = ["guided"]

_T = TypeVar("_T")


def guided(root: _T, children: Callable[[_T], Sequence[_T]]) -> Iterator[tuple[str, _T]]:
    """Yield the nodes of a tree, each with the guide that stands before it.

    What goes on longest from a node stands below it; the others lead another way, indented. So a
    conversation of a thousand turns is a thousand lines, and none is indented.

    Args:
        root: where it begins.
        children: gives those of a node, in order; the same objects each time.
    """
    lengths = _lengths(root, children)
    # Nodes that begin a way, each with what stands before its lines, the next one last.
    ways: list[tuple[str, str, _T]] = [("", "", root)]
    while ways:
        margin, guide, node = ways.pop()
        yield guide, node
        below = children(node)
        if not below:
            continue
        on = max(below, key=lambda child: lengths[id(child)])
        others = [child for child in below if child is not on]
        last = not children(on)
        ways.append((margin, margin + ("└ " if last else "├ "), on))
        for i, other in enumerate(reversed(others)):
            corner = "└ " if not i and not children(other) else "├ "
            ways.append((margin + "│ ", margin + "│ " + corner, other))


def _lengths(root: _T, children: Callable[[_T], Sequence[_T]]) -> dict[int, int]:
    """Return for each node how many nodes its longest way on has, itself included."""
    nodes = [root]
    for node in nodes:
        nodes += children(node)
    lengths: dict[int, int] = {}
    for node in reversed(nodes):
        ways = [lengths[id(child)] for child in children(node)]
        lengths[id(node)] = 1 + max(ways, default=0)
    return lengths

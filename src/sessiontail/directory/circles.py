"""who follows whom -> those that follow each other in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

__all__ = ["circles_in"]


def circles_in(names: Iterable[str], following: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the circles of a graph: sets of names of which each leads to each other.

    Args:
        names: all of them; circles come in no order, and in each the names as these are.
        following: for each name those that it leads to; a name that is absent leads nowhere.

    Returns:
        Circles that share a name are one. A name that leads to itself is a circle of one.

    Source: R. Tarjan, Depth-first search and linear graph algorithms (1972); with a stack of our
    own, because a conversation may have more turns than Python has frames.
    """
    order = [*names]
    place = {name: i for i, name in enumerate(order)}
    met: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: list[str] = []
    is_open: set[str] = set()
    found: list[list[str]] = []
    for start in order:
        if start in met:
            continue
        met[start] = lowest[start] = len(met)
        open_.append(start)
        is_open.add(start)
        way = [(start, iter(following.get(start, ())))]
        while way:
            name, rest = way[-1]
            other = next(rest, None)
            if other is None:
                way.pop()
                if way:
                    above = way[-1][0]
                    lowest[above] = min(lowest[above], lowest[name])
                if lowest[name] == met[name]:
                    circle = [open_.pop()]
                    while circle[-1] != name:
                        circle.append(open_.pop())
                    is_open.difference_update(circle)
                    if len(circle) > 1 or name in following.get(name, ()):
                        found.append(sorted(circle, key=place.__getitem__))
            elif other not in met:
                met[other] = lowest[other] = len(met)
                open_.append(other)
                is_open.add(other)
                way.append((other, iter(following.get(other, ()))))
            elif other in is_open:
                lowest[name] = min(lowest[name], met[other])
    return found

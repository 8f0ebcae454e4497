"""a graph without cycles -> a row for each node, parents above; and what passes between the rows.

Each child stands in a row below all of its parents, in the first that has room: a row has so many
nodes at most, so that a thousand children of one parent are a block and no line. A link that is
longer than a row passes through points in the rows between. Links of one kind from one parent share
these points: they leave the parent as one trunk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["Joint", "Layers", "Link", "layers_of"]

# In a picture that has more points of trunks for each node, the longest trunks are drawn straight.
_POINTS_PER_NODE = 30


class Link(NamedTuple):
    """A line from a parent down to its child."""

    parent: str
    child: str
    #: Links of one kind share a trunk.
    kind: str


class Joint(NamedTuple):
    """A point of a trunk."""

    parent: str
    kind: str
    row: int


class Layers(NamedTuple):
    """Nodes and joints by row; lines go from one row to the next."""

    #: Each row in the order in which its nodes were placed.
    rows: list[list[str | Joint]]
    #: The row of each node.
    row_of: dict[str, int]
    #: For each node and joint, what it hangs from.
    above: dict[str | Joint, list[str | Joint]]

    def last(self, link: Link) -> str | Joint:
        """Return where a link comes from, into the box of its child."""
        joint = Joint(link.parent, link.kind, self.row_of[link.child] - 1)
        return joint if joint in self.above else link.parent


def layers_of(names: Sequence[str], links: Iterable[Link], most: int) -> Layers:
    """Return the rows of a graph that hangs together.

    Args:
        names: its nodes, oldest first.
        links: between them; without cycles.
        most: so many nodes in a row; more only where there is no other place.
    """
    links = [*links]
    parents: dict[str, list[str]] = {name: [] for name in names}
    children: dict[str, list[str]] = {name: [] for name in names}
    for link in links:
        parents[link.child].append(link.parent)
        children[link.parent].append(link.child)
    row_of = _rows(names, parents, children, most)
    return _joined(row_of, links)


def _rows(
    names: Sequence[str],
    parents: dict[str, list[str]],
    children: dict[str, list[str]],
    most: int,
) -> dict[str, int]:
    """Return the row of each node, in the order in which they are placed: way by way."""
    row_of: dict[str, int] = {}
    taken: dict[int, int] = {}
    # Who has no parents is placed with its first child, just above it.
    waits = {name: {p for p in parents[name] if parents[p]} for name in names}
    heads = deque(name for name in names if parents[name] and not waits[name])
    ready: list[str] = []
    while heads or ready:
        name = ready.pop() if ready else heads.popleft()
        late = [parent for parent in dict.fromkeys(parents[name]) if parent not in row_of]
        row = 1 + max((row_of[parent] for parent in parents[name] if parent in row_of), default=0)
        above = min(len(late), most)
        while taken.get(row, 0) >= most or taken.get(row - 1, 0) + above > most:
            row += 1
        for parent in late:
            higher = row - 1
            while higher and taken.get(higher, 0) >= most:
                higher -= 1
            row_of[parent] = higher
            taken[higher] = taken.get(higher, 0) + 1
        row_of[name] = row
        taken[row] = taken.get(row, 0) + 1
        for child in reversed(dict.fromkeys(children[name])):
            waits[child].discard(name)
            if not waits[child]:
                ready.append(child)
    for name in names:
        row_of.setdefault(name, 0)  # alone
    first = min(row_of.values(), default=0)
    return {name: row - first for name, row in row_of.items()}


def _joined(row_of: dict[str, int], links: Sequence[Link]) -> Layers:
    """Return the rows with the joints that links of more than one row take."""
    ends: dict[tuple[str, str], int] = {}
    for parent, child, kind in links:
        ends[parent, kind] = max(ends.get((parent, kind), 0), row_of[child])
    left = _POINTS_PER_NODE * len(row_of)
    trunks = set()
    for parent, kind in sorted(ends, key=lambda end: (ends[end] - row_of[end[0]], end)):
        left -= ends[parent, kind] - row_of[parent] - 1
        if left >= 0:
            trunks.add((parent, kind))
    rows: list[list[str | Joint]] = [[] for _ in range(max(row_of.values(), default=0) + 1)]
    for name, row in row_of.items():
        rows[row].append(name)
    above: dict[str | Joint, list[str | Joint]] = {}
    for link in links:
        parent, child, kind = link
        # Up the trunk from the child, as far as nobody was before.
        hanging: str | Joint = child
        row = row_of[child] - 1 if (parent, kind) in trunks else row_of[parent]
        while row > row_of[parent]:
            joint = Joint(parent, kind, row)
            above.setdefault(hanging, []).append(joint)
            if joint in above:
                break
            rows[row].append(joint)
            hanging, row = joint, row - 1
        else:
            above.setdefault(hanging, []).append(parent)
    return Layers(rows, row_of, above)

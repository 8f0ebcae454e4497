"""a lineage -> trees to read: each session below the one that it goes on from."""

from __future__ import annotations

from typing import NamedTuple

from sessiontail.directory.circles import circles_in
from sessiontail.directory.lineage import Lineage

__all__ = ["Family", "family_of"]

# A missing parent has a line where it joins so many; above a single child it says nothing more
# than that child's own list of parents.
_JOINS = 2


class Family(NamedTuple):
    """Trees of sessions; ids as text. Of several parents, a session stands below one."""

    #: Where a tree begins; the oldest first.
    roots: list[str]
    #: By id; the oldest first. Absent: none.
    children: dict[str, list[str]]


def family_of(lineage: Lineage) -> Family:
    """Return the sessions of a lineage as trees (``Lineage.goes_on_from``).

    A session whose parent is not among them begins one; so does the oldest of a cycle. A parent
    that has no file is shown where it joins two, and where it is the one that is asked about.
    """
    parents: dict[str, str] = {}
    children: dict[str, list[str]] = {}
    for node in lineage.nodes:
        edge = lineage.goes_on_from(node.id_text)
        if edge is not None and edge.parent != edge.child:
            parents[edge.child] = edge.parent
            children.setdefault(edge.parent, []).append(edge.child)
    for first, *_ in circles_in(lineage.by_id, children):
        children[parents.pop(first)].remove(first)
    focus = None if lineage.focus is None else str(lineage.focus)
    for node in lineage.nodes:
        name = node.id_text
        if node.missing and name != focus and len(children.get(name, ())) < _JOINS:
            for child in children.pop(name, ()):
                del parents[child]
    roots = [
        node.id_text
        for node in lineage.nodes
        if node.id_text not in parents
        and (not node.missing or node.id_text in children or node.id_text == focus)
    ]
    place = {node.id_text: i for i, node in enumerate(lineage.nodes)}
    # A parent without a file is as old as the oldest that it joins.
    roots.sort(key=lambda name: min(place[one] for one in (name, *children.get(name, ()))))
    return Family(roots, children)

"""sessions, and whose child each is -> ancestors, descendants, roots, cycles. No file, no wait.

Links are those that headers name, in the header's order, and those that are found by content: a
session's first rows are an earlier session's that its header does not name. A parent that has no
file is a node too: agents and merges are never persisted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from msgspec import Struct, field as named

from sessiontail.directory.circles import circles_in
from sessiontail.errors import PersistenceError, SessionNotFound
from sessiontail.format.brief import brief, counted, quoted, short
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.plain import SCHEMA, plain
from sessiontail.system.paths import parse_session_id

__all__ = ["Lineage", "LineageEdge", "LineageNode"]


class LineageNode(Struct, frozen=True, kw_only=True, gc=False):
    """One session; or a parent that has no file: then only its id is known."""

    #: ``id`` as text, and under that name in JSON.
    id_text: str = named(name="id")
    #: None: it has no file.
    state: SessionState | None = None
    #: Its first own user message, as one line; None where nobody has said anything.
    title: str | None = None
    created_at: datetime | None = None
    #: Rows that are its own; None: unknown.
    own_count: int | None = None
    #: How many of its first rows are copies of an earlier session's; None: unknown.
    inherited_count: int | None = None
    #: Its files, the one that is meant first; two where a closed session was opened again.
    files: tuple[str, ...] = ()

    def __repr__(self) -> str:
        title = "" if self.title is None else quoted(self.title)
        return brief(self, short(self.id_text), str(self.state or "missing"), title)

    @property
    def id(self) -> UUID:
        """The session's id."""
        return UUID(self.id_text)

    @property
    def missing(self) -> bool:
        """Whether it has no file."""
        return self.state is None

    def to_dict(self) -> dict[str, Any]:
        """Return the node as JSON has it; ``missing`` says whether it has no file."""
        return {**plain(self), "missing": self.missing}


class LineageEdge(Struct, frozen=True, gc=False):
    """One link: a child, and one of its parents; ids as text."""

    child: str
    parent: str
    #: Which of the parents in the child's header, from 0; None: found by content, and not named.
    position: int | None

    @property
    def by_content(self) -> bool:
        """Whether the child's first rows are the parent's, and its header does not name it."""
        return self.position is None

    def to_dict(self) -> dict[str, Any]:
        """Return the link as JSON has it: ``child, parent, by, position``; by header or content."""
        by = "content" if self.by_content else "header"
        return {"child": self.child, "parent": self.parent, "by": by, "position": self.position}


@dataclass(frozen=True, repr=False)
class Lineage:
    """Who descends from whom, in a directory or around one session.

    Args:
        nodes: the sessions, oldest first, then the parents that have no file.
        edges: by their child, in the order of the nodes; of one child as its header names them,
            then the one that is found by content.
        focus: the session that this is the lineage of; None: of all.
        skipped: files that are no sessions, with the reason.
    """

    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]
    focus: UUID | None = None
    skipped: tuple[PersistenceError, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        focus = "" if self.focus is None else f"of {short(self.focus)}"
        nodes, edges = counted(len(self.nodes), "node"), counted(len(self.edges), "edge")
        return brief(self, focus, nodes, edges)

    @cached_property
    def by_id(self) -> dict[str, LineageNode]:
        """The nodes by their ids, as text."""
        return {node.id_text: node for node in self.nodes}

    @cached_property
    def parents(self) -> dict[str, list[LineageEdge]]:
        """The links to its parents of each session that has some, by its id as text."""
        found: dict[str, list[LineageEdge]] = {}
        for edge in self.edges:
            found.setdefault(edge.child, []).append(edge)
        return found

    @cached_property
    def children(self) -> dict[str, list[LineageEdge]]:
        """The links to its children of each session that has some, by its id as text."""
        found: dict[str, list[LineageEdge]] = {}
        for edge in self.edges:
            found.setdefault(edge.parent, []).append(edge)
        return found

    def ancestors(self, session_id: UUID | str) -> tuple[UUID, ...]:
        """Return all that a session comes from, the nearest first: parents, then their parents.

        The order is that of openrath's ``ancestors_bfs``. A session in a cycle is its own ancestor.

        Raises:
            InvalidSessionId, SessionNotFound: that is no id, or no node's.
        """
        found: dict[str, None] = {}
        queue = deque(self.parents.get(self._known(session_id), ()))
        while queue:
            edge = queue.popleft()
            if edge.parent not in found:
                found[edge.parent] = None
                queue.extend(self.parents.get(edge.parent, ()))
        return tuple(map(UUID, found))

    def descendants(self, session_id: UUID | str) -> tuple[UUID, ...]:
        """Return all that come from a session, each before what comes from it.

        The order is that of openrath's ``descendants_dfs_preorder``: of the children of the session
        itself the youngest way first, further down the oldest. One in a cycle is its own descendant.

        Raises:
            InvalidSessionId, SessionNotFound: that is no id, or no node's.
        """
        found: dict[str, None] = {}
        stack = [*self.children.get(self._known(session_id), ())]
        while stack:
            edge = stack.pop()
            if edge.child not in found:
                found[edge.child] = None
                stack.extend(reversed(self.children.get(edge.child, ())))
        return tuple(map(UUID, found))

    @cached_property
    def cycles(self) -> tuple[tuple[UUID, ...], ...]:
        """Sessions that descend from themselves: each cycle the oldest first; the oldest cycle first."""
        return tuple(tuple(map(UUID, circle)) for circle in self._circles)

    @cached_property
    def roots(self) -> tuple[UUID, ...]:
        """Those that come from none; of a cycle that comes from none, the oldest."""
        inside: dict[str, int] = {
            name: i for i, circle in enumerate(self._circles) for name in circle
        }
        entered = {
            inside[edge.child]
            for edge in self.edges
            if edge.child in inside and inside.get(edge.parent) != inside[edge.child]
        }
        begins = {circle[0] for i, circle in enumerate(self._circles) if i not in entered}
        return tuple(
            node.id
            for node in self.nodes
            if node.id_text in begins or node.id_text not in self.parents
        )

    @cached_property
    def _circles(self) -> list[list[str]]:
        followers = {name: [edge.child for edge in edges] for name, edges in self.children.items()}
        found = circles_in(self.by_id, followers)
        place = {name: i for i, name in enumerate(self.by_id)}
        return sorted(found, key=lambda circle: place[circle[0]])

    def goes_on_from(self, session_id: UUID | str) -> LineageEdge | None:
        """Return the link to the one parent that a session stands below in a tree.

        That is where its rows are found, else the first parent that is there, else the first.

        Raises:
            InvalidSessionId, SessionNotFound: that is no id, or no node's.
        """
        edges = self.parents.get(self._known(session_id), ())
        found = [edge for edge in edges if edge.by_content]
        there = [edge for edge in edges if not self.by_id[edge.parent].missing]
        return next(iter([*found, *there, *edges]), None)

    def named(self) -> Lineage:
        """Return the same without the links that are found by content."""
        return replace(self, edges=tuple(edge for edge in self.edges if not edge.by_content))

    def around(
        self, session_id: UUID | str, *, ancestors: bool = True, descendants: bool = True
    ) -> Lineage:
        """Return the lineage of one session.

        Args:
            session_id: the session, or a parent that has no file.
            ancestors: with what it comes from.
            descendants: with what comes from it, and the other parents of that.

        Raises:
            InvalidSessionId, SessionNotFound: that is no id, or no node's.
        """
        focus = self._known(session_id)
        chosen = {focus}
        if ancestors:
            chosen.update(map(str, self.ancestors(focus)))
        if descendants:
            below = [*map(str, self.descendants(focus))]
            chosen.update(below)
            chosen.update(edge.parent for name in below for edge in self.parents[name])
        return Lineage(
            nodes=tuple(node for node in self.nodes if node.id_text in chosen),
            edges=tuple(e for e in self.edges if e.child in chosen and e.parent in chosen),
            focus=UUID(focus),
            skipped=self.skipped,
        )

    def find(self, text: str) -> list[UUID]:
        """Return the nodes whose ids begin so, those that have no file too."""
        begin = text.lower().replace("-", "")
        return [node.id for node in self.nodes if begin and node.id.hex.startswith(begin)]

    def to_dict(self) -> dict[str, Any]:
        """Return the lineage as JSON has it.

        ``nodes, edges, roots, cycles``; of one session also its id as ``focus``, and its
        ``ancestors`` and ``descendants``; of all, these three are null.
        """
        focus = self.focus
        return {
            "schema": SCHEMA,
            "focus": plain(focus),
            "ancestors": None if focus is None else plain(self.ancestors(focus)),
            "descendants": None if focus is None else plain(self.descendants(focus)),
            "nodes": [node.to_dict() for node in self.nodes],
            "edges": [edge.to_dict() for edge in self.edges],
            "roots": plain(self.roots),
            "cycles": plain(self.cycles),
        }

    def _known(self, session_id: UUID | str) -> str:
        name = str(parse_session_id(session_id))
        if name not in self.by_id:
            raise SessionNotFound(f"no session has the id {session_id}")
        return name

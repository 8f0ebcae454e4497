"""rows of sessions, each compared with earlier ones -> how many of its first rows are another's.

Sessions form a tree of rows: each branches off where it first differs from all that came before it,
and a step along the tree compares one row, however many sessions there are. Of a session only as
many rows are asked for as it takes to tell it from the others.
"""

from __future__ import annotations

from collections.abc import Iterator

from sessiontail.format.inheritance import Match, Order, Rows

__all__ = ["OutOfOrder", "RowTree", "Walk"]


class OutOfOrder(Exception):
    """An earlier session has rows that a later one is in the tree with: begin anew, in order."""


class _Branch:
    """Rows of one session, from where it differs from all before it."""

    __slots__ = ("branches", "ends", "origin", "rows", "shared")

    def __init__(self, rows: Rows | None, origin: _Branch | None, shared: int) -> None:
        #: The session's; None: of nobody, where all begin.
        self.rows = rows
        #: Whose branch it leaves, behind how many rows.
        self.origin = origin
        self.shared = shared
        #: Who leaves it: (rows before, the first that differs) -> branch. None: nobody.
        self.branches: dict[tuple[int, bytes], _Branch] | None = None
        #: Sessions that had no more rows than so many of this way when they were looked at.
        self.ends: dict[int, list[Walk]] | None = None

    def next(self, depth: int, digest: bytes, order: Order) -> _Branch | None:
        """Return the branch that goes on with a row; None where there is none.

        Raises:
            OutOfOrder: it is a later session's.
        """
        if self.rows is not None and self.rows.digest(depth) == digest:
            return self
        found = self.branches.get((depth, digest)) if self.branches else None
        if found is not None and found.rows is not None and found.rows.order > order:
            raise OutOfOrder
        return found

    def ended(self, depth: int) -> list[Walk]:
        """Return the walks that were not led on from there."""
        return [*self.ends.get(depth, ())] if self.ends else []

    def passed(self, before: Order) -> Iterator[tuple[int, Rows]]:
        """Yield sessions that are there, earlier, and came this way; and with how many of its rows.

        Of those that leave it at one place, one is enough.
        """
        for depth, walks in (self.ends or {}).items():
            for walk in walks:
                if not walk.rows.gone and walk.rows.order < before:
                    yield depth, walk.rows
        for (depth, _), branch in (self.branches or {}).items():
            some = branch.some(before)
            if some is not None:
                yield depth, some

    def some(self, before: Order) -> Rows | None:
        """Return a session of this branch, or of one that leaves it, which is there, and earlier."""
        branches = [self]
        for branch in branches:
            rows = branch.rows
            if rows is not None and not rows.gone and rows.order < before:
                return rows
            for walks in (branch.ends or {}).values():
                for walk in walks:
                    if not walk.rows.gone and walk.rows.order < before:
                        return walk.rows
            branches += (branch.branches or {}).values()
        return None

    def fall(self) -> None:
        """Leave the tree, if nobody comes this way any more; so do those before it that are gone."""
        branch = self
        while (origin := branch.origin) is not None and not (branch.branches or branch.ends):
            assert branch.rows is not None
            first = branch.rows.digest(branch.shared)
            key = (branch.shared, first or b"")
            if (
                not branch.rows.gone
                or not origin.branches
                or origin.branches.get(key) is not branch
            ):
                return
            del origin.branches[key]
            branch = origin


class Walk:
    """One session's way through the tree."""

    __slots__ = ("_branch", "_depth", "_own", "rows", "walking")

    def __init__(self, rows: Rows, root: _Branch) -> None:
        self.rows = rows
        self._branch = root
        self._depth = 0
        # Whether it has left the ways of others.
        self._own = False
        #: Whether it is being compared further just now.
        self.walking = False

    def go_on(self) -> None:
        """Compare the rows that were not compared yet.

        Raises:
            OutOfOrder: a later session with the same rows is in the tree.
        """
        # Others may have to go on first, and others before these: no recursion, they are hundreds.
        walks = [self]
        try:
            while walks:
                walk = walks[-1]
                walk.walking = True
                before = walk.advance()
                if before:
                    walks += before
                else:
                    walks.pop().walking = False
        finally:
            for walk in walks:
                walk.walking = False

    def advance(self) -> list[Walk]:
        """Compare rows, up to where others have to go on first: return these."""
        self._leave_end()
        while not self._own and (digest := self.rows.digest(self._depth)) is not None:
            branch, depth, order = self._branch, self._depth, self.rows.order
            # An earlier one that waits here, and has more by now: who copies it must find that.
            before = [
                other
                for other in branch.ended(depth)
                if not other.walking
                and other.rows.order < order
                and other.rows.digest(depth) is not None
            ]
            if before:
                return before
            found = branch.next(depth, digest, order)
            if found is None:
                found = _Branch(self.rows, branch, depth)
                branch.branches = branch.branches or {}
                branch.branches[depth, digest] = found
                self._own = True
            else:
                self._depth += 1
            self._branch = found
        if not self._own:
            branch = self._branch
            branch.ends = branch.ends or {}
            branch.ends.setdefault(self._depth, []).append(self)
        return []

    def _leave_end(self) -> None:
        ends = self._branch.ends
        waiting = ends.get(self._depth) if ends else None
        if not self._own and ends and waiting is not None and self in waiting:
            waiting.remove(self)
            if not waiting:
                del ends[self._depth]

    def leave(self) -> None:
        """Note that its file is gone; where nobody else comes this way, leave the tree."""
        assert self.rows.gone
        self._leave_end()
        self._branch.fall()

    def match(self) -> Match:
        """Return what it has in common with those before it."""
        branch, depth = self._branch, self._depth
        if self._own:
            assert branch.origin is not None
            depth, branch = branch.shared, branch.origin
        settled = self._own or self.rows.finished
        depth, branch, origin = self._backed(branch, depth)
        answered = self.rows.answered(depth)
        if not answered:
            # Two chats may both begin with "hello", but not with one summary.
            for end, where in self._way_back(branch, depth, 1):
                summary = self._ended_at(where, end)
                if summary is not None and summary.sums_up:
                    return Match(end, depth, settled, summary)
            return Match(0, depth, settled, None)
        # A question behind the end of a session is the next one's, though it was asked before.
        for end, where in self._way_back(branch, depth, answered):
            ended = self._ended_at(where, end)
            if ended is not None:
                return Match(end, depth, settled, ended)
        return Match(depth, depth, settled, origin)

    def _backed(self, branch: _Branch, depth: int) -> tuple[int, _Branch, Rows | None]:
        """Return how much of its way others have that are there, and one that has it."""
        where: _Branch | None = branch
        while where is not None and where.rows is not None:
            if not where.rows.gone:
                return depth, where, where.rows
            passed = ((min(at, depth), rows) for at, rows in where.passed(self.rows.order))
            most = max(passed, key=lambda found: found[0], default=(0, None))
            if most[0] > where.shared:
                return most[0], where, most[1]
            depth, where = min(depth, where.shared), where.origin
        return 0, branch, None

    @staticmethod
    def _way_back(branch: _Branch, depth: int, least: int) -> Iterator[tuple[int, _Branch]]:
        where: _Branch | None = branch
        for end in range(depth, least - 1, -1):
            while where is not None and where.shared >= end:
                where = where.origin
            if where is None:
                return
            yield end, where

    def _ended_at(self, where: _Branch, end: int) -> Rows | None:
        """Return an earlier session that has so many rows of this way, and no more."""
        order = self.rows.order
        owner = [where.rows] if where.rows is not None else []
        for rows in (*owner, *(walk.rows for walk in where.ended(end) if walk is not self)):
            if not rows.gone and rows.order < order and rows.digest(end) is None:
                return rows
        return None


class RowTree:
    """The rows of the sessions of a directory."""

    def __init__(self) -> None:
        self._root = _Branch(None, None, 0)

    def add(self, rows: Rows) -> Walk:
        """Add a session, once those that are earlier are in the tree; compare what it has now.

        Raises:
            OutOfOrder: a later one with the same rows is in the tree.
        """
        walk = Walk(rows, self._root)
        walk.go_on()
        return walk

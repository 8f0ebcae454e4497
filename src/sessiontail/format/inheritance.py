"""rows of sessions, each compared with earlier ones -> how many of its first rows are another's.

openrath writes a new session each turn, and each begins with a copy of the rows before it: the same
bytes behind another header. Who they are copied from is often not named, or has no file, so what
counts is content. Sessions form a tree of rows: each branches off where it first differs from all
that came before it, and a step along the tree compares one row, however many sessions there are.

Source: openrath 2.0.0, ``rath.session.loop`` (the rows of its first parent, then its own) and
``rath.session.primitives`` (fork, detach and merge copy rows, and write no file).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Protocol, TypeAlias

from msgspec import Struct

from sessiontail.format.records import Header, LineageKind

__all__ = [
    "DIGEST_BYTES",
    "Match",
    "Order",
    "OutOfOrder",
    "RowTree",
    "Rows",
    "Walk",
    "common",
    "digest_of",
    "may_inherit",
]

# 16 bytes of blake2b: rows that are not the same have the same one in 2**64 by chance.
DIGEST_BYTES = 16

#: Which of two sessions is earlier: by their ``created_at``, then by what tells them apart.
Order: TypeAlias = tuple[datetime, int, int, str]


def digest_of(line: bytes) -> bytes:
    """Return what stands for a row: a chunk's line, its newline included."""
    return blake2b(line, digest_size=DIGEST_BYTES).digest()


# What begins with rows of its own, unless it names a parent.
_BEGINNINGS = {
    LineageKind.UNKNOWN,
    LineageKind.LEAF_USER,
    LineageKind.LEAF_SYSTEM,
    LineageKind.OP_CREATE,
}


def may_inherit(header: Header) -> bool:
    """Say whether a session can begin with another's rows, by what its header says.

    One that names no parent and was not made from another begins anew: that two chats are given
    the same examples to begin with makes none of them the other's child.
    """
    return bool(header.parent_session_ids) or header.lineage_kind not in _BEGINNINGS


class OutOfOrder(Exception):
    """An earlier session has rows that a later one is in the tree with: begin anew, in order."""


class Rows(Protocol):
    """The rows of one session: the chunks behind its header, up to its first line that is none."""

    #: Which file's.
    name: str
    #: Whether there will be no more.
    finished: bool

    @property
    def order(self) -> Order:
        """Which of two sessions is earlier."""

    def digest(self, index: int) -> bytes | None:
        """Return what stands for a row; None where there is none, now."""

    def answered(self, count: int) -> int:
        """Return how many rows there are up to the last assistant's among the first ``count``."""


class Match(Struct, frozen=True, gc=False):
    """How many of a session's first rows are another's."""

    #: So many are known to be.
    count: int
    #: So many are the same so far, and the rest of them proves nothing yet.
    undecided: int
    #: Whether that is all, whatever comes.
    settled: bool
    #: Whose they are: the last session that has all of them; None: nobody's.
    origin: Rows | None


def common(rows: Rows, parent: Rows) -> Match:
    """Compare a session with its first parent, which is there: it alone counts."""
    count = 0
    while (digest := rows.digest(count)) is not None and digest == parent.digest(count):
        count += 1
    settled = digest is not None or rows.finished
    return Match(count, count, settled, parent if count else None)


class _Branch:
    """Rows of one session, from where it differs from all before it."""

    __slots__ = ("branches", "ends", "origin", "rows", "shared")

    def __init__(self, rows: Rows | None, origin: _Branch | None, shared: int) -> None:
        #: The session's; None: of nobody, where all begin.
        self.rows = rows
        #: Whose branch it leaves, behind how many rows.
        self.origin = origin
        self.shared = shared
        #: Who leaves it: (rows before, the first that differs) -> branch.
        self.branches: dict[tuple[int, bytes], _Branch] = {}
        #: Sessions that have no more rows, now, than so many of this way.
        self.ends: dict[int, list[Walk]] = {}

    def next(self, depth: int, digest: bytes, order: Order) -> _Branch | None:
        """Return the branch that goes on with a row; None where there is none.

        Raises:
            OutOfOrder: it is a later session's.
        """
        if self.rows is not None and self.rows.digest(depth) == digest:
            return self
        found = self.branches.get((depth, digest))
        if found is not None and found.rows is not None and found.rows.order > order:
            raise OutOfOrder
        return found


class Walk:
    """One session's way through the tree."""

    __slots__ = ("_branch", "_depth", "_own", "_walking", "rows")

    def __init__(self, rows: Rows, root: _Branch) -> None:
        self.rows = rows
        self._branch = root
        self._depth = 0
        # Whether it has left the ways of others.
        self._own = False
        self._walking = False

    def go_on(self) -> None:
        """Compare the rows that were not compared yet."""
        if self._own or self._walking:
            return
        self._walking = True
        try:
            self._leave_end()
            while (digest := self.rows.digest(self._depth)) is not None:
                if self._step(digest):
                    return
            self._branch.ends.setdefault(self._depth, []).append(self)
        finally:
            self._walking = False

    def _step(self, digest: bytes) -> bool:
        """Compare one row; True: it is its own, and so are all behind it."""
        branch, depth, rows = self._branch, self._depth, self.rows
        for other in [*branch.ends.get(depth, ())]:
            # It may have more by now: who copies it must find that.
            if not other.rows.finished and other.rows.order < rows.order:
                other.go_on()
        found = branch.next(depth, digest, rows.order)
        if found is None:
            found = branch.branches[depth, digest] = _Branch(rows, branch, depth)
            self._own = True
        else:
            self._depth += 1
        self._branch = found
        return self._own

    def _leave_end(self) -> None:
        waiting = self._branch.ends.get(self._depth)
        if waiting is not None and self in waiting:
            waiting.remove(self)
            if not waiting:
                del self._branch.ends[self._depth]

    def leave(self) -> bool:
        """Take it out of the tree; False: other sessions' ways lead through its rows."""
        branch = self._branch
        if not self._own:
            self._leave_end()
            return True
        origin = branch.origin
        assert origin is not None
        first = self.rows.digest(branch.shared)
        if branch.branches or branch.ends or first is None:
            return False
        if origin.branches.get((branch.shared, first)) is branch:
            del origin.branches[branch.shared, first]
        return True

    def match(self) -> Match:
        """Return what it has in common with those before it."""
        branch, depth = self._branch, self._depth
        if self._own:
            assert branch.origin is not None
            depth, branch = branch.shared, branch.origin
        settled = self._own or self.rows.finished
        answered = self.rows.answered(depth)
        if not answered:
            # Two chats may both begin with "hello".
            return Match(0, depth, settled, None)
        # A question behind the end of a session is the next one's, though it was asked before.
        for end, where in self._way_back(branch, depth, answered):
            ended = self._ended_at(where, end)
            if ended is not None:
                return Match(end, depth, settled, ended)
        return Match(depth, depth, settled, branch.rows)

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
        rows = where.rows
        if rows is not None and rows.digest(end) is None:
            return rows
        for walk in where.ends.get(end, ()):
            if walk is not self and walk.rows.order < self.rows.order:
                return walk.rows
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

"""rows of a session, and what its header says -> how many of the first are its parent's.

openrath writes a new session each turn, and each begins with a copy of the rows before it: the same
bytes behind another header. Who they are copied from is often not named, or has no file, so what
counts is content, unless the session that it names is there.

Source: openrath 2.0.0, ``rath.session.loop`` (the rows of its first parent, then its own) and
``rath.session.primitives`` (fork, detach and merge copy rows, and write no file).
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Protocol, TypeAlias

from msgspec import Struct

from sessiontail.format.records import Header, LineageKind

__all__ = [
    "DIGEST_BYTES",
    "Match",
    "Order",
    "Rows",
    "common",
    "digest_of",
    "may_inherit",
    "sums_up",
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


def sums_up(kind: LineageKind) -> bool:
    """Say whether a session of this kind is the summary of another: one row, a user's.

    Source: openrath 2.0.0, ``rath.session.compress``.
    """
    return kind is LineageKind.OP_SESSION_COMPRESS


class Rows(Protocol):
    """The rows of one session: the chunks behind its header, up to its first line that is none."""

    #: Which file's.
    name: str
    #: Whether there will be no more.
    finished: bool
    #: Whether it sums another up: what it says is nobody else's, so that a copy needs no answer.
    sums_up: bool
    #: Whether its file is gone: others may have copies, and it counts no more itself.
    gone: bool

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

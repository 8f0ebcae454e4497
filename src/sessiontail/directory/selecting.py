"""metas -> those that are meant, in an order, a page at a time.

A page begins behind the place where the one before has ended, and not behind so many rows. By when they
were created, sessions keep their places: one that comes, goes or grows between two pages makes no other
one come twice or be missed. By what changes, this holds for those that do not change meanwhile.
Nothing here opens or waits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest, nsmallest
from typing import Any, NamedTuple, Protocol

from sessiontail.directory.outlines import SessionOutline
from sessiontail.errors import CursorInvalid
from sessiontail.format.cursor import as_token, damaged_cursor, from_token
from sessiontail.format.lifecycle import SessionState
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.paths import WAL_ENDING

__all__ = ["ORDERS", "SORTS", "MetaPage", "Selection", "mentions", "page_of"]

# The first one is the largest.
_STATES = (
    SessionState.CLOSED,
    SessionState.LIVE,
    SessionState.ABANDONED,
    SessionState.UNKNOWN,
)

#: What sessions are sorted by.
ORDERS: dict[str, Callable[[PersistedSessionMeta], Any]] = {
    "created": lambda meta: meta.created_at,
    "modified": lambda meta: meta.modified_at,
    "size": lambda meta: meta.size_bytes,
    "chunks": lambda meta: meta.chunk_count,
    # Unknown comes last.
    "tokens": lambda meta: meta.cumulative_usage.total_tokens if meta.cumulative_usage else -1,
    "state": lambda meta: -_STATES.index(meta.state),
    "id": lambda meta: meta.id_text,
}
#: What ``page_of`` sorts by; with a minus the largest or newest comes first.
SORTS = tuple(
    sign + name for name in ("created", "modified", "size", "chunks") for sign in ("-", "")
)

_PREFIX = "st1l."


class Dated(Protocol):
    """What says when a session was created, and how it stands: its meta, or its audit."""

    @property
    def id_text(self) -> str | None:
        """Its id."""

    @property
    def state(self) -> str:
        """How it stands."""

    @property
    def created_at(self) -> datetime | None:
        """None: without a header, nothing says when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which sessions of a directory are meant: by default all."""

    #: With one of these ids; none: with any.
    ids: Collection[str] = ()
    #: In one of these states; none: in any.
    states: Collection[str] = ()
    #: Created at or after this moment.
    since: datetime | None = None
    #: Created before this moment.
    until: datetime | None = None

    def takes(self, one: Dated) -> bool:
        """Say whether a session is meant; one that cannot be placed in time is not."""
        if not self._fits(one):
            return False
        at = one.created_at
        if at is None:
            return not self._asks_when
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)

    def cannot_place(self, one: Dated) -> bool:
        """Say whether a session is left out because nothing says when it was created."""
        return self._asks_when and one.created_at is None and self._fits(one)

    @property
    def _asks_when(self) -> bool:
        return self.since is not None or self.until is not None

    def _fits(self, one: Dated) -> bool:
        return (not self.ids or one.id_text in self.ids) and (
            not self.states or one.state in self.states
        )


def mentions(outline: SessionOutline, text: str) -> bool:
    """Say whether a text is in a session's id, title or lineage operator, in any case of letters."""
    wanted, meta = text.casefold(), outline.meta
    told = (meta.id_text, meta.lineage_operator, outline.title or "")
    return any(wanted in one.casefold() for one in told)


class MetaPage(NamedTuple):
    """Some sessions, in their order."""

    metas: list[PersistedSessionMeta]
    #: Where the next page begins; None: there is none.
    next: str | None


class _Place(NamedTuple):
    """The last session of a page."""

    sort: str
    #: A moment of any zone, or a number of any size: a header says what it likes.
    key: str
    session_id: str
    #: Its file, which may have a name of any bytes: of copies of a session each has its place.
    name: bytes


def page_of(
    metas: Iterable[PersistedSessionMeta], *, sort: str, limit: int, after: str | None = None
) -> MetaPage:
    """Return the first sessions of an order, or the first behind a place.

    Args:
        metas: of all that are meant.
        sort: one of ``SORTS``.
        limit: so many at most.
        after: ``next`` of the page before.

    Raises:
        CursorInvalid: ``after`` is none, or of another order.
    """
    key = ORDERS[sort.removeprefix("-")]
    metas = [*metas]
    files = {meta.file for meta in metas}
    keyed = ((key(meta), meta.id_text, _name(meta.file, files), meta) for meta in metas)
    falling = sort.startswith("-")
    if after is not None:
        behind = _place_of(after, sort)
        # Two are never equal: nothing compares the metas.
        keyed = (one for one in keyed if (one[:3] < behind if falling else one[:3] > behind))
    first = (nlargest if falling else nsmallest)(limit + 1, keyed, key=lambda one: one[:3])
    rows = [one[3] for one in first[:limit]]
    if len(first) <= limit:
        return MetaPage(rows, None)
    last, session_id, name, _ = first[limit - 1]
    text = last.isoformat() if isinstance(last, datetime) else format(last, "x")
    return MetaPage(rows, as_token(_PREFIX, _Place(sort, text, session_id, os.fsencode(name))))


def _place_of(token: str, sort: str) -> tuple[datetime | int, str, str]:
    place = from_token(_PREFIX, token, _Place)
    if place.sort != sort:
        raise CursorInvalid(f"the cursor is of the order {place.sort[:20]!r}, not {sort!r}")
    of_time = sort.removeprefix("-") in {"created", "modified"}
    try:
        key = datetime.fromisoformat(place.key) if of_time else int(place.key, 16)
    except ValueError as error:
        raise damaged_cursor() from error
    if isinstance(key, datetime) and key.tzinfo is None:
        raise damaged_cursor()
    return key, place.session_id, os.fsdecode(place.name)


def _name(file: str, files: Collection[str]) -> str:
    # A session that is closed keeps its place; of one that was opened again, each file has its own.
    closed = file.removesuffix(WAL_ENDING)
    kept = file if file != closed and closed in files else closed
    return kept.rpartition("/")[2]

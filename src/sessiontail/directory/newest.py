"""metas -> the newest first, from a spot on: an order that stays while sessions begin, grow and close."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.paths import WAL_ENDING

__all__ = ["Spot", "newest_first"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Spot(NamedTuple):
    """Where a file stands in the order; the same before and after its session is closed."""

    #: Microseconds since 1970.
    created_us: int
    session_id: str
    name: str
    #: Of two files of a session that was opened again, the later one is 0 and the other 1.
    generation: int = 0


def newest_first(
    metas: Iterable[PersistedSessionMeta], start: Spot | None = None
) -> list[tuple[Spot, PersistedSessionMeta]]:
    """Return metas by when their sessions were created, the newest first, each with its spot.

    Args:
        metas: in any order.
        start: only those from this spot on, which may be gone.
    """
    keyed = [(_spot(meta), meta.file, meta) for meta in metas]
    keyed.sort(key=lambda one: one[:2], reverse=True)
    ordered: list[tuple[Spot, PersistedSessionMeta]] = []
    for spot, _, meta in keyed:
        before = ordered[-1][0] if ordered else None
        if before is not None and before[:3] == spot[:3]:
            ordered.append((spot._replace(generation=before.generation + 1), meta))
        else:
            ordered.append((spot, meta))
    if start is None:
        return ordered
    return [
        (spot, meta)
        for spot, meta in ordered
        if spot[:3] < start[:3] or (spot[:3] == start[:3] and spot.generation >= start.generation)
    ]


def _spot(meta: PersistedSessionMeta) -> Spot:
    # Not as text in UTC: within a day of the year 1 or 9999 there is none.
    created_us = (meta.created_at - _EPOCH) // timedelta(microseconds=1)
    return Spot(created_us, meta.id_text, meta.path.name.removesuffix(WAL_ENDING))

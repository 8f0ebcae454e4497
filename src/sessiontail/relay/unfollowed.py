"""files that nobody follows, and that Redis has -> told of once they are gone.

Of a session that was opened again, its new file is followed; what becomes of the closed file beside
it, nobody tells. And where the new one goes while no relay runs, nobody tells of that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

import anyio

from sessiontail.format.lifecycle import EventKind
from sessiontail.relay.outgoing import Change, Outgoing
from sessiontail.system.files import in_thread
from sessiontail.system.paths import split_name, stem_paths

__all__ = ["find_deleted", "watch_unfollowed"]

_LOOK_S = 5.0


async def find_deleted(
    directory: Path,
    outgoing: Outgoing,
    followed: Collection[str],
    put: Callable[[Change | None], None],
) -> None:
    """Tell of sessions whose files went while no relay ran.

    Args:
        directory: of the files.
        outgoing: knows what Redis has.
        followed: sessions of which it is told anyway.
        put: takes a change.
    """
    if not outgoing.known:
        return
    there = await in_thread(_stems, directory, place=str(directory))
    if there is None:  # the directory is gone, and may come back
        return
    for stem in {*outgoing.known} - {*followed} - there:
        put(outgoing.event(stem, EventKind.DELETED, None))


async def watch_unfollowed(
    directory: Path,
    outgoing: Outgoing,
    is_followed: Callable[[str], bool],
    put: Callable[[Change | None], None],
) -> None:
    """Look now and then, until cancelled.

    Args:
        directory: of the files.
        outgoing: knows what Redis has.
        is_followed: says whether something is still to be told of a session.
        put: takes a change.
    """
    while True:
        known = outgoing.known
        # Nearly all are closed.
        asked = {stem: one for stem, one in known.items() if one.state in ("live", "abandoned")}
        beside = [stem for stem, one in asked.items() if one.closed is not None]
        running = [stem for stem in asked if not is_followed(stem)]
        if beside or running:
            closed, wals = await in_thread(_gone, directory, beside, running, place=str(directory))
            for stem in wals:
                if known.get(stem) is asked[stem] and not is_followed(stem):
                    has_closed = asked[stem].closed is not None and stem not in closed
                    kind = EventKind.REPLACED if has_closed else EventKind.DELETED
                    put(outgoing.event(stem, kind, None))
            for stem in closed:
                one = known.get(stem)
                if one is not None and one.closed is asked[stem].closed is not None:
                    put(outgoing.alone(stem))
        await anyio.sleep(_LOOK_S)


def _stems(directory: Path) -> set[str] | None:
    """Return the stems of all session files; None where there is no directory."""
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names, not paths
    except OSError:
        return None
    return {split[0] for split in map(split_name, names) if split}


def _gone(
    directory: Path, beside: Collection[str], running: Collection[str]
) -> tuple[list[str], list[str]]:
    """Return those that have no closed file, and no WAL; none where the directory is gone, too."""
    if not directory.is_dir():
        return [], []
    return (
        [stem for stem in beside if not stem_paths(stem, directory).final.exists()],
        [stem for stem in running if not stem_paths(stem, directory).wal.exists()],
    )

"""a pattern, a directory and a place -> the next matches, and where the next ones begin.

Sessions are searched from the newest to the oldest, by when they were created, so that the order stays
while others begin and grow: a page that follows another has none of its matches, and none between
them is missing. What a session says after it was searched is not looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Unpack

import anyio

from sessiontail.directory.newest import Spot, newest_first
from sessiontail.directory.scan import Scan
from sessiontail.directory.search import search
from sessiontail.directory.search_options import SearchOptions
from sessiontail.format.cursor import as_token, from_token
from sessiontail.session.asking import Match
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.files import in_thread

__all__ = ["SearchPage", "search_page"]

_PREFIX = "st1s."
# Files that are searched in one go: 32 MiB are 0.3 s of decoding at most.
_AT_ONCE_BYTES = 32 * 1024 * 1024
_AT_ONCE = 256


class _Place(NamedTuple):
    """Which file is searched next, and behind which match in it."""

    spot: Spot
    line: int = 0
    #: So many matches of that line were told.
    told: int = 0


@dataclass
class SearchPage:
    """Some matches, the newest session first, in each by lines."""

    matches: list[Match] = field(default_factory=list)
    #: Where the next page begins; None: all was searched.
    next: str | None = None
    #: Files that were searched, of how many that were left when the page began.
    searched: int = 0
    total: int = 0
    #: Sessions that were not searched to their end: it took too long, or they cannot be read.
    unfinished: list[str] = field(default_factory=list)


async def search_page(
    pattern: str,
    *,
    directory: Path,
    limit: int,
    seconds: float,
    after: str | None = None,
    **options: Unpack[SearchOptions],
) -> SearchPage:
    """Search until there are enough matches, or the time is up.

    Args:
        pattern: what is searched for, as ``search`` takes it.
        directory: where the session files lie.
        limit: so many matches at most.
        seconds: so long, and once more where a single session takes longer.
        after: ``next`` of the page before; the question must be the same.
        options: of ``search``, but for ``paths`` and ``max_per_session``.

    Raises:
        CursorInvalid: ``after`` is none.
        InvalidPattern, PatternTooSlow: as ``search``.
        PersistenceError: the directory cannot be read.
    """
    search(pattern, directory=directory, **options).close()  # refuses what cannot be meant
    place = None if after is None else from_token(_PREFIX, after, _Place)
    until = anyio.current_time() + seconds
    ids = options.pop("ids", None)
    chosen = None if ids is None else {str(one) for one in ids}
    metas = await Scan(directory, cache=True).rest()
    if chosen is not None:
        metas = [meta for meta in metas if meta.id_text in chosen]
    left = await in_thread(newest_first, metas, None if place is None else place.spot)
    page = SearchPage(total=len(left))
    while left:
        late = anyio.current_time() >= until
        if len(page.matches) == limit or (late and page.searched):
            page.next = as_token(_PREFIX, _Place(left[0][0]))
            return page
        # Within a single file matches come in their order, so that it is left at the last one.
        inside = place is not None and place.line and left[0][0] == place.spot
        some = left[:1] if late or inside else _some(left)
        wanted = limit - len(page.matches)
        found, done, unread = await _search(
            pattern,
            directory,
            [meta for _, meta in some],
            options,
            wanted=wanted,
            deadline=anyio.current_time() + seconds if len(some) == 1 else until,
            behind=place if inside else None,
        )
        if not done and len(some) > 1:
            continue  # it is late now
        page.matches += found[:wanted]
        if len(found) > wanted:
            page.next = as_token(_PREFIX, _behind(page.matches, some, place if inside else None))
            return page
        page.unfinished += unread if done else [some[0][1].id_text]
        page.searched += len(some)
        left = left[len(some) :]
    return page


async def _search(
    pattern: str,
    directory: Path,
    metas: Sequence[PersistedSessionMeta],
    options: SearchOptions,
    *,
    wanted: int,
    deadline: float,
    behind: _Place | None,
) -> tuple[list[Match], bool, list[str]]:
    """Return the matches in some files, whether these are all, and which cannot be read.

    More than are wanted may come, or one more.
    """
    order = {meta.file: i for i, meta in enumerate(metas)}
    asked: SearchOptions = {**options, "paths": [*order]}
    if len(metas) > 1:
        asked["max_per_session"] = wanted + 1
    found: list[Match] = []
    told: tuple[int, int] = (0, 0)
    done = False
    searching = search(pattern, directory=directory, **asked)
    async with searching:
        with anyio.CancelScope(deadline=deadline):
            async for match in searching:
                line = match.line or 0
                told = line, told[1] + 1 if told[0] == line else 1
                if behind is not None and told <= (behind.line, behind.told):
                    continue
                found.append(match)
                if len(metas) == 1 and len(found) > wanted:
                    break
            done = True
    found.sort(key=lambda match: order.get(match.file or "", 0))
    names = {meta.path.name: meta.id_text for meta in metas}
    unread = [names[e.path.name] for e in searching.failed if e.path and e.path.name in names]
    return found, done, unread


def _some(
    left: Sequence[tuple[Spot, PersistedSessionMeta]],
) -> Sequence[tuple[Spot, PersistedSessionMeta]]:
    """Return what is searched in one go."""
    size = count = 0
    for _, meta in left[:_AT_ONCE]:
        size += meta.size_bytes
        if count and size > _AT_ONCE_BYTES:
            break
        count += 1
    return left[:count]


def _behind(
    matches: Sequence[Match],
    searched: Sequence[tuple[Spot, PersistedSessionMeta]],
    before: _Place | None,
) -> _Place:
    """Return the place behind the last of some matches."""
    last = matches[-1]
    spot = next(spot for spot, meta in searched if meta.file == last.file)
    told = sum(1 for match in matches if match.file == last.file and match.line == last.line)
    if before is not None and before.line == last.line:
        told += before.told  # of this line, on the pages before
    return _Place(spot, last.line or 0, told)

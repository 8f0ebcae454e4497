"""metas of a directory -> each with its own rows, what it is about, and whose child it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec import Struct

from sessiontail.directory.ancestry import ancestry_of
from sessiontail.directory.heads import Heads
from sessiontail.directory.kept_outlines import Added, KeptOutlines
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.session.sieve import UNKNOWN, Inherited
from sessiontail.session.title import title_of
from sessiontail.system.files import SessionFile, in_thread
from sessiontail.system.kept import Kept
from sessiontail.system.objects import begun_ahead
from sessiontail.system.paths import path_paths
from sessiontail.system.stamps import FileId

__all__ = ["SessionOutline", "outlines_of"]

# So many files a hop into a thread: 5 ms.
_AT_ONCE = 64


class SessionOutline(Struct, frozen=True, gc=False):
    """One session of a directory, and what it adds to those before it."""

    meta: PersistedSessionMeta
    #: How many of its first rows are copies of an earlier session's; None: unknown.
    inherited_count: int | None
    #: ``parent`` as text.
    parent_text: str | None
    #: Its first own user message, as one line; None where nobody has said anything.
    title: str | None

    @property
    def parent(self) -> UUID | None:
        """The session that it goes on from: its first parent, or where its rows are found."""
        return None if self.parent_text is None else UUID(self.parent_text)

    @property
    def own_count(self) -> int:
        """Rows that are its own; all, where it is unknown which are not."""
        return max(0, self.meta.chunk_count - (self.inherited_count or 0))

    def to_dict(self) -> dict[str, Any]:
        """Return the meta as JSON has it, and ``inherited_count, own_count, parent, title``."""
        return {
            **self.meta.to_dict(),
            "inherited_count": self.inherited_count,
            "own_count": self.own_count,
            "parent": self.parent_text,
            "title": self.title,
        }


async def outlines_of(
    metas: Sequence[PersistedSessionMeta],
    directory: Path,
    *,
    among: Sequence[PersistedSessionMeta] | None = None,
    progress: Callable[[int], None] | None = None,
    cache: bool = False,
) -> list[SessionOutline]:
    """Return the outlines of sessions, in the order of their metas.

    Args:
        metas: of one directory.
        directory: where their files lie.
        among: all of that directory: parents are looked for among them; by default ``metas``.
        progress: called now and then with the number of those that are done.
        cache: whether what earlier processes have read is taken from the user's cache, where there
            are many sessions, and what is read is kept there.
    """
    place = str(directory)
    among = metas if among is None else among
    ids = {meta.id_text for meta in among}
    heads, kept = Heads(ancestry_of(directory), directory, among), KeptOutlines(directory, among)
    found: list[SessionOutline] = []
    try:
        if cache and await in_thread(kept.recall, ancestry_of(directory), place=place):
            await in_thread(heads.recall, place=place)
        for i in range(0, len(metas), _AT_ONCE):
            some = metas[i : i + _AT_ONCE]
            found += await in_thread(_outlines, some, directory, ids, heads, kept, place=place)
            if progress is not None:
                progress(len(found))
        await in_thread(kept.keep, place=place)
        await in_thread(heads.keep, place=place)
    finally:
        heads.close()
    return found


def _outlines(
    metas: Sequence[PersistedSessionMeta],
    directory: Path,
    ids: set[str],
    heads: Heads,
    kept: KeptOutlines,
) -> list[SessionOutline]:
    return [*_each(metas, directory, ids, heads, kept)]


def _each(
    metas: Sequence[PersistedSessionMeta],
    directory: Path,
    ids: set[str],
    heads: Heads,
    kept: KeptOutlines,
) -> Iterator[SessionOutline]:
    ancestry = ancestry_of(directory)
    for meta in begun_ahead(metas, attrgetter("file")):
        added = kept.get(meta.file)
        if added is None:
            inherited = ancestry.inherited(path_paths(meta.file).oldest_first, meta.file_id)
            origin = None if inherited.origin is None else str(inherited.origin)
            added = Added(inherited.count, origin, _title(meta, inherited, heads))
            kept.note(meta.file, added)
        # Where it has rows of another, that is the one; a summary has none of the one it names.
        parent = added.origin
        named = next(iter(meta.parent_texts), None)
        if not added.count and named in ids and named != meta.id_text:
            parent = named
        yield SessionOutline(meta, added.count, parent, added.title)


#: Of files as they were, with where their own rows began.
_titles: Kept[tuple[FileId, int, int, int], str] = Kept(10_000)


def _title(meta: PersistedSessionMeta, inherited: Inherited, heads: Heads) -> str | None:
    key = (meta.file_id, meta.size_bytes, meta.mtime_ns, inherited.end)
    # What is to be kept is read: the key does not tell all that a stamp tells.
    title: str | None = None if heads.asked else _titles.get(key)
    if title is None and inherited is not UNKNOWN:
        recalled = heads.title(meta.file_id, inherited.end)
        if recalled is not None:
            (title,) = recalled
        else:
            with suppress(OSError):
                file = SessionFile(meta.file)
                try:
                    title = title_of(file, inherited.end)
                finally:
                    file.close()
                heads.note(meta.file_id, inherited.end, title)
        _titles.put(key, title or "")
    return title or None

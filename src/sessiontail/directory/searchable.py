"""a directory that is read and followed -> the search of it: a part of ``SessionStore``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, Unpack
from uuid import UUID

from sessiontail.directory.search import Search, search
from sessiontail.directory.search_following import FollowingSearch
from sessiontail.directory.search_options import SearchOptions, question_of
from sessiontail.directory.tail import DirectoryTail
from sessiontail.format.lifecycle import EventKind
from sessiontail.system.paths import parse_session_id

__all__ = ["Searchable"]


class _Followed(Protocol):
    """What a live search is made of."""

    def tail_all(
        self,
        *,
        include_closed: bool,
        inherited: Literal["include", "skip"],
        on_event: Callable[[UUID, EventKind], None] | None,
        on_directory: Callable[[bool], None] | None,
    ) -> DirectoryTail: ...


class Searchable:
    """A directory whose sessions can be searched: a part of ``SessionStore``."""

    directory: Path
    _max_line_bytes: int

    def search(self, pattern: str, **options: Unpack[SearchOptions]) -> Search:
        """Return a stream of the matches in all sessions.

        ``help(sessiontail.search)`` explains each of the options, which are the same here.
        """
        most = self._max_line_bytes
        return search(pattern, directory=self.directory, max_line_bytes=most, **options)

    def search_live(
        self: _Followed,
        pattern: str,
        *,
        on_event: Callable[[UUID, EventKind], None] | None = None,
        on_directory: Callable[[bool], None] | None = None,
        **options: Unpack[SearchOptions],
    ) -> FollowingSearch:
        """Return the matches in all sessions, and in what they say from now on; it never ends.

        Args:
            pattern: what is searched for.
            on_event: as for ``tail_all``.
            on_directory: as for ``tail_all``.
            options: as for ``search``, but for ``paths``, ``states`` and ``until``, which are not
                known of what is still to come.

        Raises:
            ValueError: one of these is given; and what ``search`` raises.
        """
        for name in ("paths", "states", "until"):
            if options.get(name) is not None:
                raise ValueError(f"{name}= is for a search that ends")
        ids = options.get("ids")
        question = question_of(pattern, **options)
        tail = self.tail_all(
            include_closed=True,
            inherited=options.get("inherited", "skip"),
            on_event=on_event,
            on_directory=on_directory,
        )
        return FollowingSearch(
            tail,
            question,
            ids=None if ids is None else [*map(parse_session_id, ids)],
            since=options.get("since"),
        )

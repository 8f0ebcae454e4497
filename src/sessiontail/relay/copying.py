"""how sessions stand, and their lines -> the files of a mirror. Blocks: for threads.

What fails for one file is told, once, and stops no other; it is begun anew when it is met again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from sessiontail.errors import PersistenceError
from sessiontail.relay.copies import Copy, Meta
from sessiontail.relay.entries import lines_in
from sessiontail.relay.journal import Journal

__all__ = ["Copies", "Name"]

#: Host and stem.
Name: TypeAlias = tuple[str, str]


class Copies:
    """The files of a mirror that are written, and how they came.

    Args:
        directory: of the mirror.
        journal: of the directory; closed with this.
        tell: takes a line about a file that is left out, or failed.
    """

    def __init__(self, directory: Path, journal: Journal, tell: Callable[[str], None]) -> None:
        self._directory = directory
        self._journal = journal
        self._tell = tell
        # Of sessions that are not closed, by stem.
        self._copies: dict[str, Copy] = {}
        self._told: set[str] = set()

    @property
    def names(self) -> list[Name]:
        """All sessions that have a file."""
        files = {(copied.host, stem) for stem, copied in self._journal.files.items()}
        return [*files | {(copy.host, copy.stem) for copy in self._copies.values()}]

    def prepare(self, asked: list[tuple[Name, Meta]]) -> list[tuple[Copy, Meta]]:
        """Make each file that of its session's generation; return those that lack lines."""
        due: list[tuple[Copy, Meta]] = []
        for (host, stem), meta in asked:
            copy, noted = self._copies.get(stem), self._journal.files.get(stem)
            if copy is None and noted is None and meta.state == "deleted":
                continue
            owner = copy.host if copy else noted.host if noted else host
            if owner != host:
                self._tell_once(f"{stem} of {host} is left out: {owner} has one of that name")
                continue
            if copy is None:
                copy = self._copies[stem] = Copy(self._directory, stem, host, self._journal)
            if self._try(copy, partial(self._begin, copy, meta)) and copy.lines < meta.lines:
                due.append((copy, meta))
        return due

    def take(self, step: list[tuple[Copy, Meta]], pages: list[Any]) -> list[tuple[Copy, Meta]]:
        """Write what was fetched; return those that lack more.

        Args:
            step: whose lines.
            pages: entries of each, as Redis gives them.
        """
        left: list[tuple[Copy, Meta]] = []
        for (copy, meta), page in zip(step, pages, strict=True):
            lines = lines_in(page, meta.generation, copy.lines + 1)
            # None: Redis has lost them since, or they are of another generation by now.
            if not (lines and self._try(copy, partial(copy.append, lines))):
                continue
            if copy.lines < meta.lines:
                left.append((copy, meta))
            else:
                self._try(copy, partial(self._settle, copy, meta))
        return left

    def close(self) -> None:
        """Let all go: a reader then sees that nobody writes them."""
        for copy in self._copies.values():
            copy.let_go()
        self._journal.close()

    def _begin(self, copy: Copy, meta: Meta) -> None:
        if meta.state != "deleted":
            copy.meet(meta)
        if meta.state == "deleted" or copy.lines == meta.lines:
            self._settle(copy, meta)

    def _settle(self, copy: Copy, meta: Meta) -> None:
        copy.settle(meta.state)
        if meta.state in ("closed", "deleted"):
            # A file that is done with is known by itself: many of them need no memory.
            self._copies.pop(copy.stem, None)

    def _try(self, copy: Copy, function: Callable[[], None]) -> bool:
        try:
            function()
        except (OSError, PersistenceError) as error:
            self._tell_once(f"{copy.stem} of {copy.host} cannot be mirrored: {error}")
            copy.let_go()
            self._copies.pop(copy.stem, None)
            return False
        return True

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)

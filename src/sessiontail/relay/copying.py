"""how sessions stand, and their lines -> the files of a mirror. Blocks: for threads.

What fails for one file is told, tried again, and stops no other.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from sessiontail.errors import PersistenceError
from sessiontail.relay.copies import Copy
from sessiontail.relay.entries import lines_in
from sessiontail.relay.journal import Copied, Journal, beside
from sessiontail.relay.metas import Meta

__all__ = ["Copies", "Name"]

#: Host and stem.
Name: TypeAlias = tuple[str, str]


class Copies:
    """The files of a mirror that are written, and how they came.

    Args:
        directory: of the mirror.
        journal: of the directory; closed with this.
        tell: takes a line about a file that is left out, or failed.
        closed: whether closed files are wanted that were so before; else those are kept that came
            while their sessions ran.
    """

    def __init__(
        self,
        directory: Path,
        journal: Journal,
        tell: Callable[[str], None],
        *,
        closed: bool = True,
    ) -> None:
        self._closed = closed
        self._directory = directory
        self._journal = journal
        self._tell = tell
        # Of sessions that are not closed, by stem.
        self._copies: dict[str, Copy] = {}
        #: Those that lack something, and are to be tried again, by host and key in the journal;
        #: what was said of each then.
        self.failed: dict[Name, Meta] = {}
        self._told: set[str] = set()
        # What has failed, as it was told: until all of it is done.
        self._reasons: set[str] = set()

    @property
    def to_try(self) -> list[Name]:
        """The sessions of which something is to be tried again."""
        return [(host, key.partition("/")[0]) for host, key in self.failed]

    @property
    def names(self) -> list[Name]:
        """All sessions that have a file."""
        noted = self._journal.files.items()
        files = {(copied.host, stem) for stem, copied in noted if "/" not in stem}
        return [*files | {(copy.host, copy.stem) for copy in self._copies.values()}]

    def at_hand(self, asked: list[tuple[Name, Meta]]) -> list[tuple[Copy, Meta]]:
        """Return the sessions that go on in the file which is open; this does not block.

        Nearly all that is asked for is so, and a thread that shares the processor with readers of
        these files is waited for.
        """
        found: list[tuple[Copy, Meta]] = []
        for (host, stem), meta in asked:
            copy = self._copies.get(stem)
            if (
                copy is not None
                and (copy.host, copy.generation) == (host, meta.generation)
                and copy.is_open
                and copy.lines < meta.lines
                and meta.state == "live"
                and meta.closed is None
                and not self._has_beside((host, beside(stem)))
            ):
                found.append((copy, meta))
        return found

    def prepare(
        self, asked: list[tuple[Name, Meta]], gone: Container[str] = ()
    ) -> list[tuple[Copy, Meta]]:
        """Make each file that of its session's generation; return those that lack lines.

        Args:
            asked: how sessions stand.
            gone: relays that are: what they had is another's who has it too.
        """
        due: list[tuple[Copy, Meta]] = []
        for (host, stem), meta in asked:
            copy, noted = self._copies.get(stem), self._journal.files.get(stem)
            if copy is None and noted is None and meta.state == "deleted":
                self._is_well((host, stem))
                continue
            owner = copy.host if copy else noted.host if noted else host
            if owner != host:
                if meta.state == "deleted":
                    continue
                if owner not in gone or host in gone:
                    self._tell_once(
                        f"{host} has sessions that {owner} has too, such as {stem}: they are "
                        f"taken from {owner}",
                        f"{host} {owner}",
                    )
                    continue
                self.forget([(owner, stem)])
                copy = None
            if copy is None:
                copy = self._copies[stem] = Copy(self._directory, stem, host, self._journal)
            due += self._beside(host, stem, meta)
            done = self._try(copy, meta, partial(self._begin, copy, meta))
            if done and meta.state != "deleted" and copy.lines < meta.lines:
                due.append((copy, meta))
            if done and meta.closed is None and self._has_beside((host, beside(stem))):
                self._try(copy, meta, partial(self._be_alone, host, stem, meta))
        return due

    def _beside(self, host: str, stem: str, meta: Meta) -> list[tuple[Copy, Meta]]:
        """Take up the closed file beside a session; return it where it lacks lines."""
        if meta.closed is None:
            return []
        files, copied = self._journal.files, Copied(host, meta.closed.generation)
        copy = Copy(self._directory, stem, host, self._journal, is_beside=True)

        def note() -> None:
            if files.get(stem) == copied != files.get(beside(stem)):
                # It was closed here.
                self._journal.note(beside(stem), copied, self._journal.sums.get(stem))

        if not self._try(copy, meta, note):
            return []
        if not (self._closed or files.get(beside(stem)) == copied):
            return []
        done = self._try(copy, meta, partial(self._begin, copy, meta.closed))
        return [(copy, meta.closed)] if done and copy.lines < meta.closed.lines else []

    def _has_beside(self, name: Name) -> bool:
        return name[1] in self._journal.files or name in self.failed

    def _be_alone(self, host: str, stem: str, meta: Meta) -> None:
        """Have no closed file beside a session: it was deleted, or is the session's by now."""
        self._is_well((host, beside(stem)))
        if meta.state in ("live", "abandoned"):
            Copy(self._directory, stem, host, self._journal, is_beside=True).settle("deleted")
        else:
            self._journal.note(beside(stem), None)

    def take(self, step: list[tuple[Copy, Meta]], pages: list[Any]) -> list[tuple[Copy, Meta]]:
        """Write what was fetched; return those that lack more.

        Args:
            step: whose lines.
            pages: entries of each, as Redis gives them, or its error.
        """
        left: list[tuple[Copy, Meta]] = []
        for (copy, meta), page in zip(step, pages, strict=True):
            error = isinstance(page, Exception)
            lines = [] if error else lines_in(page, meta.generation, copy.lines + 1)
            if not lines:
                self._lacks(copy, meta)
                continue
            if not self._try(copy, meta, partial(copy.append, lines)):
                continue
            if copy.lines >= meta.lines:
                self._try(copy, meta, partial(self._settle, copy, meta))
            if copy.lines < meta.lines:
                left.append((copy, meta))
        return left

    def forget(self, names: Iterable[Name]) -> int:
        """Keep files as they are, and hold them no longer; return how many were held."""
        held = 0
        for name in names:
            copy = self._copies.get(name[1])
            if copy is not None and copy.host == name[0]:
                held += copy.is_open
                copy.let_go()
                del self._copies[name[1]]
            self._is_well(name)
        return held

    def close(self) -> None:
        """Let all go: a reader then sees that nobody writes them."""
        for copy in self._copies.values():
            copy.let_go()
        self._journal.close()

    def _begin(self, copy: Copy, meta: Meta) -> None:
        if meta.state != "deleted":
            copy.meet(meta)
        if meta.state == "deleted" or copy.lines >= meta.lines:
            self._settle(copy, meta)

    def _settle(self, copy: Copy, meta: Meta) -> None:
        if meta.state != "deleted":
            if copy.doubt(meta):
                self._tell_once(f"{copy.stem} of {copy.host} was changed here: it is mirrored anew")
                return
            if copy.lines != meta.lines:
                return  # Redis came back from an older state
        copy.settle(meta.state)
        self._is_well((copy.host, copy.key))
        if copy.is_beside:
            return
        if meta.state in ("closed", "deleted"):
            # A file that is done with is known by itself: many of them need no memory.
            self._copies.pop(copy.stem, None)

    def _lacks(self, copy: Copy, meta: Meta) -> None:
        """Try again where lines are not there: by now it may be another generation."""
        name = (copy.host, copy.key)
        if self.failed.get(name) == meta:
            self._tell_once(
                f"{copy.stem} of {copy.host}: Redis does not have line {copy.lines + 1} of "
                f"{meta.lines}; it ends there"
            )
        self.failed[name] = meta

    def _try(self, copy: Copy, meta: Meta, function: Callable[[], None]) -> bool:
        try:
            function()
        except (OSError, PersistenceError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            if reason not in self._reasons:
                self._reasons.add(reason)
                self._tell(
                    f"{copy.stem} of {copy.host} cannot be mirrored: {error}; tried again, and "
                    "others of which that is so"
                )
            copy.let_go()
            if not copy.is_beside:
                self._copies.pop(copy.stem, None)
            self.failed[copy.host, copy.key] = meta
            return False
        return True

    def _is_well(self, name: Name) -> None:
        if self.failed.pop(name, None) is not None and not self.failed and self._reasons:
            self._reasons.clear()
            self._tell("what could not be mirrored is there now")

    def _tell_once(self, text: str, about: str = "") -> None:
        if (about or text) not in self._told:
            self._told.add(about or text)
            self._tell(text)

"""an id, the beginning of one, or a path -> the session that is meant."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from uuid import UUID

import click

from sessiontail.by_id import OfInherited
from sessiontail.cli.terminal import note
from sessiontail.directory.naming import SessionNames, named_after_it, shorten, whole_id
from sessiontail.errors import PersistenceError, SessionNotFound
from sessiontail.session.reading import SessionReader
from sessiontail.session.tail import SessionTail
from sessiontail.store import SessionStore
from sessiontail.system.paths import path_paths, split_name
from sessiontail.urls import as_path, is_url

__all__ = ["Finder", "Target", "shorten", "told_apart"]

# Shown of an id where no more is needed to tell it from the others.
_SHORT = 8
# Candidates that an ambiguous prefix lists.
_CANDIDATES = 8


@dataclass(frozen=True)
class Target:
    """One session: by id, else by path."""

    session_id: UUID | None
    path: Path | None
    #: The beginning of its id that no other of the same command shares.
    short: str | None = None

    @property
    def name(self) -> str:
        """What messages and prefixes call it."""
        if self.session_id is not None:
            return self.short or str(self.session_id)[:_SHORT]
        assert self.path is not None
        return self.path.name

    def read(
        self,
        store: SessionStore,
        *,
        after: str | None = None,
        last: int | None = None,
        inherited: OfInherited = "include",
    ) -> SessionReader:
        """Return its records up to the end as it is now."""
        return store.read(
            self.session_id, path=self.path, after=after, last=last, inherited=inherited
        )

    def tail(
        self,
        store: SessionStore,
        *,
        after: str | None,
        wait: bool,
        on_abandoned: Literal["stop", "wait"],
        inherited: OfInherited = "include",
    ) -> SessionTail:
        """Return its records until it ends."""
        return store.tail(
            self.session_id,
            path=self.path,
            after=after,
            wait=wait,
            on_abandoned=on_abandoned,
            inherited=inherited,
        )


class Finder:
    """Finds the sessions that the user means; the directory is listed once, if at all.

    Args:
        store: where ids are looked for.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._skipped: list[PersistenceError] = []
        #: None before the directory was listed.
        self._names: SessionNames | None = None

    async def find(self, text: str, *, may_be_absent: bool = False) -> Target:
        """Return the session that the user means.

        Args:
            text: a path, an id, or the beginning of an id that no other session shares.
            may_be_absent: a whole id or a path is taken though there is no such session yet.

        Raises:
            SessionNotFound: nothing is called so.
            click.UsageError: several ids begin so.
        """
        target = _by_path(text, may_be_absent=may_be_absent)
        if target is not None:
            return target
        whole = whole_id(text)
        if whole is not None and may_be_absent:
            return Target(whole, None)
        found = (await self._listed()).called(text)
        if not found:
            begin = text.lower()
            unread = [
                e for e in self._skipped if e.path and begin and e.path.name.startswith(begin)
            ]
            if len(unread) == 1:
                # No session to a listing; reading it by its path says why.
                return Target(None, unread[0].path)
            raise _not_found(self._store.directory, text, may_be_absent)
        if len(found) > 1:
            shown = sorted(map(str, found))
            more = f" and {len(shown) - _CANDIDATES} more" if len(shown) > _CANDIDATES else ""
            raise click.UsageError(
                f"{text!r} begins {len(shown)} ids, type more of one: "
                f"{', '.join(shown[:_CANDIDATES])}{more}"
            )
        meta = next(iter(found.values()))
        # By id where that leads to the file: an id is good for both names, before and after
        # closing.
        return Target(meta.id, None if named_after_it(meta) else meta.path)

    async def find_all(
        self, words: tuple[str, ...], *, may_be_absent: bool = False
    ) -> tuple[list[Target], int]:
        """Return the sessions that are meant, and how many there are not: those are told.

        Raises:
            click.UsageError: several ids begin with one of the words.
        """
        targets, missed = [], 0
        for text in words:
            try:
                targets.append(await self.find(text, may_be_absent=may_be_absent))
            except SessionNotFound as error:
                note(str(error))
                missed += 1
        return targets, missed

    async def _listed(self) -> SessionNames:
        """Return what the sessions of the directory are called."""
        if self._names is None:
            scan = self._store.scan()
            self._names = SessionNames(await scan.rest())
            self._skipped = scan.skipped
        return self._names


def _by_path(text: str, *, may_be_absent: bool) -> Target | None:
    """Return the session that a path means, None where the text is none."""
    if is_url(text):
        return Target(None, as_path(text))
    path = Path(text)
    if not (os.sep in text or split_name(text) or path.is_file()):
        return None
    if os.path.lexists(path):
        return Target(None, path)
    # Its other name: a session may have been closed since it was listed.
    wal, final = path_paths(path).wal, path_paths(path).final
    for other in (wal, final):
        if os.path.lexists(other):
            return Target(None, other)
    if may_be_absent:
        return Target(None, path)
    raise SessionNotFound("no such session file; `sessiontail ls` lists the sessions", path=path)


def _not_found(directory: Path, text: str, may_be_absent: bool) -> PersistenceError:  # noqa: FBT001 - one caller
    if may_be_absent:
        raise click.UsageError(f"{text!r} is no whole id: to wait for a session, give all of it")
    if not directory.is_dir():
        return SessionNotFound(
            "no such directory; give the one where sessions lie with --dir", path=directory
        )
    return SessionNotFound(
        f"no session is called {text!r}; `sessiontail ls` lists them", path=directory
    )


def told_apart(targets: list[Target]) -> list[Target]:
    """Return the same targets, each with a name that no other has."""
    short = shorten({str(target.session_id) for target in targets if target.session_id})
    return [replace(target, short=short.get(str(target.session_id))) for target in targets]

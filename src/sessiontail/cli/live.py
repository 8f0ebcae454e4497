"""sessions -> their last records, and what follows them, printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import anyio

from sessiontail.by_id import OfInherited
from sessiontail.cli.choosing import Choice
from sessiontail.cli.cursor_file import CursorKeeper
from sessiontail.cli.everyone import Everyone
from sessiontail.cli.printing import Printer
from sessiontail.cli.slices import FileSlices
from sessiontail.cli.targets import Finder, Target, told_apart
from sessiontail.cli.terminal import note
from sessiontail.cli.values import Window
from sessiontail.cli.window import print_window
from sessiontail.errors import CursorInvalid, PersistenceError, SessionNotFound
from sessiontail.format.lifecycle import Outcome
from sessiontail.store import SessionStore

__all__ = ["Live", "Options"]

_DEFAULT = Window(last=10)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for."""

    follow: bool
    window: Window | None
    wait: bool
    on_abandoned: Literal["stop", "wait"]
    after: str | None
    #: Whether inherited rows are shown.
    inherited: OfInherited = "skip"
    #: Which sessions are meant where no id is given.
    choice: Choice = field(default_factory=Choice)


class Live:
    """One call of ``tail``."""

    def __init__(
        self, store: SessionStore, printer: Printer, keeper: CursorKeeper, options: Options
    ) -> None:
        self.store = store
        self.options = options
        self._printer = printer
        self._keeper = keeper
        self._mixed = False

    async def print_last(self, ids: tuple[str, ...]) -> list[Outcome | None]:
        """Print the last records of each session, up to now; return a None for each that failed."""
        targets, missed = await Finder(self.store).find_all(ids)
        if not ids:
            targets = await self._chosen()
        self._mixed = len(ids) != 1
        failed: list[Outcome | None] = [None] * missed
        for target in told_apart(targets):
            try:
                await self._backlog(target)
            except CursorInvalid:
                raise
            except PersistenceError as error:
                note(str(error))
                failed.append(None)
        if not ids and not targets and not self.store.directory.is_dir():
            note(f"{self.store.directory}: no such directory; give the one where sessions lie")
        elif not ids and not targets:
            none = "no such session" if self.options.choice.made else "no session runs"
            note(
                f"{none} in {self.store.directory}; `sessiontail ls` lists all, "
                "tail -f waits for the next"
            )
        return failed

    async def follow(self, ids: tuple[str, ...]) -> list[Outcome | None]:
        """Print the last records of each session, and what follows; return how each ended."""
        options = self.options
        if not ids:
            all_ = Everyone(self.store, self._printer, self._keeper, options.choice)
            await all_.follow(
                after=options.after,
                last=(options.window or _DEFAULT).last,
                inherited=options.inherited,
            )
        found, missed = await Finder(self.store).find_all(ids, may_be_absent=options.wait)
        targets = told_apart(found)
        self._mixed = len(ids) > 1
        outcomes: list[Outcome | None] = [None] * (len(targets) + missed)

        async def follow(i: int) -> None:
            try:
                outcomes[i] = await self._follow_one(targets[i])
            except CursorInvalid:
                raise
            except PersistenceError as error:
                note(str(error))

        async with anyio.create_task_group() as group:
            for i in range(len(targets)):
                group.start_soon(follow, i)
        return outcomes

    async def _chosen(self) -> list[Target]:
        choice = self.options.choice
        metas = [meta async for meta in self.store.scan() if choice.takes(meta)]
        metas.sort(key=lambda meta: meta.created_at)
        return [Target(meta.id, meta.path) for meta in metas]

    async def _backlog(self, target: Target) -> tuple[str | None, int]:
        """Print the last records that there are.

        Returns:
            The cursor behind them, and how many of those that follow are to be skipped.
        """
        window, after = self.options.window, self.options.after
        if window is None:
            window = Window() if after is not None else _DEFAULT
        # A long file is not read for its end, where each line counts.
        last = window.last if after is None and not self._printer.filtered else None
        inherited = self.options.inherited
        async with target.read(self.store, after=after, last=last, inherited=inherited) as feed:
            with FileSlices(feed) as file:
                seen = await print_window(
                    feed,
                    file,
                    window,
                    self._printer,
                    target=target if self._mixed else None,
                    session_id=target.session_id,
                    keeper=self._keeper,
                )
        return feed.cursor if feed.offset else None, max(0, window.first - 1 - seen)

    async def _follow_one(self, target: Target) -> Outcome | None:
        options = self.options
        try:
            after, skip = await self._backlog(target)
        except SessionNotFound:
            if not options.wait:
                raise
            there = self.store.directory.is_dir() or target.path is not None
            none = (
                "no such session yet" if there else f"no such directory yet: {self.store.directory}"
            )
            note(f"waiting for {target.name}: {none}")
            after, skip = options.after, options.window.first - 1 if options.window else 0
        feed = target.tail(
            self.store,
            after=after,
            wait=options.wait,
            on_abandoned=options.on_abandoned,
            inherited=options.inherited,
        )
        async with feed:
            with FileSlices(feed) as file:
                await print_window(
                    feed,
                    file,
                    Window(first=skip + 1),
                    self._printer,
                    target=target if self._mixed else None,
                    session_id=target.session_id,
                    keeper=self._keeper,
                )
        torn = f", {feed.torn_bytes} bytes after its last whole line" if feed.torn_bytes else ""
        note(f"{target.name} {feed.outcome}{torn}")
        return feed.outcome

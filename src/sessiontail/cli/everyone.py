"""all sessions of a directory -> their records as they come, printed; and what is watched, told."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sessiontail.by_id import OfInherited
from sessiontail.cli.choosing import Choice
from sessiontail.cli.cursor_file import CursorKeeper
from sessiontail.cli.printing import Printer
from sessiontail.cli.targets import Target
from sessiontail.cli.terminal import note
from sessiontail.directory.tail import DirectoryTail
from sessiontail.format.lifecycle import EventKind, SessionState
from sessiontail.format.records import Header, Record
from sessiontail.store import SessionStore

__all__ = ["Everyone"]


@dataclass
class _Hidden:
    """Sessions that are there and not meant."""

    too_old: set[UUID]
    #: Until a writer comes back to them.
    other_state: set[UUID]
    #: How many of those that are there are meant.
    shown: int

    def __contains__(self, session_id: UUID) -> bool:
        return session_id in self.too_old or session_id in self.other_state


class Everyone:
    """Follows all sessions of a directory, or those that were chosen, and those that begin."""

    def __init__(
        self, store: SessionStore, printer: Printer, keeper: CursorKeeper, choice: Choice
    ) -> None:
        self._store = store
        self._printer = printer
        self._keeper = keeper
        self._choice = choice
        self._hidden = _Hidden(set(), set(), 0)
        self._stream: DirectoryTail | None = None
        self._told = False
        # Sessions of which a row was shown.
        self._begun: set[UUID] = set()

    async def follow(
        self, *, after: str | None, last: int | None, inherited: OfInherited = "skip"
    ) -> None:
        """Print the last records of each, and what follows; it never ends by itself."""
        choice, hidden = self._choice, self._hidden
        if choice.made:
            await self._choose()
        stream = self._stream = self._store.tail_all(
            after=after,
            last=last,
            include_closed=SessionState.CLOSED in choice.states,
            only_running=not {SessionState.ABANDONED, SessionState.CLOSED} & {*choice.states},
            inherited=inherited,
            on_event=self._tell,
            on_directory=self._tell_directory,
        )
        async with stream:
            async for session_id, record in stream:
                self._keeper.forget()
                if isinstance(record, Header):
                    self._see(session_id, record)
                if session_id not in hidden:
                    target = Target(session_id, None)
                    self._tell_left_out(target, record)
                    if self._printer.wants(record):
                        self._printer.put(record, target=target)
                    self._printer.flush()
                self._keeper.commit(stream)

    async def _choose(self) -> None:
        """Find out which of the sessions that are there are not meant."""
        choice, hidden = self._choice, self._hidden
        async for meta in self._store.scan():
            hidden.shown += choice.takes(meta)
            if choice.is_too_old(meta.created_at):
                hidden.too_old.add(meta.id)
            elif choice.states and not choice.takes(meta):
                hidden.other_state.add(meta.id)

    def _see(self, session_id: UUID, header: Header) -> None:
        """Take from a header when the session was created: it may have begun since, or anew."""
        if self._choice.is_too_old(header.created_at):
            self._hidden.too_old.add(session_id)
        else:
            self._hidden.too_old.discard(session_id)

    def _tell_left_out(self, target: Target, record: Record) -> None:
        """Tell, before the first own row of a session, how many are not."""
        session_id = target.session_id
        assert session_id is not None
        assert self._stream is not None
        if isinstance(record, Header) or session_id in self._begun:
            return
        self._begun.add(session_id)
        found = self._stream.inherited(session_id)
        if found is not None and found[1]:
            self._printer.left_out(found[0], target)

    def _tell(self, session_id: UUID, kind: EventKind) -> None:
        if kind in (EventKind.CLOSED, EventKind.DELETED, EventKind.REPLACED):
            self._begun.discard(session_id)
        if kind is EventKind.RESUMED:
            self._hidden.other_state.discard(session_id)
        if kind is not EventKind.STARTED and session_id not in self._hidden:
            note(f"{Target(session_id, None).name} {kind}")

    def _tell_directory(self, present: bool) -> None:  # noqa: FBT001 - called by the stream
        directory = self._store.directory
        again, self._told = self._told, True
        if not present:
            note(
                f"{directory} is gone: waiting for it to come back"
                if again
                else f"waiting for {directory}: no such directory yet"
            )
        elif again:
            note(f"watching {directory}: it is there now")
        else:
            note(self._watched())

    def _watched(self) -> str:
        assert self._stream is not None
        made = self._choice.made
        count = self._hidden.shown if made else self._stream.running
        if not count:
            none = "no such session" if made else "no session runs"
            return f"watching {self._store.directory}: {none} yet"
        sessions = f"{'' if made else 'running '}session{'s' * (count != 1)}"
        return f"watching {count} {sessions} in {self._store.directory}"

"""One directory of sessions: scan, list, load, read, tail, delete, prune.

A store holds nothing until it is asked. All followers of a directory on one event loop share one
watch; inside ``async with`` it is there from the start and stays between them. A tail goes on when
its store is left.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from os import PathLike
from types import TracebackType
from typing import Literal, Self
from uuid import UUID

from sessiontail import checks
from sessiontail.by_id import OfInherited, SessionsById
from sessiontail.directory import plan as planning, prune as pruning
from sessiontail.directory.ancestry import finder
from sessiontail.directory.conversations import ConversationTurn, trees, way_to
from sessiontail.directory.events import SessionWatch
from sessiontail.directory.outlines import SessionOutline, outlines_of
from sessiontail.directory.plan import PrunePlan
from sessiontail.directory.prune import Pruned
from sessiontail.directory.retelling import Conversation
from sessiontail.directory.scan import Scan, by_age
from sessiontail.directory.searchable import Searchable
from sessiontail.directory.tail import DirectoryTail
from sessiontail.errors import SessionNotFound
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.lifecycle import EventKind, SessionState
from sessiontail.format.records import ChunkKind
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.session.pulling import AsyncEntered
from sessiontail.session.summary import Detail
from sessiontail.system.buckets import refuse_bucket
from sessiontail.system.files import in_thread
from sessiontail.system.paths import parse_session_id, sessions_dir
from sessiontail.system.place import Place
from sessiontail.system.watching import POLL_INTERVAL_S, SWEEP_INTERVAL_S

__all__ = ["SessionStore"]

# So many metas are sorted here, in 2 ms; more in a thread.
_FEW = 2048


class SessionStore(AsyncEntered, Searchable, SessionsById):
    """The sessions of one directory.

    ``async with SessionStore() as store`` watches the directory until it is left; a store that is
    not entered, or was left, serves as well. Several tasks may enter one store.

    What is of one session (``load``, ``read``, ``tail``, ``wait_for``, ``meta``, ``delete``) is said
    in ``SessionsById``.

    Args:
        directory: where the session files lie; by default where openrath puts them.
        max_line_bytes: a longer line is one ``Damage`` and is never held in memory.
        sweep_interval_s: how often a look is taken that no event asked for.
        poll_interval_s: the same where events cannot be had or trusted.
        events: False does without the kernel's events.
        cache: False does without what earlier processes have kept of many files.

    Raises:
        PersistenceError: ``OPENRATH_HOME`` names something that is no directory, or no file can
            have the directory's name.
        TypeError, ValueError: a number is none, or not positive.
    """

    def __init__(
        self,
        directory: str | PathLike[str] | None = None,
        *,
        max_line_bytes: int = MAX_LINE_BYTES,
        sweep_interval_s: float = SWEEP_INTERVAL_S,
        poll_interval_s: float = POLL_INTERVAL_S,
        events: bool = True,
        cache: bool = True,
    ) -> None:
        checks.positive("max_line_bytes", max_line_bytes, int)
        checks.positive("sweep_interval_s", sweep_interval_s, (int, float))
        checks.positive("poll_interval_s", poll_interval_s, (int, float))
        where = sessions_dir(directory)
        super().__init__(Place(where, sweep_interval_s, poll_interval_s, events), max_line_bytes)
        self._scan, self._cache = partial(Scan, where, cache=cache), cache

    async def __aenter__(self) -> Self:
        await self._place.hold()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._place.release()

    @property
    def polled_because(self) -> str | None:
        """Why the directory is polled; None where events are trusted, or before entering."""
        return self._place.polled_because

    def scan(self, *, verify: bool = False) -> Scan:
        """Return an iterator over the sessions' metas, in no order, as they are found.

        Args:
            verify: decode every line: counts damaged lines, and chunks exactly.
        """
        return self._scan(detail=Detail.RECORDS if verify else Detail.LINES)

    async def list(self, *, verify: bool = False) -> list[PersistedSessionMeta]:
        """Return the metas of all sessions, oldest ``created_at`` first.

        Files that do not start with a header are skipped, each with a logged warning: one in a
        process for as long as the file stays as it is.

        Raises:
            PersistenceError: the directory cannot be read; one that is absent is empty.
        """
        metas = await self.scan(verify=verify).rest()
        if len(metas) < _FEW:
            return by_age(metas)
        return await in_thread(by_age, metas)

    async def outlines(
        self, *, progress: Callable[[int], None] | None = None
    ) -> builtins.list[SessionOutline]:
        """Return what each session adds to those before it, oldest ``created_at`` first.

        Each session's rows are compared with those of its first parent, else with the rows of all
        that are earlier; what was compared is kept in this process.

        Args:
            progress: called now and then with the number of sessions that are done.

        Raises:
            PersistenceError: the directory cannot be read; one that is absent is empty.
        """
        metas = await self.list()
        return await outlines_of(metas, self.directory, progress=progress, cache=self._cache)

    async def conversations(self) -> builtins.list[ConversationTurn]:
        """Return the conversations as trees of their turns, a session each, the oldest first.

        Raises:
            PersistenceError: the directory cannot be read; one that is absent is empty.
        """
        return await in_thread(trees, await self.outlines())

    def conversation(self, session_id: UUID | str) -> Conversation:
        """Return the records of a whole conversation, from its first session to this one.

        Args:
            session_id: the last session of the way.

        Returns:
            An async iterator and context manager over ``(session_id, record)``, each row once.

        Raises:
            InvalidSessionId: that is no id.
        """
        wanted = parse_session_id(session_id)

        async def find_way() -> builtins.list[SessionOutline]:
            way = await in_thread(way_to, wanted, await self.outlines())
            if not way:
                raise SessionNotFound(f"no session has the id {wanted}", path=self.directory)
            return way

        return Conversation(find_way, lambda path: self.read(path=path))

    def tail_all(
        self,
        *,
        after: str | None = None,
        kinds: Collection[ChunkKind | str] | None = None,
        include_closed: bool = False,
        last: int | None = None,
        only_running: bool = False,
        on_missing: Literal["wait", "error"] = "wait",
        on_event: Callable[[UUID, EventKind], None] | None = None,
        on_directory: Callable[[bool], None] | None = None,
        max_open: int | None = None,
        inherited: OfInherited = "include",
    ) -> DirectoryTail:
        """Return one stream of ``(session_id, record)`` over all sessions; it never ends.

        Each session's records come once and in order; sessions take turns, and those that appear
        later join. A session that was closed is done with; one that was abandoned goes on when a
        writer comes back; one that was replaced begins anew with its header.

        Args:
            after: a directory cursor (``DirectoryTail.cursor``) to go on from.
            kinds: only chunks of these kinds, and damage; by default every record.
            include_closed: also sessions that were closed before.
            last: of sessions that exist already, only so many of the last records.
            only_running: of sessions whose writer is gone already, none, and not that it is gone:
                they are told of when one comes back.
            on_missing: "wait" waits for a directory that is absent or goes; "error" raises.
            on_event: called with a session's id and what happened to it.
            on_directory: called with whether there is one, at the first look and when that changes.
            max_open: descriptors to keep; while threads read, an eighth more, or two. By default
                half of the soft limit, less what the process's other tails hold.
            inherited: "skip" leaves out the first rows of a session where they are an earlier
                one's, whether or not that is in the stream.

        Raises:
            CursorInvalid: ``after`` is no directory cursor.
            ValueError: ``kinds`` names no kind, ``on_missing`` is neither, ``last`` is negative.
            TypeError: ``kinds`` is a single one, ``last`` is no number.
        """
        if on_missing not in ("wait", "error"):
            raise ValueError(f"on_missing is 'wait' or 'error', not {on_missing!r}")
        if last is not None:
            checks.count("last", last)
        checks.several("kinds", kinds)
        return DirectoryTail(
            self.directory,
            watch=self._place.watch,
            after=after,
            kinds=kinds,
            find=finder(inherited, self.directory, self._max_line_bytes),
            include_closed=include_closed,
            last=last,
            only_running=only_running,
            on_missing=on_missing,
            on_event=on_event,
            on_directory=on_directory,
            max_line_bytes=self._max_line_bytes,
            max_open=max_open,
            stats=self.stats,
        )

    def watch(self, *, include_existing: bool = False) -> SessionWatch:
        """Return a stream of what happens to sessions, each with its meta; it never ends.

        Args:
            include_existing: begin with a "started" for every session that is there.
        """
        return SessionWatch(
            self.directory,
            watch=self._place.watch,
            include_existing=include_existing,
            max_line_bytes=self._max_line_bytes,
            stats=self.stats,
        )

    async def plan_prune(
        self,
        *,
        older_than: timedelta | None = None,
        keep_last: int | None = None,
        max_total_bytes: int | None = None,
        states: Collection[SessionState | str] | None = None,
    ) -> PrunePlan:
        """Plan a prune: name what goes and what stays, and why; delete nothing.

        What is live stays, so do the ``keep_last`` newest, and what is not in ``states``. Of the
        rest goes what was created longer than ``older_than`` ago, and then, oldest first, what
        exceeds ``max_total_bytes``; where neither of these two is given, all of it.

        Raises:
            ValueError: no rule is given, a number or the time is negative, or there is no such
                state.
            TypeError: a rule is of another type; ``states`` is a single one.
            PersistenceError: the directory cannot be read.
        """
        plan = partial(
            planning.plan,
            now=datetime.now(UTC),
            older_than=older_than,
            keep_last=keep_last,
            max_total_bytes=max_total_bytes,
            states=states,
        )
        refuse_bucket(self.directory, "pruned")
        plan(())  # refuses rules that cannot be meant before anything is read
        scan = self.scan()
        metas = await scan.rest()
        found = plan(metas) if len(metas) < _FEW else await in_thread(plan, metas)
        return replace(found, skipped=tuple(scan.skipped))

    async def prune(
        self, plan: PrunePlan, *, progress: Callable[[int], None] | None = None
    ) -> Pruned:
        """Apply a plan: look at each file again, delete under the writer's lock, oldest first.

        What an earlier deletion has left aside is put right first. Cancelled, it stops between
        two files. A file that changed or is held stays and is reported.

        Args:
            plan: from ``plan_prune``.
            progress: called now and then with the number of files that are dealt with.
        """
        return await pruning.prune(plan, self.directory, progress=progress)

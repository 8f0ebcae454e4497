"""One directory of sessions: scan, list, load, read, tail, delete, prune.

A store holds nothing until it is asked. All followers of a directory on one event loop share one
watch; inside ``async with`` it is there from the start and stays between them. A tail goes on when
its store is left.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Literal, Self
from uuid import UUID

import anyio
from anyio.from_thread import check_cancelled

from sessiontail.directory import prune as pruning
from sessiontail.directory.events import SessionWatch
from sessiontail.directory.names import session_names
from sessiontail.directory.prune import Pruned, PrunePlan, not_negative, refuse_single
from sessiontail.directory.scan import Scan, by_age
from sessiontail.directory.tail import DirectoryTail
from sessiontail.errors import DamagedSession, PersistenceError, SessionEnded, SessionNotFound
from sessiontail.format.folding import PersistedSession
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.lifecycle import EventKind, Outcome, SessionState
from sessiontail.format.records import ChunkKind, Record
from sessiontail.session.asides import TURN_WAIT_S, Settled
from sessiontail.session.deleting import delete_both, delete_file
from sessiontail.session.generations import not_found
from sessiontail.session.loading import load_file
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.session.reading import SessionReader
from sessiontail.session.summary import Depth, read_meta
from sessiontail.session.tail import SessionTail
from sessiontail.system.files import change, in_thread
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import (
    SessionPaths,
    parse_session_id,
    path_paths,
    resolve_path,
    session_paths,
    sessions_dir,
    split_name,
    stem_paths,
)
from sessiontail.system.stats import StoreStats
from sessiontail.system.watching import (
    POLL_INTERVAL_S,
    SWEEP_INTERVAL_S,
    DirectoryWatch,
    watch_of,
)

__all__ = ["SessionStore"]

# So many metas are sorted here, in 2 ms; more in a thread.
_FEW = 2048

OnAbandoned = Literal["stop", "wait"]

# A deletion takes 0.1 ms, a hop into a thread 0.2 ms.
_PRUNED_PER_HOP = 64


class SessionStore:
    """The sessions of one directory.

    ``async with SessionStore() as store`` watches the directory until it is left; a store that is
    not entered serves as well. Several tasks may enter one store.

    Args:
        directory: where the session files lie; by default where openrath puts them.
        max_line_bytes: a longer line is one ``Damage`` and is never held in memory.
        sweep_interval_s: how often a look is taken that no event asked for.
        poll_interval_s: the same where events cannot be had or trusted.
        events: False does without the kernel's events.

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
    ) -> None:
        _positive("max_line_bytes", max_line_bytes, int)
        _positive("sweep_interval_s", sweep_interval_s, (int, float))
        _positive("poll_interval_s", poll_interval_s, (int, float))
        self.directory = sessions_dir(directory)
        #: What this store has done so far.
        self.stats = StoreStats()
        self._max_line_bytes = max_line_bytes
        self._sweep_interval_s = sweep_interval_s
        self._poll_interval_s = poll_interval_s
        self._events = events
        # One for each time that it is entered.
        self._held: list[DirectoryWatch] = []

    async def __aenter__(self) -> Self:
        self._held.append(await self._make_watch(self.directory))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        # Entered on several event loops, each has its own; on one they are the same.
        watch = next(watch for watch in self._held if watch.here)
        self._held.remove(watch)
        watch.release()

    @property
    def polled_because(self) -> str | None:
        """Why the directory is polled; None where events are trusted, or before entering."""
        return self._held[0].polled_because if self._held else None

    def scan(self, *, verify: bool = False) -> Scan:
        """Return an iterator over the sessions' metas, in no order, as they are found.

        Args:
            verify: decode every line: counts damaged lines, and chunks exactly.
        """
        return Scan(self.directory, depth=Depth.RECORDS if verify else Depth.LINES)

    async def list(self, *, verify: bool = False) -> list[PersistedSessionMeta]:
        """Return the metas of all sessions, oldest ``created_at`` first.

        Files that do not start with a header are skipped, each with a logged warning.

        Raises:
            PersistenceError: the directory cannot be read; one that is absent is empty.
        """
        metas = await self.scan(verify=verify).rest()
        if len(metas) < _FEW:
            return by_age(metas)
        return await in_thread(by_age, metas)

    async def load(
        self,
        session_id: UUID | str | None = None,
        *,
        path: str | PathLike[str] | None = None,
        salvage: bool = False,
    ) -> PersistedSession:
        """Read one session whole: the closed file, else the WAL.

        Args:
            session_id: which one.
            path: this file instead, under any name.
            salvage: keep what is whole, and list ``damage`` and ``torn_bytes``.

        Raises:
            InvalidSessionId: the id is no UUID.
            SessionNotFound: there is no such file.
            DamagedSession: a line is damaged (not with ``salvage``), or there is no header.
            PersistenceError: the file cannot be read.
        """
        if path is not None:
            return await self._load((str(resolve_path(path)),), salvage)
        paths = self._paths(session_id)
        try:
            return await self._load(paths.oldest_first, salvage)
        except SessionNotFound:
            found = await in_thread(self._search, session_id, place=str(self.directory))
            if found is None:
                raise
            return await self._load(found.oldest_first, salvage)

    def read(
        self,
        session_id: UUID | str | None = None,
        *,
        path: str | PathLike[str] | None = None,
        after: str | None = None,
    ) -> SessionReader:
        """Return the records of one session up to the end as it is when reading begins.

        Args:
            session_id: which one; its WAL, else the closed file.
            path: this file instead, under any name.
            after: a cursor to go on from.

        Returns:
            An async iterator and context manager over records; see ``RecordFeed``.

        Raises:
            InvalidSessionId: the id is no UUID.
            CursorInvalid: ``after`` is no cursor.
        """
        paths = path_paths(resolve_path(path)) if path is not None else self._paths(session_id)
        return SessionReader(
            paths,
            only=None if path is None else resolve_path(path),
            search=None if path is not None else lambda: self._search(session_id),
            after=after,
            max_line_bytes=self._max_line_bytes,
            stats=self.stats,
        )

    def tail(
        self,
        session_id: UUID | str | None = None,
        *,
        path: str | PathLike[str] | None = None,
        after: str | None = None,
        wait: bool | float = False,
        on_abandoned: OnAbandoned = "stop",
    ) -> SessionTail:
        """Return the records of one session from the start until it ends.

        Args:
            session_id: which one; its WAL, else the closed file.
            path: this file instead, under either of its names.
            after: a cursor to go on from.
            wait: wait for a session that does not exist yet: for ever, or so many seconds.
            on_abandoned: "stop" ends when the writer is gone; "wait" waits for one to come back.

        Returns:
            An async iterator and context manager over records, with ``cursor`` and ``outcome``.

        Raises:
            InvalidSessionId: the id is no UUID.
            CursorInvalid: ``after`` is no cursor.
        """
        paths = path_paths(resolve_path(path)) if path is not None else self._paths(session_id)
        return SessionTail(
            paths,
            watch=lambda: self._make_watch(paths.directory),
            search=None if path is not None else lambda: self._search(session_id),
            after=after,
            wait=wait,
            on_abandoned=on_abandoned,
            max_line_bytes=self._max_line_bytes,
            stats=self.stats,
        )

    def tail_all(
        self,
        *,
        after: str | None = None,
        kinds: Collection[ChunkKind | str] | None = None,
        include_closed: bool = False,
        last: int | None = None,
        on_missing: Literal["wait", "error"] = "wait",
        on_event: Callable[[UUID, EventKind], None] | None = None,
        max_open: int | None = None,
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
            on_missing: "wait" waits for a directory that is absent or goes; "error" raises.
            on_event: called with a session's id and what happened to it.
            max_open: descriptors at most; by default half of the soft limit, less what the
                process's other tails hold.

        Raises:
            CursorInvalid: ``after`` is no directory cursor.
            ValueError: ``kinds`` names no kind, ``on_missing`` is neither, ``last`` is negative.
            TypeError: ``kinds`` is a single one, ``last`` is no number.
        """
        if on_missing not in ("wait", "error"):
            raise ValueError(f"on_missing is 'wait' or 'error', not {on_missing!r}")
        if last is not None:
            not_negative("last", last)
        refuse_single("kinds", kinds)
        return DirectoryTail(
            self.directory,
            watch=lambda: self._make_watch(self.directory),
            after=after,
            kinds=kinds,
            include_closed=include_closed,
            last=last,
            on_missing=on_missing,
            on_event=on_event,
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
            watch=lambda: self._make_watch(self.directory),
            include_existing=include_existing,
            max_line_bytes=self._max_line_bytes,
            stats=self.stats,
        )

    async def wait_for(
        self,
        session_id: UUID | str,
        predicate: Callable[[Record], bool],
        *,
        timeout: float | None = None,
        after: str | None = None,
    ) -> Record:
        """Return the first record of a session that the predicate takes, without polling.

        A session that does not exist yet is waited for.

        Args:
            session_id: whose record.
            predicate: is asked for every record in order, damage included.
            timeout: seconds at most; by default no limit.
            after: a cursor: only records behind it count.

        Raises:
            TimeoutError: no such record within ``timeout``.
            SessionEnded: the session ended without it; the message says how.
            InvalidSessionId: the id is no UUID.
            CursorInvalid: ``after`` does not fit.
            TypeError: the predicate is no plain function.
        """
        if inspect.iscoroutinefunction(predicate):
            raise _no_predicate()
        with anyio.move_on_after(timeout) as scope:
            async with self.tail(session_id, after=after, wait=True) as tail:
                async for record in tail:
                    taken: object = predicate(record)
                    if taken and inspect.isawaitable(taken):
                        if inspect.iscoroutine(taken):
                            taken.close()
                        raise _no_predicate()
                    if taken:
                        return record
        if scope.cancelled_caught:
            raise TimeoutError(f"no such record of session {session_id} within {timeout} s")
        ended = f"the session ended ({tail.outcome}) without that record"
        path = await in_thread(_current_name, tail.path, tail.outcome, place=str(tail.path.parent))
        raise SessionEnded(ended if path else f"session {session_id}: {ended}", path=path)

    async def delete(
        self, session_id: UUID | str | None = None, *, path: str | PathLike[str] | None = None
    ) -> bool:
        """Delete one session's files, all or none; return whether there was one.

        Of an id, these are ``<id>.jsonl`` and its WAL and nothing else: a copy under another name
        stays, whatever its header says.

        Args:
            session_id: which one.
            path: this file instead, under any name.

        Raises:
            InvalidSessionId: the id is no UUID.
            SessionBusy: somebody holds the session; nothing was deleted.
            PersistenceError: it cannot be deleted, or neither its name nor its first line is a
                session's. Nothing was, unless the message says what.
        """
        if path is not None:
            return await change(_delete_path, resolve_path(path))
        return await change(delete_both, self._paths(session_id))

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
        pruning.check_rules(older_than, keep_last, max_total_bytes, states)
        now = datetime.now(UTC)
        scan = self.scan()
        metas = await scan.rest()
        plan = partial(
            pruning.plan,
            metas,
            now=now,
            older_than=older_than,
            keep_last=keep_last,
            max_total_bytes=max_total_bytes,
            states=states,
        )
        found = await in_thread(plan) if len(metas) >= _FEW else plan()
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
        removed: list[PersistedSessionMeta] = []
        kept: list[pruning.Verdict] = []
        settled: tuple[Settled, ...] = ()
        left = Event()
        wait_s = TURN_WAIT_S

        def go_on() -> bool:
            check_cancelled()
            return not left.is_set()  # a native cancellation leaves the thread behind

        try:
            for start in range(0, max(1, len(plan.remove)), _PRUNED_PER_HOP):
                verdicts = plan.remove[start : start + _PRUNED_PER_HOP]
                part = await change(
                    partial(
                        pruning.apply,
                        verdicts,
                        settle_in=None if start else self.directory,
                        go_on=go_on,
                        wait_s=wait_s,
                    )
                )
                removed += part.removed
                kept += part.kept
                settled += part.settled
                if part.waited_in_vain:
                    wait_s = 0
                if progress is not None:
                    progress(start + len(verdicts))
        finally:
            left.set()
        return Pruned(tuple(removed), tuple(kept), settled, waited_in_vain=wait_s == 0)

    async def meta(
        self,
        session_id: UUID | str | None = None,
        *,
        path: str | PathLike[str] | None = None,
        verify: bool = False,
    ) -> PersistedSessionMeta:
        """Return one session's meta: the WAL's, else the closed file's.

        Raises:
            InvalidSessionId: the id is no UUID.
            DamagedSession: the file does not start with a header.
            SessionNotFound: there is no such file.
            PersistenceError: the file cannot be read.
        """
        if path is not None:
            file = resolve_path(path)
            names: tuple[str, ...] = (str(file),)
            place = file.parent
        else:
            names, place = (await self._locate(session_id)).newest_first, self.directory
        depth = Depth.RECORDS if verify else Depth.LINES
        return await in_thread(_first_meta, names, depth, place=str(place))

    async def _load(self, names: Sequence[str], salvage: bool) -> PersistedSession:  # noqa: FBT001 - passed on
        return await load_file(
            names, salvage=salvage, max_line_bytes=self._max_line_bytes, stats=self.stats
        )

    async def _make_watch(self, directory: Path) -> DirectoryWatch:
        return await watch_of(
            directory,
            sweep_interval_s=self._sweep_interval_s,
            poll_interval_s=self._poll_interval_s,
            events=self._events,
        )

    def _paths(self, session_id: UUID | str | None) -> SessionPaths:
        if session_id is None:
            raise TypeError("give a session_id or path=")
        return session_paths(session_id, self.directory)

    async def _locate(self, session_id: UUID | str | None) -> SessionPaths:
        paths = self._paths(session_id)

        def locate() -> SessionPaths:
            # Not Path.exists(), which raises where a name is too long.
            if os.path.exists(paths.final) or os.path.exists(paths.wal):  # noqa: PTH110 - Path raises
                return paths
            return self._search(session_id) or paths

        return await in_thread(locate, place=str(self.directory))

    def _search(self, session_id: UUID | str | None) -> SessionPaths | None:
        """Find a session whose file has another name: the id that counts is the header's."""
        assert session_id is not None
        wanted = parse_session_id(session_id)
        locks = LockTable(None)
        for name in session_names(self.directory):
            split = split_name(name)
            assert split is not None
            if _is_uuid(split[0]):
                continue
            try:
                meta, _ = read_meta(self.directory / name, locks)
            except PersistenceError:
                continue
            if meta.id == wanted:
                return stem_paths(split[0], self.directory)
        return None


def _positive(name: str, value: object, types: type | tuple[type, ...]) -> None:
    if not isinstance(value, types) or isinstance(value, bool):
        raise TypeError(f"{name} is a number, not {type(value).__name__} {value!r}")
    if not value > 0:  # type: ignore[operator] # one of these types; and not NaN
        raise ValueError(f"{name} is more than 0, not {value!r}")


def _no_predicate() -> TypeError:
    return TypeError("predicate is a plain function that returns at once, not an `async def`")


def _delete_path(path: Path) -> bool:
    """Delete a file that is a session's by its name or, however damaged else, by its header."""
    if split_name(path.name) is None:
        try:
            read_meta(path, LockTable(None), depth=Depth.ENDS)
        except SessionNotFound:
            pass  # what a deletion left aside is another matter
        except DamagedSession as error:
            raise PersistenceError(
                "no session file, neither by its name (.jsonl) nor by its first line; it is kept",
                path=path,
                reason=error.reason,
            ) from error
    return delete_file(path)


def _is_uuid(stem: str) -> bool:
    try:
        return str(UUID(stem)) == stem
    except ValueError:
        return False


def _first_meta(names: Sequence[str], depth: Depth) -> PersistedSessionMeta:
    for name in names:
        with suppress(SessionNotFound):
            return read_meta(name, LockTable.read(), depth=depth)[0]
    raise not_found(names)


def _current_name(path: Path, outcome: Outcome | None) -> Path | None:
    """Return the name that a session's file has by now, None where it has none."""
    final = path_paths(path).final
    names = (final, path) if outcome is Outcome.CLOSED else (path, final)
    return next((name for name in names if os.path.lexists(name)), None)

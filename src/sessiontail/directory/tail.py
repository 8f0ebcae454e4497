"""directory of growing files -> one stream of (session id, record)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from functools import partial
from pathlib import Path
from typing import Literal, Self, TypeAlias
from uuid import UUID

from anyio.abc import AsyncResource

from sessiontail.directory.following import Following
from sessiontail.directory.opening import open_lane
from sessiontail.directory.stock import Wanted
from sessiontail.errors import PersistenceError
from sessiontail.format.batch import Batch
from sessiontail.format.brief import counted, place
from sessiontail.format.directory_cursor import NOT_BEGUN, DirectoryPosition
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.lifecycle import EventKind
from sessiontail.format.records import Chunk, ChunkKind, Damage, Record
from sessiontail.session.pulling import AsyncEntered, AsyncPulled
from sessiontail.session.sieve import Find, Inherited
from sessiontail.system.stats import StoreStats
from sessiontail.system.watching import DirectoryWatch

__all__ = ["DirectoryTail"]

SessionRecord: TypeAlias = tuple[UUID, Record]


class DirectoryTail(AsyncPulled, AsyncEntered, AsyncIterator[SessionRecord], AsyncResource):
    """One stream of the records of all sessions in a directory; it never ends by itself.

    Made by ``SessionStore.tail_all``. An async iterator and an async context manager; a step that
    is cancelled can be retried, and nothing is lost. One task at a time may pull.
    """

    def __init__(
        self,
        directory: Path,
        *,
        watch: Callable[[], Awaitable[DirectoryWatch]],
        after: str | None = None,
        kinds: Collection[ChunkKind | str] | None = None,
        find: Find | None = None,
        include_closed: bool = False,
        last: int | None = None,
        only_running: bool = False,
        on_missing: Literal["wait", "error"] = "wait",
        on_event: Callable[[UUID, EventKind], None] | None = None,
        on_directory: Callable[[bool], None] | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
        max_open: int | None = None,
        stats: StoreStats | None = None,
    ) -> None:
        """Prepare; nothing is opened before the first record is asked for.

        Args:
            directory: whose sessions are followed.
            watch: gives the watch of the directory, held.
            after: a directory cursor to go on from.
            kinds: only chunks of these kinds, and damage; by default every record.
            find: says what of a file is inherited, and left out; None: nothing is.
            include_closed: also sessions that are closed before this begins.
            last: of sessions that exist already, only so many of the last records.
            only_running: of those whose writer is gone already, none.
            on_missing: "wait" waits for a directory that is absent or goes; "error" raises.
            on_event: called with a session's id and what happened to it.
            on_directory: called with whether there is one, at the first look and when that changes.
            max_line_bytes: a longer line is one ``Damage``.
            max_open: descriptors at most; by default what the process has for all of these.
            stats: counts into these.

        Raises:
            CursorInvalid: ``after`` is no directory cursor.
            ValueError: ``kinds`` names no kind.
        """
        self.directory = directory
        # Whence the last record came.
        self._taken: tuple[Batch, int] | None = None
        self._kinds = None if kinds is None else frozenset(ChunkKind(kind) for kind in kinds)
        stats = stats or StoreStats()
        # Checked, and not yet read: that takes a thread.
        self._after = None if after == NOT_BEGUN else after
        if self._after is not None:
            DirectoryPosition.check(self._after)
        self._following = Following(
            directory,
            make_watch=watch,
            wanted=Wanted(
                after=self._after,
                include_closed=include_closed,
                last=last,
                only_running=only_running,
                on_missing=on_missing,
            ),
            open_file=partial(
                open_lane,
                directory=directory,
                find=find,
                max_line_bytes=max_line_bytes,
                stats=stats,
            ),
            max_open=max_open,
            stats=stats,
            # Not a method: a stream that is dropped is gone at once.
            tell=partial(_tell, on_event),
            tell_directory=on_directory or _say_nothing,
        )

    def __repr__(self) -> str:
        following = self._following
        state = "ended" if following.closed else counted(len(following.sessions.lanes), "session")
        return f"<DirectoryTail {place(self.directory)}, {state}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionRecord:
        """Return the next record and whose it is; sessions take turns.

        Raises:
            StopAsyncIteration: this was closed.
            SessionNotFound: the directory is absent, with ``on_missing="error"``.
            PersistenceError: the directory cannot be read.
            StreamBusy: another task waits for the next one.
        """
        following = self._following
        while True:
            lane = following.current or await following.next_lane()
            assert lane is not None
            stream = lane.stream
            record = stream.take()
            self._taken = stream.last_taken()
            if not stream.waiting:
                following.handed_over()
            if (
                self._kinds is None
                or isinstance(record, Damage)
                or (type(record) is Chunk and record.kind in self._kinds)
            ):
                session_id = lane.session_id
                assert session_id is not None
                return session_id, record

    async def begin(self) -> None:
        """Look at the directory now, unless a record was asked for: ``cursor`` then knows where all stand.

        Raises:
            SessionNotFound: the directory is absent, with ``on_missing="error"``.
            CursorInvalid: the cursor is damaged.
            PersistenceError: the directory cannot be read.
        """
        if not self._following.closed:
            await self._following.begin()

    @property
    def place(self) -> tuple[int | None, int | None]:
        """The line of the record that was handed over last, and where it begins in its file.

        The line is None where reading began too far from the file's start; both are before the
        first record.
        """
        if self._taken is None:
            return None, None
        batch, index = self._taken
        line, offset = batch.line_of(index)
        return line if batch.start.lines is not None else None, offset

    @property
    def cursor(self) -> str:
        """Where every session stands, as text for ``after=``.

        Taken after a record, it stands behind that record. It costs some 10 us a running session,
        and for each 100,000 that are done with 5 ms.
        """
        following = self._following
        if not following.begun:
            return self._after or NOT_BEGUN
        return following.sessions.position.encode()

    @property
    def errors(self) -> dict[str, PersistenceError]:
        """Sessions that could not be read at the last try, with the error; they are tried again."""
        return self._following.sessions.errors

    def inherited(self, session_id: UUID) -> tuple[Inherited, int] | None:
        """What of a session that is followed now is inherited, and how much was left out of it.

        None where nothing is left out, and before its first record.
        """
        lanes = self._following.sessions.lanes
        lane = lanes.get(str(session_id)) or next(
            (lane for lane in lanes.values() if lane.session_id == session_id), None
        )
        sieve = lane.follower.reader.sieve if lane and lane.follower else None
        if sieve is None or sieve.inherited is None:
            return None
        return sieve.inherited, sieve.left_out

    @property
    def session_ids(self) -> list[UUID]:
        """Ids of the sessions that are followed now."""
        lanes = self._following.sessions.lanes.values()
        return [found for lane in lanes if (found := lane.session_id)]

    @property
    def running(self) -> int:
        """How many sessions are followed whose writer is not known to be gone."""
        return sum(not lane.abandoned for lane in self._following.sessions.lanes.values())

    @property
    def open_files(self) -> int:
        """Descriptors held for session files."""
        return len(self._following.sessions.files)

    async def aclose(self) -> None:
        """Release everything; iterating ends."""
        self.close()

    def close(self) -> None:
        """Release everything; iterating ends. The cursor stays."""
        self._following.close()

    @property
    def _gate(self) -> Callable[[str], None]:
        # Called with the name of each moment that a race could hit; tests act there.
        return self._following.gate

    @_gate.setter
    def _gate(self, gate: Callable[[str], None]) -> None:
        self._following.gate = gate


def _tell(
    on_event: Callable[[UUID, EventKind], None] | None,
    stem: str,  # noqa: ARG001 - of who is told of every file
    session_id: UUID | None,
    kind: EventKind,
) -> None:
    if on_event is not None and session_id is not None:
        on_event(session_id, kind)


def _say_nothing(_: object) -> None:
    pass

"""directory -> what happens to its sessions: started, closed, abandoned, resumed, deleted, replaced.

The verdicts are those of ``following``: this reads along and keeps only the news.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import msgspec
from anyio.abc import AsyncResource
from anyio.lowlevel import checkpoint

from sessiontail.directory.following import Following
from sessiontail.directory.opening import open_lane
from sessiontail.directory.scan import Scan
from sessiontail.directory.stock import Wanted
from sessiontail.errors import PersistenceError
from sessiontail.format.brief import brief, counted, place, short
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.lifecycle import EventKind, SessionState
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.session.pulling import AsyncEntered, AsyncPulled, OneTask
from sessiontail.session.summary import Detail, read_and_keep, read_meta
from sessiontail.system.calls import Call
from sessiontail.system.files import in_thread
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import split_name, stem_paths
from sessiontail.system.stats import StoreStats
from sessiontail.system.watching import DirectoryWatch

__all__ = ["SessionEvent", "SessionWatch"]


@dataclass(frozen=True, slots=True, repr=False)
class SessionEvent:
    """One thing that happened to one session; ``msgspec.json.encode`` takes it as it is."""

    kind: EventKind
    #: As it is after the event; of a deleted session, as it was last known. The chunks of a large
    #: file without a trailer are not counted but taken from its last one's index.
    meta: PersistedSessionMeta

    def __repr__(self) -> str:
        return brief(self, str(self.kind), short(self.meta.id_text))

    def to_dict(self) -> dict[str, Any]:
        """Return the session as JSON has it, and what happened to it as ``event``."""
        return {**self.meta.to_dict(), "event": self.kind.value}


class SessionWatch(AsyncPulled, AsyncEntered, AsyncIterator[SessionEvent], AsyncResource):
    """What happens to the sessions of a directory, in order; it never ends by itself.

    Made by ``SessionStore.watch``. An async iterator and an async context manager; a step that is
    cancelled can be retried, and nothing is lost.
    """

    def __init__(
        self,
        directory: Path,
        *,
        watch: Callable[[], Awaitable[DirectoryWatch]],
        include_existing: bool = False,
        max_line_bytes: int = MAX_LINE_BYTES,
        stats: StoreStats | None = None,
    ) -> None:
        """Prepare; nothing is opened before the first event is asked for."""
        self._directory = directory
        stats = stats or StoreStats()
        # What happened, and was not handed over: whose file, and what.
        self._news: deque[tuple[str, EventKind]] = deque()
        self._following = Following(
            directory,
            make_watch=watch,
            wanted=Wanted(last=0),
            open_file=partial(
                open_lane, directory=directory, max_line_bytes=max_line_bytes, stats=stats
            ),
            max_open=None,
            stats=stats,
            # Not a method: a stream that is dropped is gone at once.
            tell=partial(_note, self._news),
        )
        self._include_existing = include_existing
        self._existing: deque[PersistedSessionMeta] | None = None
        self._metas: dict[str, PersistedSessionMeta] = {}
        self._scan: Scan | None = None
        self._one_task = OneTask("SessionWatch")
        # Reads the meta of the next event.
        self._call: Call[PersistedSessionMeta | None] | None = None
        # Whose records came since they were asked for, the longest waiting first.
        self._grown: dict[str, None] = {}

    def __repr__(self) -> str:
        state = "ended" if self._following.closed else counted(len(self._metas), "session")
        return f"<SessionWatch {place(self._directory)}, {state}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionEvent:
        """Return the next event.

        Raises:
            StopAsyncIteration: this was closed.
            PersistenceError: the directory cannot be read.
            StreamBusy: another task waits for the next one.
        """
        with self._one_task:
            return await self._next()

    async def begin(self) -> None:
        """Watch and take stock, unless that was done: what happens from now on is told.

        Raises:
            StopAsyncIteration: this was closed.
            PersistenceError: the directory cannot be read.
            StreamBusy: another task waits for the next event.
        """
        with self._one_task:
            if self._existing is None:
                await self._begin()

    async def grown(self, most: int) -> list[PersistedSessionMeta]:
        """Return the metas of sessions whose records came since this was asked; it does not wait.

        They are noticed while an event is waited for, by another task too. Those that wait longest
        come first; of a session that is gone meanwhile there is none.

        Args:
            most: so many at most; the others wait.
        """
        stems = [*islice(self._grown, most)]
        for stem in stems:
            del self._grown[stem]
        if not stems:
            return []
        try:
            metas = await in_thread(
                _grown_metas, self._directory, stems, place=str(self._directory)
            )
        except BaseException:  # they are still to be told of
            self._grown = {**dict.fromkeys(stems), **self._grown}
            raise
        self._metas.update((stem, meta) for stem, meta in metas if stem in self._metas)
        return [meta for _, meta in metas]

    async def _next(self) -> SessionEvent:
        while not self._following.closed:
            if self._existing is None:
                await self._begin()
            assert self._existing is not None
            if self._existing:
                await checkpoint()  # there may be 100,000
                return SessionEvent(EventKind.STARTED, self._existing.popleft())
            if not self._news:
                lane = await self._following.next_lane(self._news)
                if lane is not None:
                    self._grown[lane.stem] = None
                self._following.handed_over()
                continue
            stem, kind = self._news[0]
            # Kept: a wait that is cut short again and again would never see the end of it.
            call = self._call = self._call or Call(str(self._directory), self._meta, stem, kind)
            await call.settled()
            self._call = None
            self._news.popleft()
            meta = call.result()
            if kind is EventKind.DELETED:
                meta = self._metas.pop(stem, None)
                self._grown.pop(stem, None)
            elif meta is not None:
                self._metas[stem] = meta
            else:
                meta = self._metas.get(stem)  # gone since: as it was last known
            if meta is not None:
                return SessionEvent(kind, meta)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Release everything; iterating ends."""
        self._following.close()

    async def _begin(self) -> None:
        # Watch first, then list: a session between the two is then told twice, not never.
        await self._following.begin()
        # Kept, as ``_call`` is.
        scan = self._scan = self._scan or Scan(self._directory, detail=Detail.ENDS)
        async for meta in scan:
            split = split_name(meta.path.name)
            assert split is not None
            if split[1] or split[0] not in self._metas:
                self._metas[split[0]] = meta
        self._scan = None
        self._existing = deque(self._metas.values() if self._include_existing else ())

    def _meta(self, stem: str, kind: EventKind) -> PersistedSessionMeta | None:
        # The verdict is known; only a writer's pid is asked for.
        lives = kind in (EventKind.STARTED, EventKind.RESUMED)
        locks = LockTable.read() if lives else LockTable(None)
        paths = stem_paths(stem, self._directory)
        for name in paths.newest_first:
            try:
                meta, _ = read_meta(name, locks, detail=Detail.ENDS)
            except PersistenceError:
                continue
            state = meta.state
            if kind is EventKind.ABANDONED:
                state = SessionState.ABANDONED
            elif lives and state is SessionState.ABANDONED:
                state = SessionState.UNKNOWN  # copied, or written without a lock, just now
            return msgspec.structs.replace(meta, state=state)
        return None


def _grown_metas(directory: Path, stems: list[str]) -> list[tuple[str, PersistedSessionMeta]]:
    """Read metas as a listing does, blocking: of a file that grew, only what was added."""
    locks = LockTable.read()
    found = []
    for stem in stems:
        for name in stem_paths(stem, directory).newest_first:
            with suppress(PersistenceError):
                found.append((stem, read_and_keep(name, locks, detail=Detail.LINES)[0]))
                break
    return found


def _note(
    news: deque[tuple[str, EventKind]],
    stem: str,
    session_id: UUID | None,  # noqa: ARG001 - of who is told of sessions only
    kind: EventKind,
) -> None:
    news.append((stem, kind))

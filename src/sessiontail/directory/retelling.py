"""sessions that lead to one -> the records of the whole conversation, each once."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Self
from uuid import UUID

from anyio.abc import AsyncResource

from sessiontail.directory.outlines import SessionOutline
from sessiontail.format.records import Chunk, Record
from sessiontail.session.pulling import AsyncEntered, AsyncPulled, OneTask
from sessiontail.session.reading import SessionReader

__all__ = ["Conversation"]


class Conversation(AsyncPulled, AsyncEntered, AsyncIterator[tuple[UUID, Record]], AsyncResource):
    """The records on the way from the first session of a conversation to one of its turns.

    Made by ``SessionStore.conversation``. Of each session come its own rows, up to where the next
    one goes on from it; of the first one, all. An async iterator and an async context manager. One
    task at a time may pull.

    Args:
        find_way: gives the sessions, the first one first.
        read: opens one.
    """

    def __init__(
        self,
        find_way: Callable[[], Awaitable[list[SessionOutline]]],
        read: Callable[[Path], SessionReader],
    ) -> None:
        self._find_way = find_way
        self._read = read
        self._way: deque[SessionOutline] | None = None
        self._reader: SessionReader | None = None
        self._id: UUID | None = None
        # How many rows of the session came; which of them are told, from here up to there.
        self._rows = self._first = 0
        self._end: int | None = None
        self._one_task = OneTask("conversation")
        self._closed = False

    def __repr__(self) -> str:
        left = "not begun" if self._way is None else f"{len(self._way)} sessions to come"
        return f"<Conversation {left}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[UUID, Record]:
        """Return the next record, and whose it is.

        Raises:
            StopAsyncIteration: that was all.
            SessionNotFound: there is no such session.
            PersistenceError: a file cannot be read.
            StreamBusy: another task waits for the next one.
        """
        with self._one_task:
            return await self._next()

    async def _next(self) -> tuple[UUID, Record]:
        if self._way is None and not self._closed:
            self._way = deque(await self._find_way())
        while not self._closed:
            assert self._way is not None
            if self._reader is None and not self._begin_next(self._way):
                break
            assert self._reader is not None
            assert self._id is not None
            record = await anext(self._reader, None)
            if record is None:
                self._leave()
                continue
            if isinstance(record, Chunk):
                self._rows += 1
                if self._rows <= self._first:
                    continue
                if self._end is not None and self._rows > self._end:
                    self._leave()
                    continue
            return self._id, record
        raise StopAsyncIteration

    def _begin_next(self, way: deque[SessionOutline]) -> bool:
        if not way:
            return False
        # What the first one inherits is of nobody who is there.
        self._first = 0 if self._id is None else way[0].inherited_count or 0
        one = way.popleft()
        self._id, self._rows = one.meta.id, 0
        # Where the next one has none of its rows it begins anew: a summary of this one.
        shared = way[0].inherited_count if way else None
        self._end = max(shared, self._first) if shared else None
        self._reader = self._read(one.meta.path)
        return True

    def _leave(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    async def aclose(self) -> None:
        """Release everything; iterating ends."""
        self._closed = True
        self._leave()

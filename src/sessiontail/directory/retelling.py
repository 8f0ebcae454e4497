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
from sessiontail.session.reading import SessionReader

__all__ = ["Conversation"]


class Conversation(AsyncIterator[tuple[UUID, Record]], AsyncResource):
    """The records on the way from the first session of a conversation to one of its turns.

    Made by ``SessionStore.conversation``. Of each session come its own rows, up to where the next
    one goes on from it. An async iterator and an async context manager.

    Args:
        find_way: gives the sessions, the first one first.
        read: opens one, without what it inherits.
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
        # How many rows of the session are still to come; None: all.
        self._left: int | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[UUID, Record]:
        """Return the next record, and whose it is.

        Raises:
            StopAsyncIteration: that was all.
            SessionNotFound: there is no such session.
            PersistenceError: a file cannot be read.
        """
        if self._way is None:
            self._way = deque(await self._find_way())
        while True:
            if self._reader is None and not self._begin_next(self._way):
                raise StopAsyncIteration
            assert self._reader is not None
            assert self._id is not None
            record = await anext(self._reader, None)
            if record is None or (self._left == 0 and isinstance(record, Chunk)):
                self._leave()
                continue
            if self._left is not None and isinstance(record, Chunk):
                self._left -= 1
            return self._id, record

    def _begin_next(self, way: deque[SessionOutline]) -> bool:
        if not way:
            return False
        one = way.popleft()
        self._id, self._left = one.meta.id, None
        shared = way[0].inherited_count if way else None
        if shared:  # else the next one begins anew: a summary of this one
            self._left = max(0, shared - (one.inherited_count or 0))
        self._reader = self._read(one.meta.path)
        return True

    def _leave(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    async def aclose(self) -> None:
        """Release everything; iterating ends."""
        self._way = deque()
        self._leave()

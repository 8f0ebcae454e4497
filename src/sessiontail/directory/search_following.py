"""records of a directory as they come, and a question -> the matches in them, as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Collection
from datetime import datetime
from functools import partial
from typing import Self
from uuid import UUID

from anyio.abc import AsyncResource

from sessiontail.directory.tail import DirectoryTail
from sessiontail.errors import PatternTooSlow
from sessiontail.format.records import Header
from sessiontail.session.asking import Match, Question, matches_of
from sessiontail.session.pulling import AsyncEntered, AsyncPulled, OneTask
from sessiontail.system.calls import Call

__all__ = ["FollowingSearch"]

# So long a text is searched on the event loop; what takes longer begins again in a thread.
_HERE_S = 0.005


class FollowingSearch(AsyncPulled, AsyncEntered, AsyncIterator[Match], AsyncResource):
    """The matches in what sessions say, from now on or from their begin; it never ends by itself.

    Made by ``SessionStore.search_live``. A pull-only iterator and context manager; a step that is
    cancelled can be retried. One task at a time may pull.

    Args:
        tail: gives the records; it is closed with this.
        question: what is searched for in each.
        ids: only these sessions; None: all.
        since: only sessions that were created at or after this moment; their headers must be among
            the records.
    """

    def __init__(
        self,
        tail: DirectoryTail,
        question: Question,
        *,
        ids: Collection[UUID] | None = None,
        since: datetime | None = None,
    ) -> None:
        #: The records; its ``errors`` say which sessions cannot be read now.
        self.tail = tail
        self._question = question
        self._ids = None if ids is None else frozenset(ids)
        self._since = since
        self._old: set[UUID] = set()
        # Matching records of each session, where only so many are wanted.
        self._matched: dict[UUID, int] = {}
        self._found: deque[Match] = deque()
        self._call: Call[list[Match]] | None = None
        self._one_task = OneTask("search")

    def __repr__(self) -> str:
        return f"<FollowingSearch of {self.tail!r}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Match:
        """Return the next match.

        Raises:
            StopAsyncIteration: this was closed.
            PatternTooSlow: the pattern took too long for a text; the next step goes on behind it.
            PersistenceError: the directory cannot be read.
            StreamBusy: another task waits for the next one.
        """
        with self._one_task:
            while not self._found:
                await self._more()
        return self._found.popleft()

    async def aclose(self) -> None:
        """Release everything; iterating ends."""
        self.tail.close()

    async def _more(self) -> None:
        if self._call is None:
            session_id, record = await anext(self.tail)
            if isinstance(record, Header):
                self._meet(session_id, record)
            if not self._wants(session_id):
                return
            line, offset = self.tail.place
            look = partial(
                matches_of,
                record,
                self._question,
                session_id=session_id,
                path=None,
                line=lambda: line,
                offset=offset,
            )
            try:
                found = [*look(most_s=_HERE_S)]
            except PatternTooSlow:
                self._call = Call("", lambda: [*look()])
            else:
                self._take(found)
                return
        call = self._call
        await call.settled()
        self._call = None
        self._take(call.result())

    def _meet(self, session_id: UUID, header: Header) -> None:
        if self._since is not None and header.created_at < self._since:
            self._old.add(session_id)
        else:
            self._old.discard(session_id)

    def _wants(self, session_id: UUID) -> bool:
        most = self._question.most
        return (
            (self._ids is None or session_id in self._ids)
            and session_id not in self._old
            and (most is None or self._matched.get(session_id, 0) < most)
        )

    def _take(self, matches: list[Match]) -> None:
        self._found += matches
        if matches and self._question.most is not None and matches[0].session_id is not None:
            session_id = matches[0].session_id
            self._matched[session_id] = self._matched.get(session_id, 0) + 1

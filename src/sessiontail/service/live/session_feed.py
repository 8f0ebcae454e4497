"""a session and a place in it -> what comes behind that, for a stream of several sessions.

It follows the session in a task of its own, one batch ahead of what is taken. A session that is not there
yet is waited for; one that cannot be read is told of, once, and tried again. After the end of one whose
writer is gone, it goes on where there is more; that it ended is not told again where there is not.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from uuid import UUID

import anyio

from sessiontail.errors import CursorInvalid, PersistenceError
from sessiontail.format.lifecycle import Outcome
from sessiontail.service.context import Context
from sessiontail.service.live.frames import Frame, end_id, parse_id
from sessiontail.service.live.news import UNREADABLE
from sessiontail.service.live.sharing import Place, Sharing
from sessiontail.service.problems import problem_of
from sessiontail.system.calls import Background
from sessiontail.system.signals import Signal

__all__ = ["SessionFeed"]

logger = logging.getLogger("sessiontail.service")

# What cannot be read is tried again after so long.
_AGAIN_S = 1.0


class SessionFeed:
    """What comes of one session.

    Args:
        context: the application's.
        session_id: which session.
        place: the id of an event, or a cursor: it begins behind that.
        wake: called when there is something to take.
    """

    def __init__(
        self, context: Context, session_id: UUID, place: str, wake: Callable[[], object]
    ) -> None:
        self._sharing = context.part(Sharing)
        self._session_id = session_id
        #: What was taken so far ends here.
        self.place = place
        #: Whether something went wrong that nobody foresaw: nothing more comes.
        self.failed = False
        self._wake = wake
        self._pending: list[Frame] = []
        self._taken = Signal()
        self._revived = Signal()
        # Whether it was told that the session cannot be read.
        self._unreadable = False
        self._task: Background | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._task = Background(self._run)

    def stop(self) -> None:
        """Follow no longer."""
        if self._task is not None:
            self._task.stop()

    def take(self) -> list[Frame]:
        """Return what came; each frame's id is the place behind it."""
        frames, self._pending = self._pending, []
        if frames:
            self.place = frames[-1].event_id
            self._taken.set()
        return frames

    def revive(self) -> None:
        """Look again, where the session has ended: something happened to it."""
        self._revived.set()

    async def _run(self) -> None:
        try:
            await self._follow()
        except Exception:
            logger.exception("a session's records cannot be sent")
            self.failed = True
            self._wake()

    async def _follow(self) -> None:
        while True:
            cursor, outcome = parse_id(self.place)
            if outcome in {Outcome.CLOSED, Outcome.DELETED, Outcome.REPLACED}:
                return
            try:
                with Place(self._sharing, self._session_id, cursor) as place:
                    await place.begin(math.inf)
                    while frames := await place.frames():
                        await self._hand_over(frames)
                        del frames  # not kept until there are more
            except CursorInvalid:
                # What the place is in was exchanged while nobody followed.
                await self._end(cursor or "", Outcome.REPLACED)
                continue
            except PersistenceError as error:
                await self._tell_unreadable(error)
                await anyio.sleep(_AGAIN_S)
                continue
            if parse_id(self.place)[1] is Outcome.ABANDONED:
                await self._revived.wait()

    async def _hand_over(self, frames: list[Frame]) -> None:
        """Have frames taken."""
        self._unreadable = False
        last = frames[-1]
        if last.event != "end":
            await self._put(frames)
            return
        if frames[:-1]:
            await self._put(frames[:-1])
        if last.event_id != self.place:  # else it was told, and nothing came since
            cursor, outcome = parse_id(last.event_id)
            assert cursor is not None
            assert outcome is not None
            await self._end(cursor, outcome)

    async def _end(self, cursor: str, outcome: Outcome) -> None:
        said = {"session_id": str(self._session_id), "outcome": outcome.value}
        await self._put([Frame("end", end_id(cursor, outcome), json.dumps(said).encode())])

    async def _tell_unreadable(self, error: PersistenceError) -> None:
        if not self._unreadable:
            self._unreadable = True
            said = {"session_id": str(self._session_id), "detail": problem_of(error).detail}
            await self._put([Frame(UNREADABLE, self.place, json.dumps(said).encode())])

    async def _put(self, frames: list[Frame]) -> None:
        self._pending = frames
        self._wake()
        while self._pending:
            await self._taken.wait()

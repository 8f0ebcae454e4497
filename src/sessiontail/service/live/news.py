"""one watch of a directory -> numbered news for all clients of an application.

It begins with the first client that listens, and goes on for a while without any, so that one who
lost its connection finds what it missed. Numbers count for one run of the server, which ``boot``
names. Between two watches nothing is known: a number from before is then not reached, and its client
is told to list again.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import anyio
import msgspec

from sessiontail.directory.events import SessionWatch
from sessiontail.directory.outlines import SessionOutline
from sessiontail.errors import PersistenceError
from sessiontail.service.api.metas import outlined, told
from sessiontail.service.context import Context
from sessiontail.service.live.news_log import CHANGED, NewsEntry, NewsLog
from sessiontail.service.problems import problem_of
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.calls import Background

__all__ = ["UNREADABLE", "News", "news_lifespan"]

logger = logging.getLogger("sessiontail.service")

#: The directory, or a session's file, cannot be read.
UNREADABLE = "unreadable"

# A session that grows is told of so often.
_INTERVAL_S = 1.0
# And so many of them at once: 140 KB a client.
_MOST_GROWN = 200
# Without any client the watch goes on for so long.
_LINGER_S = 60.0
# Behind these a session does not grow.
_ENDS = {"closed", "abandoned", "deleted"}
# What failed is tried again after so long.
_AGAIN_S = 1.0
# And that it failed is told again after so long.
_TELL_AGAIN_S = 60.0

_dump = msgspec.json.Encoder().encode


class News:
    """What happens in the directory of an application; its part, made by ``context.part(News)``.

    Args:
        context: whose store is watched.
        interval_s: a session that grows is told of so often.
        linger_s: so long the watch goes on without any client.
    """

    def __init__(
        self, context: Context, *, interval_s: float = _INTERVAL_S, linger_s: float = _LINGER_S
    ) -> None:
        self._context = context
        self._interval_s = interval_s
        self._linger_s = linger_s
        #: Names this run of the server: numbers of another one say nothing here.
        self.boot = secrets.token_hex(4)
        self._news = NewsLog()
        # What wakes who listens.
        self._listeners: dict[object, Callable[[], object]] = {}
        self._left_s = 0.0
        self._failed_s = -_TELL_AGAIN_S
        # Of sessions that grow, as they were when their titles were read.
        self._outlines: dict[str, SessionOutline] = {}
        # What watches; None while nobody needs it.
        self._task: Background | None = None
        # Set when the watch has begun, or could not; when it has ended.
        self._begun = anyio.Event()
        self._ended = anyio.Event()

    @property
    def last(self) -> int:
        """The number of the last news."""
        return self._news.last

    @property
    def watching(self) -> bool:
        """Whether the directory is watched now."""
        return self._task is not None

    def reaches(self, number: int) -> bool:
        """Say whether all is known of what came behind a number of this boot."""
        return self._news.reaches(number)

    @contextmanager
    def listening(self, wake: Callable[[], object]) -> Iterator[None]:
        """Have the directory watched meanwhile.

        Args:
            wake: called when there are news.
        """
        key = object()
        self._listeners[key] = wake
        if self._task is None:
            self._begun, self._ended = anyio.Event(), anyio.Event()
            self._task = Background(self._run)
        try:
            yield
        finally:
            del self._listeners[key]
            self._left_s = time.monotonic()

    async def begun(self) -> None:
        """Wait until it is watched, or turned out to be unreadable; while listening."""
        await self._begun.wait()

    def after(self, number: int) -> list[NewsEntry]:
        """Return what is known of what came behind a number, oldest first (see ``reaches``)."""
        return self._news.after(number)

    async def aclose(self) -> None:
        """End the watch; who listens hears nothing more."""
        if self._task is not None:
            self._task.stop()
            with anyio.CancelScope(shield=True):
                await self._ended.wait()

    async def _run(self) -> None:
        try:
            while not self._forsaken:
                await self._watch_on()
        finally:
            self._task = None
            self._ended.set()

    async def _watch_on(self) -> None:
        """Watch until nobody has listened for long, or it fails."""
        try:
            self._news.skip()
            async with self._context.store.watch() as watch:
                await self._begin(watch)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._read, watch)
                    await self._tell_growth(watch)
                    tasks.cancel_scope.cancel()
        except Exception:
            # The other clients' streams hang on it.
            logger.exception("the watch of the directory has failed, and is begun anew")
            await anyio.sleep(_AGAIN_S)

    async def _begin(self, watch: SessionWatch) -> None:
        failed = False
        while not self._forsaken:
            try:
                await watch.begin()
            except PersistenceError as error:
                failed = True
                self._tell_unreadable(error)
                self._begun.set()
                await anyio.sleep(_AGAIN_S)
                continue
            if failed:
                self._news.skip()
            self._begun.set()
            self._wake()
            return

    async def _read(self, watch: SessionWatch) -> None:
        while True:
            try:
                event = await anext(watch)
            except PersistenceError as error:
                self._tell_unreadable(error)
                await anyio.sleep(_AGAIN_S)
                continue
            (outline,) = await outlined(self._context, [event.meta])
            self._outlines.pop(event.meta.id_text, None)
            self._add(event.kind.value, outline)
            self._wake()

    async def _tell_growth(self, watch: SessionWatch) -> None:
        while not self._forsaken:
            await anyio.sleep(self._interval_s)
            if self._listeners:
                before = self._news.last
                grown = await self._outlined(await watch.grown(_MOST_GROWN))
                # A session that ended meanwhile is not said to be as it was before.
                came = {entry.session_id: entry.kind for entry in self._news.after(before)}
                for outline in grown:
                    if came.get(outline.meta.id_text) not in _ENDS:
                        self._add(CHANGED, outline)
                if grown:
                    self._wake()

    @property
    def _forsaken(self) -> bool:
        """Whether nobody has listened for long."""
        return not self._listeners and time.monotonic() - self._left_s >= self._linger_s

    async def _outlined(self, metas: Sequence[PersistedSessionMeta]) -> list[SessionOutline]:
        """Return sessions that grew with their titles; read anew only after twice as many rows."""
        anew, known = [], []
        for meta in metas:
            before = self._outlines.get(meta.id_text)
            if before is None or meta.chunk_count >= 2 * before.meta.chunk_count:
                anew.append(meta)
            else:
                known.append(msgspec.structs.replace(before, meta=meta))
        read = await outlined(self._context, anew) if anew else []
        self._outlines.update((outline.meta.id_text, outline) for outline in read)
        return known + read

    def _add(self, kind: str, outline: SessionOutline) -> None:
        self._news.add(kind, outline.meta.id_text, _dump(told(outline)))

    def _tell_unreadable(self, error: PersistenceError) -> None:
        """Tell it, unless that was done a short while ago: each look at it fails anew."""
        now_s = time.monotonic()
        if now_s - self._failed_s >= _TELL_AGAIN_S:
            self._failed_s = now_s
            self._news.add(UNREADABLE, None, _dump({"detail": problem_of(error).detail}))
            self._wake()

    def _wake(self) -> None:
        for wake in self._listeners.values():
            wake()


@asynccontextmanager
async def news_lifespan(context: Context) -> AsyncIterator[None]:
    """End the watch with the application."""
    try:
        yield
    finally:
        await context.part(News).aclose()

"""a directory -> its sessions in Redis, line by line, for as long as one connection lasts.

Two tasks: one reads the directory, one sends what was read, all of it that waits in one step. What
waits is bounded, so a slow Redis is waited for: the files are the buffer. Where anything goes wrong
both end, and the next connection goes on from what Redis has.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Sized
from functools import cache, partial
from typing import TypeAlias
from uuid import UUID

from redis import exceptions as said
from redis.asyncio import Redis

from sessiontail.directory.backlog import Backlog, NewsOrEnd
from sessiontail.directory.following import Following
from sessiontail.directory.opening import open_lane
from sessiontail.directory.stock import Wanted
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.lifecycle import EventKind
from sessiontail.relay.connecting import call, run_of, until_one_ends
from sessiontail.relay.entries import Keys
from sessiontail.relay.first_look import FirstLook
from sessiontail.relay.holding import HeldName
from sessiontail.relay.outgoing import Behind, Change, Outgoing
from sessiontail.relay.positions import Known, Stored, read_stored, store_ended
from sessiontail.relay.scripts import APPEND, CAUGHT_UP
from sessiontail.relay.unfollowed import find_deleted, watch_unfollowed
from sessiontail.relay.verifying import begin_anew, is_as_published, watch_content
from sessiontail.system.files import in_thread
from sessiontail.system.place import Place
from sessiontail.system.signals import Signal
from sessiontail.system.stats import StoreStats

__all__ = ["Publisher"]

# What may wait to be sent, and how much of it goes in one step.
_MOST_WAITING_BYTES, _MOST_WAITING = 4 * 1024 * 1024, 1024
_STEP_BYTES, _STEP = 1024 * 1024, 256
# How often it is told how far the start is.
_TELL_S = 5.0
# Where there is nothing to send for so long, all is well.
_QUIET_S = 0.2
# The verdicts that Redis is told of; the others show in the lines.
_ENDS = {EventKind.CLOSED, EventKind.ABANDONED, EventKind.DELETED, EventKind.REPLACED}

_News: TypeAlias = tuple[str, EventKind]


class Publisher:
    """Publishes the sessions of one directory.

    Args:
        place: the directory.
        keys: of the prefix.
        name: the relay's name, held while a connection lasts.
        first_look: what was closed before it.
        include_closed: also these.
        expire_s: how long Redis keeps what was deleted.
        tell: takes a line about a session that cannot be published.
    """

    def __init__(
        self,
        place: Place,
        keys: Keys,
        name: HeldName,
        *,
        first_look: FirstLook,
        include_closed: bool,
        expire_s: int,
        tell: Callable[[str], None],
    ) -> None:
        self._place = place
        self._keys = keys
        self._name = name
        self._first_look = first_look
        self._include_closed = include_closed
        self._expire_s = expire_s
        self._tell = tell
        # Keys of another program, which were told of.
        self._foreign: set[str] = set()
        # What outlasts a connection: files that are not wanted, once the first look was taken, and
        # whether that is written down; the last generations.
        self._skipped: dict[str, bytes] | None = None
        self._is_noted = False
        self._latest: dict[str, int] = {}
        # Whose files have something else than Redis.
        self._changed: set[str] = set()
        # Of one connection. What happened and was not looked at; changes that wait to be sent.
        self._news: deque[_News] = deque()
        self._waiting: deque[Change] = deque()
        self._waiting_bytes = 0
        self._came, self._went = Signal(), Signal()

    async def publish(
        self, client: Redis, *, begun: Callable[[], None], well: Callable[[], None]
    ) -> None:
        """Publish until what Redis has is to be read anew; then return.

        Args:
            client: of Redis.
            begun: called when the first look is done.
            well: called when Redis has taken what was there to send.

        Raises:
            RelayError: another relay lives under this name.
            PersistenceError: the directory cannot be read.
            OSError, redis.RedisError: Redis is lost, or refuses.
        """
        await self._name.take(client)
        stored = await read_stored(client, self._keys, self._name.host)
        self._news.clear()
        self._waiting.clear()
        self._waiting_bytes = 0
        if self._skipped is None:
            await self._remember(stored)
        following = self._follow(stored.cursor(self._skipped, anew=self._changed))
        try:
            await following.begin()
            if self._skipped is None:
                ended = following.sessions.ended
                keys = {stem: ended.get(stem) for stem in [*ended.ids, *ended.names]}
                self._skipped = {stem: key for stem, key in keys.items() if key is not None}
            if not self._is_noted:
                await in_thread(self._first_look.write, self._skipped)
                self._is_noted = True
            if not stored.begun:
                await store_ended(client, self._keys, self._name.host, self._skipped)
            outgoing = self._outgoing(stored.sessions)
            await find_deleted(self._place.directory, outgoing, stored.positions, self._put)
            await begin_anew(client, outgoing, self._changed, well)
            begun()
            await until_one_ends(
                partial(self._name.keep, client),
                partial(self._read, following, outgoing, await self._caught_up(client)),
                partial(self._send, client, well),
                partial(
                    watch_unfollowed,
                    self._place.directory,
                    outgoing,
                    partial(self._is_followed, following),
                    self._put,
                ),
                partial(self._verify, following, outgoing),
            )
        finally:
            following.close()

    async def _remember(self, stored: Stored) -> None:
        """Learn what is not wanted from Redis, else from an earlier life of this relay."""
        noted = await in_thread(self._first_look.read)
        if stored.begun:
            self._skipped = stored.skipped
            self._is_noted = noted is not None
        elif not self._include_closed:
            self._skipped = noted
            self._is_noted = noted is not None

    def _follow(self, after: str | None) -> Following:
        stats, directory = StoreStats(), self._place.directory
        return Following(
            directory,
            make_watch=self._place.watch,
            wanted=Wanted(after=after, include_closed=self._include_closed),
            open_file=partial(
                open_lane, directory=directory, max_line_bytes=MAX_LINE_BYTES, stats=stats
            ),
            max_open=None,
            stats=stats,
            tell=partial(_note, self._news),
            blank=True,
        )

    def _outgoing(self, known: dict[str, Known]) -> Outgoing:
        return Outgoing(
            self._keys,
            self._name.host,
            self._name.token,
            known,
            self._latest,
            expire_s=self._expire_s,
            now_ms=_now_ms,
        )

    async def _caught_up(self, client: Redis) -> Change:
        """Return the change that says that all there was is published."""
        keys, host = self._keys, self._name.host
        return Change(
            CAUGHT_UP,
            [keys.of(host, "lock"), keys.of(host, "info"), keys.marks, keys.count],
            [self._name.token, host, await run_of(client)],
            0,
        )

    async def _read(self, following: Following, outgoing: Outgoing, caught_up: Change) -> None:
        """Make changes of what is read; end where Redis and the files do not agree."""
        lanes = following.sessions.lanes
        backlog: Backlog | None = Backlog([*lanes.values()], lanes)
        there, told_s = len(lanes), time.monotonic()
        while True:
            if backlog and time.monotonic() - told_s >= _TELL_S:
                told_s = time.monotonic()
                self._tell(f"published {there - len(backlog):,} of {there:,} sessions")
            until: Sized = self._news if backlog is None else NewsOrEnd(self._news, backlog)
            lane = following.current or await following.next_lane(until)
            while self._news:
                stem, kind = self._news.popleft()
                known = outgoing.known.get(stem) if kind is EventKind.CLOSED else None
                if known and not await is_as_published(self._place.directory, stem, known):
                    self._changed.add(stem)
                elif kind in _ENDS:
                    key = following.sessions.ended.get(stem)
                    self._put(outgoing.event(stem, kind, key))
            if self._changed:
                return
            if lane is not None:
                batch = lane.stream.take_batch()
                position = lane.stream.position
                following.handed_over()
                try:
                    self._put(outgoing.lines(lane.stem, batch, position))
                except Behind:
                    return
            elif backlog is not None and not backlog:
                backlog = None
                self._put(caught_up)
            while self._waiting_bytes > _MOST_WAITING_BYTES or len(self._waiting) > _MOST_WAITING:
                await self._went.wait()

    async def _verify(self, following: Following, outgoing: Outgoing) -> None:
        """End where a file has something else than Redis, which no reader could tell."""
        directory, key_of = self._place.directory, following.sessions.ended.get
        self._changed |= await watch_content(directory, outgoing, key_of)

    def _is_followed(self, following: Following, stem: str) -> bool:
        return stem in following.sessions.lanes or any(stem == news[0] for news in self._news)

    def _put(self, change: Change | None) -> None:
        if change is not None:
            self._waiting.append(change)
            self._waiting_bytes += change.size
            self._came.set()

    async def _send(self, client: Redis, well: Callable[[], None]) -> None:
        """Send what waits; end where Redis does not have what it was believed to have."""
        for script in (APPEND, CAUGHT_UP):
            await call(client.script_load(script))
        told = False
        while True:
            while not self._waiting:
                await self._came.wait(None if told else _QUIET_S)
                if not (told or self._waiting):
                    told = True
                    well()
            pipeline, size = client.pipeline(transaction=False), 0
            sent: list[Change] = []
            while self._waiting and size < _STEP_BYTES and len(sent) < _STEP:
                change = self._waiting.popleft()
                pipeline.evalsha(
                    _digest(change.script), len(change.keys), *change.keys, *change.arguments
                )
                sent.append(change)
                size += change.size
            answers = await pipeline.execute(raise_on_error=False)
            self._waiting_bytes -= size
            self._went.set()
            for change, answer in zip(sent, answers, strict=True):
                if isinstance(answer, said.RedisError):
                    if str(answer).startswith(("BEHIND", "LOST", "NOSCRIPT")):
                        return
                    if not await self._is_of_another(client, change, answer):
                        raise answer
            if not told:
                told = True
                well()

    async def _is_of_another(self, client: Redis, change: Change, error: Exception) -> bool:
        """Tell of a session's key that another program has; the others go on."""
        if "WRONGTYPE" not in str(error) or change.script != APPEND:
            return False
        for key, ours in zip(change.keys[1:3], (b"hash", b"stream"), strict=True):
            found = await call(client.type(key))
            if found not in (ours, b"none"):
                name = os.fsdecode(key)
                if name not in self._foreign:
                    self._foreign.add(name)
                    self._tell(
                        f"{name} in Redis is a {found.decode()} of another program: this session "
                        "is not published"
                    )
                return True
        return False


@cache
def _digest(script: str) -> str:
    """Return by what name Redis knows a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _note(
    news: deque[_News],
    stem: str,
    session_id: UUID | None,  # noqa: ARG001 - of who is told of sessions only
    kind: EventKind,
) -> None:
    news.append((stem, kind))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

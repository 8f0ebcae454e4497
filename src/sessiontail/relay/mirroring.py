"""what relays publish -> a directory that has the same files.

Redis' marks say which sessions have changed; of these it is asked how they stand, and for the lines
that their files do not have. So nothing depends on a mark: where some were missed, which their
numbers show, all sessions are looked at. What is fetched in one step is bounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TypeVar

import anyio
from redis.asyncio import Redis

from sessiontail.errors import PersistenceError
from sessiontail.relay.asking import Asking
from sessiontail.relay.connecting import (
    RelayError,
    call,
    for_ever,
    prefix_in,
    shown,
    until_one_ends,
)
from sessiontail.relay.copies import Copy
from sessiontail.relay.copying import Copies, Name
from sessiontail.relay.entries import Keys, is_name, named, safe_stem
from sessiontail.relay.holding import machine
from sessiontail.relay.hosts import Hosts
from sessiontail.relay.journal import Journal
from sessiontail.relay.metas import Meta
from sessiontail.system.buckets import refuse_bucket
from sessiontail.system.files import change
from sessiontail.system.paths import sessions_dir

__all__ = ["mirror"]

# Sessions that are asked for in one step; marks that are taken in one; bytes and lines that are.
_AT_ONCE, _MARKS = 200, 5000
_STEP_BYTES, _MOST_LINES = 2 * 1024 * 1024, 1000
# How long an answer waits for a mark; how often relays are looked at, and what failed is tried again.
_BLOCK_S, _LOOK_S, _AGAIN_S = 1.0, 2.0, 5.0

_T = TypeVar("_T")


async def mirror(
    url: str,
    directory: str | PathLike[str],
    *,
    prefix: str | None,
    closed: bool,
    only: tuple[str, ...],
    timeout_s: float,
    tell: Callable[[str], None],
    progress: Callable[[int, int], None],
    started: Callable[[], None],
) -> None:
    """Mirror until cancelled; see ``mirror_sessions``."""
    keys = Keys(named("a prefix", prefix or prefix_in(url)))
    where = sessions_dir(directory)
    refuse_bucket(where, "mirrored into")
    mirrored = Mirror(
        where,
        keys,
        source=f"{shown(url)} {keys.prefix}",
        closed=closed,
        only=only,
        tell=tell,
        progress=progress,
        block_s=timeout_s / 2,
    )
    told = False

    async def live(client: Redis, well: Callable[[], None]) -> None:
        nonlocal told

        def begun() -> None:
            nonlocal told
            well()
            if not told:
                told = True
                started()

        await mirrored.live(client, begun)

    try:
        await for_ever(url, live, timeout_s=timeout_s, tell=tell)
    finally:
        with anyio.CancelScope(shield=True):
            await change(mirrored.close)


class Mirror:
    """The directory, and what is known of its files."""

    def __init__(
        self,
        directory: Path,
        keys: Keys,
        *,
        source: str,
        closed: bool,
        only: tuple[str, ...],
        tell: Callable[[str], None],
        progress: Callable[[int, int], None],
        block_s: float,
    ) -> None:
        self._directory = directory
        self._keys = keys
        self._source = source
        self._closed = closed
        self._tell = tell
        self._progress = progress
        self._block_ms = int(1000 * min(_BLOCK_S, block_s))
        self._copies: Copies | None = None
        # Closed sessions that are not wanted, once the first look was taken.
        self._left_out: set[Name] | None = None
        self._hosts = Hosts(keys, tell)
        self._asking = Asking(keys, self._hosts, only, tell)
        # Those that Redis has forgotten.
        self._forgotten: set[Name] = set()
        # Whether all sessions are to be looked at.
        self._look = False
        # The last mark: its id, and its number.
        self._mark, self._number = b"0-0", 0

    def open(self) -> None:
        """Take the directory, unless that was done. Blocks."""
        if self._copies is None:
            try:
                journal = Journal(self._directory, self._source)
            except OSError as error:  # not Redis, which is tried again
                raise PersistenceError(
                    f"cannot be mirrored into: {error.strerror}", path=self._directory
                ) from error
            self._copies = Copies(self._directory, journal, self._tell, closed=self._closed)

    def close(self) -> None:
        """Let everything go. Blocks."""
        if self._copies is not None:
            self._copies.close()

    async def live(self, client: Redis, well: Callable[[], None]) -> None:
        """Bring the directory up to date, and keep it so; never ends by itself.

        Raises:
            RelayError: the directory is relayed itself.
            PersistenceError: it is no mirror.
            OSError, redis.RedisError: Redis is lost, or refuses.
        """
        await self._refuse_circle(client)
        await change(self.open)
        last = await call(client.xrevrange(self._keys.marks, count=1))
        self._mark, self._number = (last[0][0], _number(last[0][1])) if last else (b"0-0", 0)
        await self._look_at_all(client)
        well()
        await until_one_ends(partial(self._follow, client), partial(self._watch_relays, client))

    async def _refuse_circle(self, client: Redis) -> None:
        here = f"{machine()}:{self._directory}".encode()
        await self._hosts.look(client)
        for host in self._hosts.names:
            if await call(client.hget(self._keys.of(host, "info"), "directory")) == here:
                raise RelayError(
                    f"{self._directory} is what {host} publishes: a mirror there would feed itself"
                )

    async def _follow(self, client: Redis) -> None:
        """Take marks as they come."""
        again_s = time.monotonic() + _AGAIN_S
        while True:
            answer = await call(
                client.xread({self._keys.marks: self._mark}, count=_MARKS, block=self._block_ms)
            )
            changed: dict[Name, None] = {}
            for self._mark, fields in answer[0][1] if answer else ():
                number = _number(fields)
                self._look = self._look or number != self._number + 1
                self._number = number
                host, stem = fields.get(b"host", b"").decode(errors="replace"), fields.get(b"file")
                if not stem or not is_name(host):
                    self._look = True  # a relay has published all that it has
                elif (safe := safe_stem(stem)) is not None:
                    changed[host, safe] = None
            if self._look:
                self._look = False
                await self._look_at_all(client)
                continue
            now_s = time.monotonic()
            if now_s >= again_s:
                assert self._copies is not None
                again_s = now_s + _AGAIN_S
                changed.update(dict.fromkeys(self._copies.to_try))
            for names in _parts(changed, _AT_ONCE):
                await self._bring(client, await self._asking.ask(client, names))

    async def _watch_relays(self, client: Redis) -> None:
        """Tell which relays are gone, and which are back; end where Redis has forgotten its marks."""
        while True:
            if await self._hosts.look(client):
                self._look = True
            before = self._number
            count = await call(client.get(self._keys.count))
            if before > (int(count) if count is not None and count.isdigit() else 0):
                return
            await anyio.sleep(_LOOK_S)

    async def _look_at_all(self, client: Redis) -> None:
        """Compare all sessions: those that run first, then the newest."""
        running: list[tuple[Name, Meta]] = []
        ended: list[tuple[float, Name, Meta]] = []
        await self._hosts.look(client)
        for host in self._hosts.names:
            rows = await call(
                client.zrange(self._keys.of(host, "sessions"), 0, -1, desc=True, withscores=True)
            )
            for some in _parts(rows, _AT_ONCE):
                scores = {(host, stem): score for name, score in some if (stem := safe_stem(name))}
                for name, meta in await self._asking.ask(client, scores):
                    if meta.state == "closed":
                        ended.append((-scores[name], name, meta))
                    else:
                        running.append((name, meta))
        ended.sort(key=lambda one: one[:2])
        if self._left_out is None:
            self._left_out = set() if self._closed else {name for _, name, _ in ended}
        wanted = running + [(name, meta) for _, name, meta in ended if name not in self._left_out]
        there = {name for name, _ in running} | {name for _, name, _ in ended}
        wanted += await self._no_more(client, there)
        done = 0
        for some in _parts(wanted, _AT_ONCE):
            await self._bring(client, some)
            done += len(some)
            self._progress(done, len(wanted))

    async def _no_more(self, client: Redis, there: set[Name]) -> list[tuple[Name, Meta]]:
        """Return those that have a file here, and were deleted while nobody looked.

        Of those that Redis has forgotten, though their relay has published all that it has, nobody
        knows whether they run.
        """
        assert self._copies is not None
        self._forgotten -= there
        caught_up = await self._hosts.caught_up(client)
        found: list[tuple[Name, Meta]] = []
        forgotten: dict[str, list[Name]] = {}
        rest = (
            name for name in self._copies.names if name not in there and self._asking.wants(name)
        )
        for some in _parts([*rest], _AT_ONCE):
            asked = await self._asking.ask(client, some)
            found += [(name, meta) for name, meta in asked if meta.state == "deleted"]
            known = {name for name, _ in asked} | self._asking.strange | self._forgotten
            for name in some:
                if name not in known and name[0] in caught_up:
                    forgotten.setdefault(name[0], []).append(name)
        for host, names in forgotten.items():
            ran = await change(self._copies.forget, names)
            self._forgotten.update(names)
            self._tell(
                f"Redis has forgotten sessions of {host} ({len(names)}, such as {names[0][1]}): they "
                f"are kept as they are; not shown as running any more: {ran}"
            )
        return found

    async def _bring(self, client: Redis, asked: list[tuple[Name, Meta]]) -> None:
        """Fetch what the files lack, and bring them into the state of their sessions."""
        assert self._copies is not None
        due = self._copies.at_hand(asked)
        if len(due) < len(asked):
            due = await change(self._copies.prepare, asked, self._hosts.gone)
        while due:
            pipeline = client.pipeline(transaction=False)
            step: list[tuple[Copy, Meta]] = []
            size = 0
            for copy, meta in due:
                if size >= _STEP_BYTES:
                    break
                # By what a line of those that are missing has on average.
                length = max(1, meta.bytes // max(1, meta.lines))
                count = min(
                    meta.lines - copy.lines, _MOST_LINES, max(1, (_STEP_BYTES - size) // length)
                )
                size += count * length
                step.append((copy, meta))
                stream = self._keys.closed if copy.is_beside else self._keys.lines
                pipeline.xrange(
                    stream(copy.host, copy.stem),
                    f"{meta.generation}-{copy.lines + 1}",
                    f"{meta.generation}-{meta.lines}",
                    count=count,
                )
            pages = await pipeline.execute(raise_on_error=False)
            left = await change(self._copies.take, step, pages)
            due = left + due[len(step) :]


def _parts(items: Iterable[_T], most: int) -> Iterator[list[_T]]:
    """Yield items in lists of so many at most."""
    rest = iter(items)
    while some := [*islice(rest, most)]:
        yield some


def _number(fields: Mapping[bytes, bytes]) -> int:
    """Return the number of a mark; -1: no relay has made it, and all is looked at."""
    number = fields.get(b"n", b"")
    return int(number) if number.isdigit() else -1

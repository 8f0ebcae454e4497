"""what relays publish -> a directory that has the same files.

Redis' marks say which sessions have changed; of these it is asked how they stand, and for the lines
that their files do not have. So nothing depends on a mark: where some were missed, which their
numbers show, all sessions are looked at. What is fetched in one step is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TypeVar

import anyio
from redis.asyncio import Redis

from sessiontail.relay.connecting import (
    RelayError,
    call,
    for_ever,
    prefix_in,
    shown,
    until_one_ends,
)
from sessiontail.relay.copies import Copy, Meta
from sessiontail.relay.copying import Copies, Name
from sessiontail.relay.entries import Keys, named, safe_stem
from sessiontail.relay.holding import machine
from sessiontail.relay.journal import Journal
from sessiontail.system.buckets import refuse_bucket
from sessiontail.system.files import change
from sessiontail.system.paths import sessions_dir

__all__ = ["mirror"]

# Sessions that are asked for in one step; marks that are taken in one; bytes and lines that are.
_AT_ONCE, _MARKS = 200, 5000
_STEP_BYTES, _MOST_LINES = 2 * 1024 * 1024, 1000
# How long an answer waits for a mark; how often relays are looked at.
_BLOCK_S, _LOOK_S = 1.0, 2.0
_FIELDS = ("generation", "lines", "bytes", "state", "why")

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
        self._only = only
        self._tell = tell
        self._progress = progress
        self._block_ms = int(1000 * min(_BLOCK_S, block_s))
        self._copies: Copies | None = None
        # Closed sessions that are not wanted, once the first look was taken.
        self._left_out: set[Name] | None = None
        # Relays of which was told that they are gone.
        self._gone: set[str] = set()
        # The last mark: its id, and its number.
        self._mark, self._number = b"0-0", 0

    def open(self) -> None:
        """Take the directory, unless that was done. Blocks."""
        if self._copies is None:
            journal = Journal(self._directory, self._source)
            self._copies = Copies(self._directory, journal, self._tell)

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
        self._mark, self._number = (last[0][0], int(last[0][1][b"n"])) if last else (b"0-0", 0)
        await self._look_at_all(client)
        well()
        await until_one_ends(partial(self._follow, client), partial(self._watch_relays, client))

    async def _refuse_circle(self, client: Redis) -> None:
        here = f"{machine()}:{self._directory}".encode()
        for host in await self._hosts(client):
            if await call(client.hget(self._keys.of(host, "info"), "directory")) == here:
                raise RelayError(
                    f"{self._directory} is what {host} publishes: a mirror there would feed itself"
                )

    async def _hosts(self, client: Redis) -> list[str]:
        found = await call(client.smembers(self._keys.hosts))
        return sorted(host.decode("utf-8", "replace") for host in found)

    async def _follow(self, client: Redis) -> None:
        """Take marks as they come."""
        while True:
            answer = await call(
                client.xread({self._keys.marks: self._mark}, count=_MARKS, block=self._block_ms)
            )
            changed: dict[Name, None] = {}
            missed = False
            for self._mark, fields in answer[0][1] if answer else ():
                number = int(fields[b"n"])
                missed = missed or number != self._number + 1
                self._number = number
                stem = safe_stem(fields[b"file"])
                if stem is not None:
                    changed[fields[b"host"].decode("utf-8", "replace"), stem] = None
            if missed:
                await self._look_at_all(client)
            elif changed:
                for names in _parts(changed, _AT_ONCE):
                    await self._bring(client, await self._ask(client, names))

    async def _watch_relays(self, client: Redis) -> None:
        """Tell which relays are gone, and which are back."""
        while True:
            for host in await self._hosts(client):
                lives = await call(client.exists(self._keys.of(host, "lock")))
                if not lives and host not in self._gone:
                    self._gone.add(host)
                    self._tell(f"the relay {host} is gone: what is written there is not seen")
                elif lives and host in self._gone:
                    self._gone.discard(host)
                    self._tell(f"the relay {host} is back")
            await anyio.sleep(_LOOK_S)

    async def _look_at_all(self, client: Redis) -> None:
        """Compare all sessions: those that run first, then the newest."""
        running: list[tuple[Name, Meta]] = []
        ended: list[tuple[float, Name, Meta]] = []
        for host in await self._hosts(client):
            rows = await call(
                client.zrange(self._keys.of(host, "sessions"), 0, -1, desc=True, withscores=True)
            )
            for some in _parts(rows, _AT_ONCE):
                scores = {(host, stem): score for name, score in some if (stem := safe_stem(name))}
                for name, meta in await self._ask(client, scores):
                    if meta.state == "closed":
                        ended.append((-scores[name], name, meta))
                    else:
                        running.append((name, meta))
        ended.sort(key=lambda one: one[:2])
        if self._left_out is None:
            self._left_out = set() if self._closed else {name for _, name, _ in ended}
        wanted = running + [(name, meta) for _, name, meta in ended if name not in self._left_out]
        wanted += await self._deleted(client, {name for name, _ in wanted})
        done = 0
        for some in _parts(wanted, _AT_ONCE):
            await self._bring(client, some)
            done += len(some)
            self._progress(done, len(wanted))

    async def _deleted(self, client: Redis, there: set[Name]) -> list[tuple[Name, Meta]]:
        """Return those that have a file here, and were deleted while nobody looked."""
        assert self._copies is not None
        found: list[tuple[Name, Meta]] = []
        for some in _parts([name for name in self._copies.names if name not in there], _AT_ONCE):
            asked = await self._ask(client, some)
            found += [(name, meta) for name, meta in asked if meta.state == "deleted"]
        return found

    async def _ask(self, client: Redis, names: Iterable[Name]) -> list[tuple[Name, Meta]]:
        """Ask how sessions stand; those that are not wanted, or not there, are left out."""
        wanted = [name for name in names if not self._only or name[1].startswith(self._only)]
        pipeline = client.pipeline(transaction=False)
        for host, stem in wanted:
            pipeline.hmget(self._keys.session(host, stem), *_FIELDS)
        rows = await pipeline.execute() if wanted else []
        return [
            (
                name,
                Meta(int(row[0]), int(row[1]), int(row[2] or 0), row[3].decode(), row[4].decode()),
            )
            for name, row in zip(wanted, rows, strict=True)
            if None not in row
        ]

    async def _bring(self, client: Redis, asked: list[tuple[Name, Meta]]) -> None:
        """Fetch what the files lack, and bring them into the state of their sessions."""
        assert self._copies is not None
        due = await change(self._copies.prepare, asked)
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
                pipeline.xrange(
                    self._keys.lines(copy.host, copy.stem),
                    f"{meta.generation}-{copy.lines + 1}",
                    f"{meta.generation}-{meta.lines}",
                    count=count,
                )
            pages = await pipeline.execute()
            left = await change(self._copies.take, step, pages)
            due = left + due[len(step) :]


def _parts(items: Iterable[_T], most: int) -> Iterator[list[_T]]:
    """Yield items in lists of so many at most."""
    rest = iter(items)
    while some := [*islice(rest, most)]:
        yield some

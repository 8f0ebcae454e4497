"""A directory -> marks that something in it changed, for all who follow it on one event loop.

A mark only names a session; truth is a read. Marks come from events, which one inotify instance
gives for everything that a loop watches, and from surveys: looks that no event asked for, taken in
a thread, once for all followers of a directory. Where events are not to be had (another system, no
instance left) or not to be trusted (network file systems, overlays, events that failed to come)
the surveys come ten times a second. Where the kernel dropped events a survey is taken at once, and
marks what differs.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import NamedTuple

import anyio
from anyio.lowlevel import RunVar

from sessiontail.system.calls import Background
from sessiontail.system.mounts import Mount, mount_of
from sessiontail.system.notifying import hold_notifier
from sessiontail.system.paths import split_name
from sessiontail.system.signals import Home
from sessiontail.system.stats import StoreStats
from sessiontail.system.subscriptions import Followers, Subscription
from sessiontail.system.survey import Seen
from sessiontail.system.sweeping import Sweeper
from sessiontail.system.watches import GONE, IGNORED, Watches, may_end

logger = logging.getLogger("sessiontail")

__all__ = ["POLL_INTERVAL_S", "SWEEP_INTERVAL_S", "DirectoryWatch", "watch_of"]

# How often to look where events are trusted: 5,000 idle sessions cost 15 ms of a core each time.
SWEEP_INTERVAL_S = 5.0
# How often to look where they are not: what `tail -F` does ten times slower.
POLL_INTERVAL_S = 0.1


class _Key(NamedTuple):
    """What followers must have in common to share a watch."""

    directory: str
    events: bool
    sweep_interval_s: float
    poll_interval_s: float


class DirectoryWatch:
    """Watches one directory for any number of followers on one event loop; see ``watch_of``.

    A directory that is absent is looked for until it is there. It ends with its last holder.
    """

    def __init__(self, key: _Key, loop: dict[_Key, DirectoryWatch]) -> None:
        self.directory = Path(key.directory)
        #: Whether the directory is on another machine, so that even looking may block.
        self.remote = False
        self._home = Home()
        self._key = key
        # Those of this event loop.
        self._loop = loop
        self._holders = 0
        self._prepared = False
        self._preparing = anyio.Lock()
        self._followers = Followers()
        self._watches = Watches(
            self.directory,
            self._followers,
            self,
            None if key.events else "events are switched off",
        )
        self._sweeper = Sweeper(
            self.directory,
            followers=self._followers,
            watches=self._watches,
            sweep_interval_s=key.sweep_interval_s,
            poll_interval_s=key.poll_interval_s,
        )
        self._background: Background | None = None

    @property
    def here(self) -> bool:
        """Whether it belongs to the event loop of this thread."""
        return self._home.here

    @property
    def polled_because(self) -> str | None:
        """Why events are not used, in a few words; None where they are."""
        return self._watches.polled_because

    @property
    def trusted(self) -> bool:
        """Whether events tell what changes; not while there is no directory."""
        return self._watches.trusted

    @property
    def present(self) -> bool:
        """Whether the directory was there at the last look."""
        return self._sweeper.present

    @property
    def interval_s(self) -> float:
        """How long events may be relied on before a look is taken."""
        return self._sweeper.interval_s

    async def hold(self) -> None:
        """Keep the watch until ``release``; the first one finds out what can be watched."""
        self._holders += 1
        try:
            async with self._preparing:
                if not self._prepared:
                    self._prepare(await mount_of(self._key.directory))
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Hold it no longer."""
        self._holders -= 1
        if self._holders <= 0:
            self._close()

    def subscribe(self, stem: str | None, stats: StoreStats) -> Subscription:
        """Return marks for one stem, or for every session of the directory; holds the watch."""
        self._holders += 1
        subscription = Subscription(stem, stats, leave=self.unsubscribe)
        self._followers.count_into(stats, 1)
        self._followers.add(subscription)
        self._fit()
        if self._background is None:
            self._background = Background(self._sweeper.tend)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop marking for a follower; again is no error, and any thread may."""
        if not self._home.here and self._home.soon(lambda: self.unsubscribe(subscription)):
            return
        if self._remove(subscription):
            self._followers.count_into(subscription.stats, -1)
            self.release()

    def move(self, subscription: Subscription, stem: str) -> None:
        """Let it follow another session instead; what was told of that is not known."""
        self._remove(subscription)
        subscription.stem = stem
        self._followers.add(subscription)
        self._fit()
        subscription.mark(stem, may_have_ended=True)

    def _remove(self, subscription: Subscription) -> bool:
        if not self._followers.remove(subscription):
            return False
        stem = subscription.stem
        if stem is not None and not self._followers.follow(stem):
            self._watches.leave(stem)
        self._fit()
        return True

    def _fit(self) -> None:
        if self._watches.fit() and not self._sweeper.present:
            self._sweeper.look_soon()  # it is there by now, and so may its sessions be

    def narrow(self, fd: int, stem: str) -> None:
        """Watch one open file instead of the directory: a lone tail needs no others' events."""
        self._watches.narrow(fd, stem)
        self._fit()

    async def take_stock(self, subscription: Subscription) -> dict[str, Seen] | None:
        """Look at the whole directory for a new follower; marks tell it what changes from here on.

        Returns:
            What lies there by stem; None where there is no directory.

        Raises:
            PersistenceError: it cannot be read.
        """
        if subscription.stock is None:
            await self._sweeper.survey(whole=True, stock_for=subscription)
        subscription.has_stock = True
        stock, subscription.stock = subscription.stock, None
        return stock

    def look_soon(self) -> None:
        """Look at once: something says that more has changed than was told."""
        self._sweeper.look_soon()

    def drain(self) -> None:
        """Mark what the events that are there tell."""
        self._watches.drain()

    def told(self, watch: int, name: str, mask: int) -> None:
        """Mark what an event tells."""
        for stats in self._followers.stats:
            stats.events += 1
        if watch != self._watches.watch:
            stem = self._watches.stem_of(watch)
            if stem is None:
                return
            if mask & IGNORED:
                self._watches.widen(stem)
                self._fit()
        elif mask & GONE:
            self._watches.forget_directory()
            self._lost()
            return
        else:
            split = split_name(name)
            if split is None:
                return
            stem = split[0]
        told = self._sweeper.told
        if told is not None:
            told.add(stem)
        self._followers.mark(stem, may_have_ended=may_end(mask))

    def overflowed(self) -> None:
        """Look at once: the kernel dropped events."""
        for stats in self._followers.stats:
            stats.overflows += 1
        self._lost()

    def _lost(self) -> None:
        """Have everybody look for what is gone, and a survey mark what differs: marks were lost."""
        self._sweeper.mark_everything()
        self._sweeper.look_soon()

    def _prepare(self, mount: Mount) -> None:
        self._prepared = True
        self.remote = mount.remote
        watches = self._watches
        if watches.polled_because is not None:
            return
        if sys.platform != "linux":
            watches.polled_because = f"no inotify on {sys.platform}"
            return
        if not mount.watchable:
            watches.polled_because = f"events do not tell all on {mount.kind}"
        if mount.remote:
            return  # to watch it would look its name up, which may hang
        try:
            watches.notifier = hold_notifier()
        except OSError as error:  # EMFILE: 128 instances a user, or no descriptor left
            watches.polled_because = f"no inotify instance: {error.strerror}"

    def _close(self) -> None:
        if not self._home.here and self._home.soon(self._close):
            return
        if self._holders > 0:
            return
        if self._loop.get(self._key) is self:
            del self._loop[self._key]
        if self._background is not None:
            self._background.stop()
            self._background = None
        self._watches.close()


async def watch_of(
    directory: Path,
    *,
    sweep_interval_s: float = SWEEP_INTERVAL_S,
    poll_interval_s: float = POLL_INTERVAL_S,
    events: bool = True,
) -> DirectoryWatch:
    """Return the watch of a directory, held: the one that others of this event loop have too.

    It never fails: what cannot be watched is polled.

    Args:
        directory: whose session files are watched.
        sweep_interval_s: how often to look where events are trusted.
        poll_interval_s: how often to look where they are not.
        events: False never asks the kernel for events.
    """
    key = _Key(str(directory), events, sweep_interval_s, poll_interval_s)
    watches = _watches_here()
    watch = watches.get(key)
    if watch is None:
        watch = watches[key] = DirectoryWatch(key, watches)
    await watch.hold()
    return watch


_watches: RunVar[dict[_Key, DirectoryWatch]] = RunVar("sessiontail_watches")


def _watches_here() -> dict[_Key, DirectoryWatch]:
    try:
        return _watches.get()
    except LookupError:
        found: dict[_Key, DirectoryWatch] = {}
        _watches.set(found)
        return found

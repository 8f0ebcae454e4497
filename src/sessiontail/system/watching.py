"""A directory -> marks that something in it changed, for all who follow it on one event loop.

A mark only names a session; truth is a read. Marks come from events, which one inotify instance
gives for everything that a loop watches, and from surveys: looks that no event asked for, taken in
a thread, once for all followers of a directory. Where events are not to be had (another system, no
instance left) or not to be trusted (network file systems, overlays, events that failed to come)
the surveys come ten times a second. The kernel may drop events: then everything is marked.
"""

from __future__ import annotations

import errno
import logging
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio
from anyio.lowlevel import RunVar, checkpoint

from sessiontail.errors import PersistenceError
from sessiontail.system import inotify
from sessiontail.system.inotify import Inotify
from sessiontail.system.mounts import Mount, mount_of
from sessiontail.system.paths import split_name
from sessiontail.system.stamps import FileId
from sessiontail.system.stats import StoreStats
from sessiontail.system.survey import Seen, Survey, survey
from sessiontail.system.threads import NoThread
from sessiontail.system.waking import Background, Call, Home, Signal

logger = logging.getLogger("sessiontail")

__all__ = ["POLL_INTERVAL_S", "SWEEP_INTERVAL_S", "DirectoryWatch", "Subscription", "watch_of"]

# How often to look where events are trusted: 5,000 idle sessions cost 15 ms of a core each time.
SWEEP_INTERVAL_S = 5.0
# How often to look where they are not: what `tail -F` does ten times slower.
POLL_INTERVAL_S = 0.1

# How often the lock table is compared where events do not tell that a writer is gone.
LOCKS_INTERVAL_S = 1.0
# The same where they do.
TRUSTED_LOCKS_INTERVAL_S = 30.0

# A survey takes at most this part of a processor, however many sessions there are.
_SWEEP_SHARE = 0.05
# The same where events are trusted.
_TRUSTED_SWEEP_SHARE = 0.005

# A pause of 4 ms before each wake, once eight in a row came within 1 ms of the one before, until
# nothing comes for 4 ms.
RUSH_PAUSE_S = 0.004
_RUSH_GAP_S = 0.001
_RUSH_WAKES = 8

# Growth that stood still for so long, and of which no event told, was missed. The kernel tells of a
# write when it has ended; until then the file grows page by page, for as long as the disk takes.
_GRACE_S = 1.0

# After so long the loop has its turn.
_MAX_HOLD_S = 0.002

_DIRECTORY_EVENTS = (
    inotify.MODIFY | inotify.CLOSE_WRITE | inotify.MOVED_FROM | inotify.MOVED_TO | inotify.CREATE
    | inotify.DELETE | inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.ONLYDIR
)  # fmt: skip
_FILE_EVENTS = (
    inotify.MODIFY | inotify.CLOSE_WRITE | inotify.ATTRIB | inotify.MOVE_SELF | inotify.DELETE_SELF
)
_GONE = inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.UNMOUNT | inotify.IGNORED
# After these a file may have ended, not only grown.
_DECISIVE = (
    inotify.CLOSE_WRITE | inotify.MOVED_FROM | inotify.MOVED_TO | inotify.DELETE | inotify.ATTRIB
    | inotify.DELETE_SELF | inotify.MOVE_SELF
)  # fmt: skip


class Subscription:
    """One follower's marks: which sessions have changed since it last looked.

    However much happens, it holds one mark a session: a slow follower is late, not lossy, and
    holds no memory.
    """

    __slots__ = (
        "_stem",
        "_watch",
        "error",
        "everything",
        "has_stock",
        "marked",
        "signal",
        "stats",
        "stock",
    )

    def __init__(self, watch: DirectoryWatch, stem: str | None, stats: StoreStats) -> None:
        self._watch = watch
        self._stem = stem
        self.stats = stats
        #: Stems that changed -> whether they may have ended.
        self.marked: dict[str, bool] = {}
        #: Whether marks were lost, so that everything may have changed.
        self.everything = False
        #: Whether it knows what lay there, so that it is to be told what differs from that.
        self.has_stock = stem is not None
        #: What lay there, until it is taken.
        self.stock: dict[str, Seen] | None = None
        #: Why the last survey failed; None where it did not.
        self.error: PersistenceError | None = None
        #: Wakes the follower, for a mark or for what else it waits for.
        self.signal = Signal()

    @property
    def stem(self) -> str | None:
        """Whose changes are marked; None: everybody's."""
        return self._stem

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a mark or another signal, or for so long; return whether there is a mark."""
        if self.marked or self.everything:
            await checkpoint()
        else:
            await self.signal.wait(timeout_s)
        return bool(self.marked or self.everything)

    def take(self) -> tuple[dict[str, bool], bool]:
        """Return ``marked`` and ``everything``, and begin anew."""
        taken = self.marked, self.everything
        self.marked, self.everything = {}, False
        return taken

    def mark(self, stem: str, *, decisive: bool) -> None:
        """Note that a session has changed."""
        self.marked[stem] = decisive or self.marked.get(stem, False)
        self.signal.set()

    def mark_everything(self) -> None:
        """Note that marks were lost."""
        self.everything = True
        self.signal.set()

    def fail(self, error: PersistenceError) -> None:
        """Note that the directory cannot be looked at."""
        self.error = error
        self.signal.set()

    def move(self, stem: str) -> None:
        """Follow another session of the directory instead; what was told of it is not known."""
        self._watch.remove(self)
        self._stem = stem
        self._watch.add(self)
        self.mark(stem, decisive=True)

    def close(self) -> None:
        """Get no more marks; again is no error, and any thread may."""
        self._watch.unsubscribe(self)


class _Look(NamedTuple):
    """A survey under way."""

    call: Call[Survey | None]
    began_s: float
    #: What events told before it began; None: perhaps everything.
    told: set[str] | None
    whole: bool
    locks_due: bool
    #: The follower that wants all that was seen.
    stock_for: Subscription | None


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

    def __init__(self, key: _Key) -> None:
        self._home = Home()
        self._key = key
        self.directory = Path(key.directory)
        self.sweep_interval_s = key.sweep_interval_s
        self.poll_interval_s = key.poll_interval_s
        #: Why events are not used, in a few words; None where they are.
        self.polled_because: str | None = None if key.events else "events are switched off"
        #: Whether the directory is on another machine, so that even looking may block.
        self.remote = False
        #: Whether the directory was there at the last look.
        self.present = True
        self._loop = _this_loop()
        self._prepared = False
        self._preparing = anyio.Lock()
        self._looking = anyio.Lock()
        self._holders = 0
        self._by_stem: dict[str, list[Subscription]] = {}
        self._all: list[Subscription] = []
        self._stats: dict[int, tuple[StoreStats, int]] = {}
        self._notifier: _Notifier | None = None
        self._watch: int | None = None
        self._watched: FileId | None = None
        # Sessions that are watched by their open file instead of by the directory.
        self._narrowed: dict[str, int] = {}
        self._narrowed_stems: dict[int, str] = {}
        # What events told since the last survey; None: perhaps everything.
        self._told: set[str] | None = set()
        # Growth that a survey found and no event has told: when it was last seen to go on.
        self._untold: dict[str, float] = {}
        self._misses = 0
        self._background: Background | None = None
        self._wanted = Signal()
        # Of the last survey: whether it was of everything, a mark of what was seen a stem, and
        # WALs that were told to be unheld.
        self._whole = False
        self._marks: dict[str, int] = {}
        self._unheld: set[str] = set()
        self._surveyed_at_s = time.monotonic()
        self._cost_s = 0.0
        self._compared_at_s = 0.0
        # Whether a survey is due at once.
        self._urgent = False
        # A survey whose taker was cancelled.
        self._left: _Look | None = None

    @property
    def here(self) -> bool:
        """Whether it belongs to the event loop of this thread."""
        return self._home.here

    @property
    def trusted(self) -> bool:
        """Whether events tell what changes; not while there is no directory."""
        return self.polled_because is None and (
            self._watch is not None or not self._needs_directory
        )

    @property
    def _needs_directory(self) -> bool:
        """Whether somebody is not served by the watch of an open file."""
        return bool(self._all) or len(self._narrowed) < len(self._by_stem)

    @property
    def interval_s(self) -> float:
        """How long events may be relied on before a look is taken."""
        return self.sweep_interval_s if self.trusted else self.poll_interval_s

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
        subscription = Subscription(self, stem, stats)
        self._count_into(stats, 1)
        self.add(subscription)
        if self._background is None:
            self._background = Background(self._tend)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop marking for a follower; again is no error."""
        if not self._home.here and self._home.soon(lambda: self.unsubscribe(subscription)):
            return
        if self.remove(subscription):
            self._count_into(subscription.stats, -1)
            self.release()

    def add(self, subscription: Subscription) -> None:
        """Mark for a follower from now on."""
        stem = subscription.stem
        if stem is None:
            self._all.append(subscription)
        else:
            self._by_stem.setdefault(stem, []).append(subscription)
        self._watch_directory()

    def remove(self, subscription: Subscription) -> bool:
        """Mark no longer for a follower; return whether that was done until now."""
        stem = subscription.stem
        others = self._all if stem is None else self._by_stem.get(stem, [])
        if subscription not in others:
            return False
        others.remove(subscription)
        if stem is not None and not others:
            del self._by_stem[stem]
            self._widen(stem)
        self._drop_directory()
        return True

    def narrow(self, fd: int, stem: str) -> None:
        """Watch one open file instead of the directory: a lone tail needs no others' events.

        The file's events follow it through renames.
        """
        if (
            self._notifier is None
            or self._all
            or self.polled_because is not None
            or stem not in self._by_stem
        ):
            return
        try:
            watch = self._notifier.watch(f"/proc/self/fd/{fd}", _FILE_EVENTS, self)
        except OSError:
            return
        known = self._narrowed_stems.get(watch)
        if known not in (None, stem):  # one file under two names
            return
        before = self._narrowed.get(stem)
        if before not in (None, watch):
            self._widen(stem)
        self._narrowed[stem], self._narrowed_stems[watch] = watch, stem
        self._drop_directory()

    async def take_stock(self, subscription: Subscription) -> dict[str, Seen] | None:
        """Look at the whole directory for a new follower; marks tell it what changes from here on.

        Returns:
            What lies there by stem; None where there is no directory.

        Raises:
            PersistenceError: it cannot be read.
        """
        if subscription.stock is None:
            await self._survey(whole=True, stock_for=subscription)
        subscription.has_stock = True
        stock, subscription.stock = subscription.stock, None
        return stock

    def look_soon(self) -> None:
        """Take the next survey at once, and compare all locks: marks were lost."""
        self._compared_at_s = 0.0
        self._urgent = True
        self._wanted.set()

    def drain(self) -> None:
        """Mark what the events that are there tell."""
        if self._notifier is not None:
            self._notifier.drain()

    def told(self, watch: int, name: str, mask: int) -> None:
        """Mark what an event tells."""
        for stats, _ in self._stats.values():
            stats.events += 1
        if watch != self._watch:
            stem = self._narrowed_stems.get(watch)
            if stem is None:
                return
            if mask & inotify.IGNORED:
                self._widen(stem)
                self._watch_directory()
            self._mark(stem, decisive=bool(mask & _DECISIVE))
        elif mask & _GONE:
            self._forget_watch()
            self.mark_everything()
            self.look_soon()
        else:
            split = split_name(name)
            if split is not None:
                self._mark(split[0], decisive=bool(mask & _DECISIVE))

    def overflowed(self) -> None:
        """Mark everything: the kernel dropped events."""
        for stats, _ in self._stats.values():
            stats.overflows += 1
        self.mark_everything()
        self.look_soon()

    def _mark(self, stem: str, *, decisive: bool) -> None:
        if self._told is not None:
            self._told.add(stem)
        self._pass_on(stem, decisive=decisive)

    def _pass_on(self, stem: str, *, decisive: bool, surveyed: bool = False) -> None:
        for subscription in self._by_stem.get(stem, ()):
            subscription.mark(stem, decisive=decisive)
        for subscription in self._all:
            if subscription.has_stock or not surveyed:
                subscription.mark(stem, decisive=decisive)

    def mark_everything(self) -> None:
        """Mark everything for everybody: marks were lost."""
        self._told = None
        for subscription in self._subscriptions():
            subscription.mark_everything()

    def _subscriptions(self) -> list[Subscription]:
        return [*self._all, *(one for those in self._by_stem.values() for one in those)]

    def _count_into(self, stats: StoreStats, change: int) -> None:
        _, count = self._stats.get(id(stats), (stats, 0))
        if count + change:
            self._stats[id(stats)] = stats, count + change
        else:
            del self._stats[id(stats)]

    def _prepare(self, mount: Mount) -> None:
        self._prepared = True
        self.remote = mount.remote
        if self.polled_because is not None:
            return
        if sys.platform != "linux":
            self.polled_because = f"no inotify on {sys.platform}"
            return
        if not mount.watchable:
            self.polled_because = f"events do not tell all on {mount.kind}"
        if mount.remote:
            return  # to watch it would look its name up, which may hang
        try:
            if self._loop.notifier is None:
                self._loop.notifier = _Notifier(self._loop)
            self._notifier = self._loop.notifier
            self._notifier.hold()
        except OSError as error:  # EMFILE: 128 instances a user, or no descriptor left
            self._notifier = None
            self.polled_because = f"no inotify instance: {error.strerror}"

    def _watch_directory(self) -> bool:
        """Watch the directory, unless it is, or nobody needs it; return whether that began now."""
        if self._notifier is None or self._watch is not None or not self._needs_directory:
            return False
        try:
            self._watch = self._notifier.watch(str(self.directory), _DIRECTORY_EVENTS, self)
            self._watched = FileId.of(self.directory.stat())
        except (FileNotFoundError, NotADirectoryError):
            self._forget_watch()
        except OSError as error:  # ENOSPC: no watch left; EACCES: not ours to read
            self._forget_watch()
            self.polled_because = f"the directory cannot be watched: {error.strerror}"
        return self._watch is not None

    def _drop_directory(self) -> None:
        """Watch the directory no longer where nobody needs that."""
        if self._watch is not None and not self._needs_directory:
            self._forget_watch()

    def _forget_watch(self) -> None:
        watch, self._watch, self._watched = self._watch, None, None
        if watch is not None and self._notifier is not None:
            self._notifier.unwatch(watch, self)

    def _widen(self, stem: str) -> None:
        watch = self._narrowed.pop(stem, None)
        if watch is not None:
            del self._narrowed_stems[watch]
            if self._notifier is not None:
                self._notifier.unwatch(watch, self)

    async def _tend(self) -> None:
        """Take surveys when they are due, as long as somebody follows."""
        while True:
            share = _TRUSTED_SWEEP_SHARE if self.trusted else _SWEEP_SHARE
            interval_s = max(self.interval_s, self._cost_s / share)
            due_s = self._surveyed_at_s + interval_s - time.monotonic()
            if due_s > 0 and not self._urgent:
                await self._wanted.wait(due_s)
                continue
            self._urgent = False
            try:
                await self._survey(whole=bool(self._all))
            except PersistenceError as error:
                cause = error.__cause__
                if isinstance(error, NoThread) or (
                    isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE)
                ):
                    continue  # somebody has all there are: the next one looks
                for subscription in self._subscriptions():
                    subscription.fail(error)
            except Exception:
                # No thread to be had, say. Who gives up here leaves every follower deaf.
                logger.exception("cannot look at %s, will try again", self.directory)

    async def _survey(self, *, whole: bool, stock_for: Subscription | None = None) -> None:
        """Look in a thread, and mark what differs from the look before.

        Who is cancelled, and asks again, gets the same look: cut short again and again, even one
        of 100,000 files comes to its end.
        """
        async with self._looking:
            left, self._left = self._left, None
            if left is not None:
                await self._take(left)
            # What was absent may be there by now.
            if stock_for is None or stock_for.stock is None:
                await self._take(self._look(whole=whole, stock_for=stock_for))

    def _look(self, *, whole: bool, stock_for: Subscription | None) -> _Look:
        began_s = time.monotonic()
        told, self._told = self._told, set()
        for stats, _ in self._stats.values():
            stats.sweeps += 1
        interval_s = LOCKS_INTERVAL_S if self.polled_because else TRUSTED_LOCKS_INTERVAL_S
        locks_due = stock_for is None and began_s - self._compared_at_s >= interval_s
        call = Call(
            # Not among the reads: files that hang must not keep us from looking.
            f"surveys of {self._key.directory}",
            partial(
                survey,
                self.directory,
                list(self._by_stem),
                self._marks,
                whole=whole,
                locks_due=locks_due,
                wanted=stock_for is not None,
                doubtful=not self.trusted,
            ),
        )
        return _Look(call, began_s, told, whole, locks_due, stock_for)

    async def _take(self, look: _Look) -> None:
        try:
            await look.call.settled()
            self._surveyed_at_s = time.monotonic()
            found = look.call.result()
            if look.locks_due:
                self._compared_at_s = look.began_s
            was_present, self.present = self.present, found is not None
            if found is None:
                self._marks = {}
                if was_present:
                    self._forget_watch()
                    self.mark_everything()
                return
            self._watch_anew(found, was_present=was_present)
            await self._pass_differences_on(found)
        except Exception:
            self._told = None  # what was told before is forgotten
            raise
        except BaseException:
            self._left = look
            raise
        self._cost_s = found.cost_s
        grown = found.grown if look.whole and self._whole else set()
        self._count_missed(grown, look.told)
        self._whole = look.whole
        if look.stock_for is not None:
            look.stock_for.stock, look.stock_for.has_stock = found.seen, True

    def _watch_anew(self, found: Survey, *, was_present: bool) -> None:
        """Watch the directory that now has the name: one can be removed, renamed and made again."""
        if self._watch is not None and found.directory != self._watched:
            self._forget_watch()
        if self._watch_directory():
            self._told = None
            self._urgent = True  # for what happened before it was watched
        if not was_present:
            self.mark_everything()

    async def _pass_differences_on(self, found: Survey) -> None:
        """Mark what differs."""
        paused_s = time.monotonic()
        while found.changed:
            stem, decisive = found.changed.popitem()
            if time.monotonic() - paused_s >= _MAX_HOLD_S:
                await checkpoint()
                paused_s = time.monotonic()
            self._unheld.discard(stem)
            self._pass_on(stem, decisive=decisive, surveyed=True)
        if found.unheld is not None:
            for stem in found.unheld - self._unheld:
                self._pass_on(stem, decisive=True, surveyed=True)
            self._unheld = found.unheld
        self._marks = found.marks

    def _count_missed(self, grown: Collection[str], told: set[str] | None) -> None:
        """Count growth that no event told, before the survey that found it or behind that.

        Args:
            grown: what this survey found to have grown.
            told: what events told before it; None: perhaps everything.
        """
        self.drain()
        if not self.trusted or told is None or self._told is None:
            self._untold.clear()
            return
        now_s = time.monotonic()
        for stem in told | self._told:
            self._untold.pop(stem, None)
        for stem in grown:
            if stem not in told and stem not in self._told:
                self._untold[stem] = now_s
        if all(now_s - since_s < _GRACE_S for since_s in self._untold.values()):
            return
        self._untold.clear()
        self._misses += 1
        for stats, _ in self._stats.values():
            stats.missed += 1
        if self._misses >= 2:
            self.polled_because = "events failed to come"
            for stats, _ in self._stats.values():
                stats.distrusted += 1

    def _close(self) -> None:
        if not self._home.here and self._home.soon(self._close):
            return
        if self._holders > 0:
            return
        if self._loop.watches.get(self._key) is self:
            del self._loop.watches[self._key]
        if self._background is not None:
            self._background.stop()
            self._background = None
        self._forget_watch()
        for stem in list(self._narrowed):
            self._widen(stem)
        notifier, self._notifier = self._notifier, None
        if notifier is not None:
            notifier.release()


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
    watches = _this_loop().watches
    watch = watches.get(key)
    if watch is None:
        watch = watches[key] = DirectoryWatch(key)
    await watch.hold()
    return watch


class _Loop:
    """What one event loop has of these: a watch a directory, and one notifier for all of them."""

    def __init__(self) -> None:
        self.watches: dict[_Key, DirectoryWatch] = {}
        self.notifier: _Notifier | None = None


_loop_here: RunVar[_Loop] = RunVar("sessiontail_loop")


def _this_loop() -> _Loop:
    try:
        return _loop_here.get()
    except LookupError:
        found = _Loop()
        _loop_here.set(found)
        return found


class _Notifier:
    """One inotify instance for everything that an event loop watches.

    On asyncio its descriptor stays registered and its callback marks at once: to add and remove
    it at each wait takes a turn of the loop and 20 us.
    """

    def __init__(self, loop: _Loop) -> None:
        self._home = Home()
        self._loop = loop
        self._inotify = Inotify()
        self._holders = 0
        self._sinks: dict[int, list[DirectoryWatch]] = {}
        self._background: Background | None = None
        self._rush = 0
        self._drained_s = 0.0
        if self._home.loop is not None:
            self._home.loop.add_reader(self._inotify.fd, self._wake)
        else:
            self._background = Background(self._read)

    def hold(self) -> None:
        self._holders += 1

    def release(self) -> None:
        self._holders -= 1
        if self._holders:
            return
        if self._loop.notifier is self:
            self._loop.notifier = None
        loop = self._home.loop
        if self._background is not None:
            with suppress(RuntimeError):  # trio has ended
                anyio.notify_closing(self._inotify.fd)
            self._background.stop()
        elif loop is not None and not loop.is_closed():
            loop.remove_reader(self._inotify.fd)
        self._inotify.close()

    def watch(self, path: str, mask: int, sink: DirectoryWatch) -> int:
        watch = self._inotify.add(path, mask)
        sinks = self._sinks.setdefault(watch, [])
        if sink not in sinks:
            sinks.append(sink)
        return watch

    def unwatch(self, watch: int, sink: DirectoryWatch) -> None:
        sinks = self._sinks.get(watch)
        if sinks is None or sink not in sinks:
            return
        sinks.remove(sink)
        if not sinks:
            del self._sinks[watch]
            self._inotify.remove(watch)

    def drain(self) -> bool:
        """Pass the events on that are there; return whether there are more."""
        if self._inotify.fd < 0:
            return False
        events, more = self._inotify.read()
        # One mark is enough for all that happened to a name.
        told: dict[tuple[int, str], int] = {}
        for watch, mask, name in events:
            told[watch, name] = told.get((watch, name), 0) | mask
        for (watch, name), mask in told.items():
            if mask & inotify.Q_OVERFLOW:
                for one in {id(s): s for sinks in self._sinks.values() for s in sinks}.values():
                    one.overflowed()
                continue
            for sink in tuple(self._sinks.get(watch, ())):
                sink.told(watch, name, mask)
            if mask & inotify.IGNORED:
                self._sinks.pop(watch, None)
        return more

    def _wake(self) -> None:
        """Pass events on; in an unbroken rush, gather them first, so that sessions share a wake."""
        loop = self._home.loop
        assert loop is not None
        now_s = time.monotonic()
        gap_s = RUSH_PAUSE_S if self._rush >= _RUSH_WAKES else _RUSH_GAP_S
        self._rush = self._rush + 1 if now_s - self._drained_s < gap_s else 0
        if self._rush >= _RUSH_WAKES:
            loop.remove_reader(self._inotify.fd)
            loop.call_later(RUSH_PAUSE_S, self._go_on)
            return
        self.drain()
        self._drained_s = time.monotonic()

    def _go_on(self) -> None:
        if self._inotify.fd < 0:
            return
        loop = self._home.loop
        assert loop is not None
        loop.add_reader(self._inotify.fd, self._wake)
        self.drain()
        self._drained_s = time.monotonic()

    async def _read(self) -> None:
        while self._inotify.fd >= 0:
            try:
                await anyio.wait_readable(self._inotify.fd)
            except anyio.ClosedResourceError:
                return
            now_s = time.monotonic()
            gap_s = RUSH_PAUSE_S if self._rush >= _RUSH_WAKES else _RUSH_GAP_S
            self._rush = self._rush + 1 if now_s - self._drained_s < gap_s else 0
            if self._rush >= _RUSH_WAKES:
                await anyio.sleep(RUSH_PAUSE_S)
            with suppress(OSError):  # closed meanwhile
                while self.drain():
                    await checkpoint()
            self._drained_s = time.monotonic()

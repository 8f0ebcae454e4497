"""A directory -> hints that something in it changed.

A hint only marks a name; truth is a read. Hints come from one inotify instance, waited for on the
event loop; where there is none (another system, no instance left) or where it cannot be trusted
(network file systems, overlays, events that failed to come) everybody looks by himself, every
``poll_interval_s``. The kernel may drop hints: then everything is marked.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from sessiontail.layout import split_name
from sessiontail.stats import StoreStats

__all__ = ["POLL_INTERVAL_S", "SWEEP_INTERVAL_S", "Subscription", "Watcher"]

# How often to look where events are trusted: 5,000 idle sessions cost 15 ms of a core each time.
SWEEP_INTERVAL_S = 5.0
# How often to look where they are not: what `tail -F` does ten times slower.
POLL_INTERVAL_S = 0.1

# A pause of 4 ms before each wake, once eight in a row came within 1 ms of the one before, until
# nothing comes for 4 ms.
RUSH_PAUSE_S = 0.004
_RUSH_GAP_S = 0.001
_RUSH_WAKES = 8

# 64 KiB: some 800 events, 2 ms to dispatch.
_EVENT_BYTES = 64 * 1024
_LARGEST_EVENT_BYTES = 16 + 256

_MODIFY, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO = 0x2, 0x8, 0x40, 0x80
_CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x100, 0x200, 0x400, 0x800
_ATTRIB, _UNMOUNT, _Q_OVERFLOW, _IGNORED, _ONLYDIR = 0x4, 0x2000, 0x4000, 0x8000, 0x1000000
_DIRECTORY_EVENTS = (
    _MODIFY | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF
    | _MOVE_SELF | _ONLYDIR
)  # fmt: skip
_FILE_EVENTS = _MODIFY | _CLOSE_WRITE | _ATTRIB | _MOVE_SELF | _DELETE_SELF
_GONE = _DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED
# After these a file may have ended, not only grown.
_DECISIVE = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _DELETE | _ATTRIB | _DELETE_SELF | _MOVE_SELF

# File systems that others change behind this kernel's back, or that lose events (FAULTS 13).
_UNWATCHABLE = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse", "fuseblk", "gfs2", "glusterfs", "lustre",
    "ncpfs", "nfs", "nfs4", "ocfs2", "overlay", "smb3", "smbfs", "vboxsf", "virtiofs",
}  # fmt: skip


class Subscription:
    """One consumer's marks: which names have changed since it last looked.

    However many events come, it holds one mark a name: a slow consumer is late, not lossy, and
    holds no memory.
    """

    def __init__(self, watcher: Watcher, stem: str | None) -> None:
        self._watcher = watcher
        self._stem = stem
        self._event = anyio.Event()
        #: Stems that changed -> whether they may have ended.
        self.marked: dict[str, bool] = {}
        #: Whether hints were lost, so that everything may have changed.
        self.everything = False

    async def wait(self, timeout_s: float) -> bool:
        """Wait for a mark, at most so long; return whether there is one."""
        if self.marked or self.everything:
            await checkpoint()
            return True
        watcher = self._watcher
        timeout_s = min(timeout_s, watcher.interval_s)
        if watcher.pumped:
            self._event = anyio.Event()
            with anyio.move_on_after(timeout_s):
                await self._event.wait()
        elif watcher.fd is None:
            await anyio.sleep(timeout_s)
        else:
            with anyio.move_on_after(timeout_s):
                while not (self.marked or self.everything):
                    await anyio.wait_readable(watcher.fd)
                    watcher.drain()
        return bool(self.marked or self.everything)

    def take(self) -> tuple[dict[str, bool], bool]:
        """Return ``marked`` and ``everything``, and begin anew."""
        taken = self.marked, self.everything
        self.marked, self.everything = {}, False
        return taken

    def take_decisive(self) -> bool:
        """Begin anew; return whether the file may have ended, not only grown."""
        marked, everything = self.take()
        return everything or any(marked.values())

    def mark(self, stem: str, *, decisive: bool) -> None:
        """Note that a name has changed."""
        self.marked[stem] = self.marked.get(stem, False) or decisive
        self._event.set()

    def mark_everything(self) -> None:
        """Note that hints were lost."""
        self.everything = True
        self._event.set()

    def close(self) -> None:
        """Get no more marks."""
        self._watcher.unsubscribe(self)


class Watcher:
    """Watches one directory for any number of subscribers.

    Without ``pump`` running, a waiting subscriber reads the events itself; there must then be
    only one. Opening never fails: a directory that is absent is looked for until it is there.

    Args:
        directory: whose session files are watched.
        stats: counts into these.
        sweep_interval_s: how often to look where events are trusted.
        poll_interval_s: how often to look where they are not.
        events: False never asks the kernel for events.
    """

    def __init__(
        self,
        directory: Path,
        *,
        stats: StoreStats | None = None,
        sweep_interval_s: float = SWEEP_INTERVAL_S,
        poll_interval_s: float = POLL_INTERVAL_S,
        events: bool = True,
    ) -> None:
        self.directory = directory
        self.stats = stats or StoreStats()
        self.sweep_interval_s = sweep_interval_s
        self.poll_interval_s = poll_interval_s
        #: Whether a task runs ``pump``.
        self.pumped = False
        #: Why events are not used, in a few words; None where they are.
        self.polled_because: str | None = None
        #: Whether the directory is on another machine, so that even looking may block.
        self.remote = False
        self._by_stem: dict[str, list[Subscription]] = {}
        self._all: list[Subscription] = []
        self._inotify: Any = None
        self._parse: Any = None
        self._watch: int | None = None
        self._watched: tuple[int, int] | None = None
        # The stem whose open file is watched instead of the directory.
        self._narrowed: str | None = None
        self._misses = 0
        if not events:
            self.polled_because = "events are switched off"
        elif sys.platform != "linux":
            self.polled_because = f"no inotify on {sys.platform}"
        else:
            self._open()

    def __del__(self) -> None:
        self.close()

    @property
    def fd(self) -> int | None:
        """The inotify descriptor; None where there is none."""
        return None if self._inotify is None else self._inotify.fileno()

    @property
    def interval_s(self) -> float:
        """How long a subscriber may rely on events before it looks by itself."""
        return self.sweep_interval_s if self.trusted else self.poll_interval_s

    @property
    def trusted(self) -> bool:
        """Whether events tell what changes; not while there is no directory."""
        return self.polled_because is None and self._watch is not None

    def subscribe(self, stem: str | None = None) -> Subscription:
        """Return marks for one stem, or for every name in the directory."""
        subscription = Subscription(self, stem)
        if stem is None:
            self._all.append(subscription)
        else:
            self._by_stem.setdefault(stem, []).append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop marking for a subscriber; again is no error."""
        if subscription._stem is None:  # noqa: SLF001 - the two halves of one thing
            if subscription in self._all:
                self._all.remove(subscription)
            return
        others = self._by_stem.get(subscription._stem, [])  # noqa: SLF001
        if subscription in others:
            others.remove(subscription)
        if not others:
            self._by_stem.pop(subscription._stem, None)  # noqa: SLF001

    def narrow(self, fd: int, stem: str) -> None:
        """Watch one open file instead of the directory: a lone tail needs no others' events.

        The file's events follow it through renames.
        """
        if self._inotify is None or self.polled_because is not None:
            return
        try:
            watch = self._inotify.add_watch(f"/proc/self/fd/{fd}", _FILE_EVENTS)
        except OSError:
            return
        if self._watch is not None and watch != self._watch:
            self._forget_watch()
        self._watch, self._narrowed = watch, stem

    def check_directory(self) -> bool:
        """Watch the directory that now has the name; return whether there is one.

        To be called on every look: a directory can be removed, renamed and made again.
        """
        try:
            status = self.directory.stat()
        except OSError:
            if self._narrowed is None:
                self._forget_watch()
            return False
        if self._inotify is not None and self._narrowed is None:
            key = (status.st_dev, status.st_ino)
            if key != self._watched or self._watch is None:
                self._forget_watch()
                self._add_watch()
                if self._watch is not None:
                    self.mark_everything()
        return True

    def drain(self) -> bool:
        """Read the events that are there, 64 KiB at most, and mark; return whether there are more."""
        if self._inotify is None:
            return False
        try:
            data = os.read(self._inotify.fileno(), _EVENT_BYTES)
        except BlockingIOError:
            return False
        told: dict[str, int] = {}
        for watch, mask, _, name in self._parse(data):
            self.stats.events += 1
            if watch == self._watch:
                told[name] = told.get(name, 0) | mask
            elif mask & _Q_OVERFLOW:
                self.stats.overflows += 1
                self.mark_everything()
        for name, mask in told.items():
            if self._narrowed is not None:
                self.mark(self._narrowed, decisive=bool(mask & _DECISIVE))
                if mask & _IGNORED:
                    self._watch = None
            elif mask & _GONE:
                self._forget_watch()
                self.mark_everything()
            else:
                split = split_name(name)
                if split is not None:
                    self.mark(split[0], decisive=bool(mask & _DECISIVE))
        return len(data) > _EVENT_BYTES - _LARGEST_EVENT_BYTES

    async def was_missed(self, subscription: Subscription) -> bool:
        """Count growth that was found without an event, unless the event was on its way.

        The kernel sets a file's size a moment before it tells.
        """
        if not self.trusted:
            return False
        await anyio.sleep(0.01)
        self.drain()
        if subscription.marked or subscription.everything:
            return False
        self.stats.missed += 1
        self._misses += 1
        if self._misses >= 2:
            self.polled_because = "events failed to come"
            self.stats.distrusted += 1
        return True

    async def pump(self) -> None:
        """Read events and mark, until cancelled: one task for all subscribers.

        A wake costs as much as three records. Where events come in an unbroken rush, a short
        pause gathers them, so that thousands of sessions share a wake.
        """
        self.pumped = True
        rush, drained_s = 0, 0.0
        try:
            while True:
                if self.fd is None:
                    await anyio.sleep_forever()
                else:
                    await anyio.wait_readable(self.fd)
                    gap_s = RUSH_PAUSE_S if rush >= _RUSH_WAKES else _RUSH_GAP_S
                    rush = rush + 1 if time.monotonic() - drained_s < gap_s else 0
                    if rush >= _RUSH_WAKES:
                        await anyio.sleep(RUSH_PAUSE_S)
                    while self.drain():
                        await checkpoint()
                    drained_s = time.monotonic()
        finally:
            self.pumped = False

    def mark(self, stem: str, *, decisive: bool) -> None:
        """Mark a stem for those who want it."""
        for subscription in self._by_stem.get(stem, ()):
            subscription.mark(stem, decisive=decisive)
        for subscription in self._all:
            subscription.mark(stem, decisive=decisive)

    def mark_everything(self) -> None:
        """Mark everything for everybody: hints were lost."""
        for subscriptions in self._by_stem.values():
            for subscription in subscriptions:
                subscription.mark_everything()
        for subscription in self._all:
            subscription.mark_everything()

    def close(self) -> None:
        """Give the inotify instance back; again is no error."""
        inotify, self._inotify = self._inotify, None
        if inotify is not None:
            with suppress(RuntimeError):  # no event loop, so nobody waits
                anyio.notify_closing(inotify.fileno())
            inotify.close()

    def _open(self) -> None:
        import inotify_simple  # noqa: PLC0415 - Linux only

        # Its own search for libc starts ldconfig: that takes 5 ms, and fails without descriptors.
        if inotify_simple._libc is None:  # noqa: SLF001
            inotify_simple._libc = ctypes.CDLL(None, use_errno=True)  # noqa: SLF001
        self._parse = inotify_simple.parse_events
        try:
            self._inotify = inotify_simple.INotify(nonblocking=True)
        except OSError as error:  # EMFILE: 128 instances a user, or no descriptor left
            self.polled_because = f"no inotify instance: {error.strerror}"
            return
        kind = filesystem_type(self.directory)
        if kind in _UNWATCHABLE or kind.startswith("fuse."):
            self.polled_because = f"events do not tell all on {kind}"
            self.remote = kind != "overlay"
        self._add_watch()

    def _add_watch(self) -> None:
        try:
            self._watch = self._inotify.add_watch(self.directory, _DIRECTORY_EVENTS)
            status = self.directory.stat()
            self._watched = (status.st_dev, status.st_ino)
        except (FileNotFoundError, NotADirectoryError):
            self._watch = self._watched = None
        except OSError as error:  # ENOSPC: no watch left; EACCES: not ours to read
            self._watch = self._watched = None
            self.polled_because = f"the directory cannot be watched: {error.strerror}"

    def _forget_watch(self) -> None:
        watch, self._watch, self._watched = self._watch, None, None
        if watch is not None and self._inotify is not None:
            with suppress(OSError):  # it went with its directory
                self._inotify.rm_watch(watch)


def filesystem_type(path: Path) -> str:
    """Return the type of the file system that ``path`` lies or would lie on; "" if unknown.

    Source: proc_pid_mountinfo(5).
    """
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return ""
    place = os.fsencode(os.path.realpath(path))
    best, kind = -1, b""
    for line in mounts:
        before, _, after = line.partition(b" - ")
        point = _OCTAL.sub(lambda escape: bytes([int(escape[1], 8)]), before.split(b" ")[4])
        inside = place == point or place.startswith(point.rstrip(b"/") + b"/")
        if inside and len(point) >= best:
            best, kind = len(point), after.split(b" ")[0]
    return kind.decode("ascii", "replace")


_OCTAL = re.compile(rb"\\([0-7]{3})")

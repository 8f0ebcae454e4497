"""Open files' identities -> who writes them: live, abandoned, or unknown.

The writer keeps ``flock(LOCK_EX)`` on its WAL; Linux tells in ``/proc/locks`` which process holds
which inode. Reading that disturbs nobody; trying the lock would. ``/proc/locks`` leaves out the
locks of processes that our pid namespace does not contain, so absence there is proof only in the
first pid namespace, or for a writer that was seen before.
Source: proc_locks(5); openrath 2.0.0, ``FileLock``.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

from sessiontail.session import SessionState

__all__ = ["LockTable", "state_of"]

# PROC_PID_INIT_INO in the kernel's include/linux/proc_ns.h: the namespace that sees all processes.
_FIRST_PID_NAMESPACE = 0xEFFFFFFC

# A WAL that changed within this time is not called abandoned on the word of /proc/locks alone.
QUIET_S = 60.0

# 4 KiB is what the kernel gives at most; the others have no small multiple in common with it.
# 400 locks that go and come 5,000 times a second hide one in every fourth single reading.
_PAGES_BYTES = (4096, 2531, 3389)
# A page less than a line: the kernel gives whole lines.
_ONE_PAGE_BYTES = 4096 - 128

_LOCK = re.compile(rb"FLOCK +ADVISORY +WRITE +(\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ")


class LockTable:
    """The exclusive flocks on this machine, at one moment.

    Args:
        text: the content of ``/proc/locks``; None where there is none.
        complete: whether it shows the locks of every process.
    """

    __slots__ = ("_pids", "complete", "known")

    def __init__(self, text: bytes | None, *, complete: bool) -> None:
        #: Whether this system tells at all.
        self.known = text is not None
        self.complete = complete
        # inode -> [(device, pid)]; a line "1: -> FLOCK" waits for a lock and holds none.
        self._pids: dict[int, list[tuple[int, int]]] = {}
        for pid, major, minor, inode in _LOCK.findall((text or b"").replace(b"-> FLOCK", b"")):
            device = os.makedev(int(major, 16), int(minor, 16))
            self._pids.setdefault(int(inode), []).append((device, int(pid)))

    @classmethod
    def read(cls) -> LockTable:
        """Read the table as it is now: some 30 us, and 1 us a lock.

        The kernel finds the next page by counting, so that a lock that goes while we read hides
        another. More than a page is read three times, unless twice gives the same, with page
        ends in other places; what any reading shows counts.
        """
        try:
            text = last = _read(_PAGES_BYTES[0])
            for page_bytes in _PAGES_BYTES[1:]:
                if len(last) <= _ONE_PAGE_BYTES:
                    break
                before, last = last, _read(page_bytes)
                if last == before:
                    break
                text += last
        except OSError:
            return cls(None, complete=False)
        return cls(text, complete=_sees_every_process())

    def holder(self, status: os.stat_result) -> int | None:
        """Return the pid of the process that holds the file, None where none shows.

        The device that ``stat`` gives differs from the kernel's on btrfs and overlayfs, so a lock
        on the same inode number of another device counts too: better live than abandoned.
        """
        holders = self._pids.get(status.st_ino, ())
        for device, pid in holders:
            if device == status.st_dev:
                return pid
        return holders[0][1] if holders else None

    def holds(self, key: tuple[int, int]) -> bool:
        """Say whether a file, given as (st_dev, st_ino), is held."""
        return key[1] in self._pids

    def proves_absence(self, status: os.stat_result, *, quiet_s: float, seen: bool) -> bool:
        """Say whether a file that has no holder here has none at all.

        Args:
            status: the file's.
            quiet_s: for how long the file has not changed.
            seen: whether this table showed its writer before.
        """
        if not self.known or self.holder(status) is not None:
            return False
        return self.complete or seen or quiet_s >= QUIET_S


def state_of(
    status: os.stat_result, *, is_wal: bool, closed: bool, locks: LockTable, now_s: float
) -> tuple[SessionState, int | None]:
    """Return a file's state in a listing, and its writer's pid where one shows.

    Args:
        status: the file's.
        is_wal: whether it has the WAL's name.
        closed: whether it has a trailer.
        locks: read after ``status``.
        now_s: the time, in seconds since 1970.
    """
    pid = locks.holder(status)
    if pid is not None:
        return SessionState.LIVE, pid
    if closed:
        return SessionState.CLOSED, None
    if not is_wal:
        return SessionState.ABANDONED, None
    if locks.known and now_s - status.st_mtime >= QUIET_S:
        return SessionState.ABANDONED, None
    return SessionState.UNKNOWN, None


def _read(page_bytes: int) -> bytes:
    with Path("/proc/locks").open("rb", buffering=0) as file:
        return b"".join(iter(lambda: file.read(page_bytes), b""))


@cache
def _sees_every_process() -> bool:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino == _FIRST_PID_NAMESPACE
    except OSError:
        return False

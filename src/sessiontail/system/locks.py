"""open files -> who writes them.

The writer keeps ``flock(LOCK_EX)`` on its WAL; Linux tells in ``/proc/locks`` which process holds
which inode. Reading that disturbs nobody; trying the lock would. Absence there proves little:
``/proc/locks`` leaves out processes that our pid namespace does not contain, and a writer need not
lock at all. Only a lock that was seen and is gone proves that its writer is.
Source: proc_locks(5); openrath 2.0.0, ``FileLock``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from anyio.lowlevel import RunVar

from sessiontail.system.calls import Call
from sessiontail.system.signals import Home, Signal
from sessiontail.system.stamps import FileId
from sessiontail.system.threads import NoThread
from sessiontail.urls import is_url

__all__ = ["Asked", "LockTable", "Locks", "locks", "table_for"]

# Reading the table takes at most this part of the time, and who asks waits at most so long for it.
_SHARE = 0.2
_MAX_PAUSE_S = 0.05

# A table that nobody came for says nothing of now.
_STALE_S = 1.0

# 4 KiB is what the kernel gives at most; the others have no small multiple in common with it.
# 400 locks that go and come 5,000 times a second hide one in every fourth single reading.
_PAGES_BYTES = (4096, 2531, 3389)
# A page less than a line: the kernel gives whole lines.
_ONE_PAGE_BYTES = 4096 - 128

_LOCK = re.compile(rb"FLOCK +ADVISORY +WRITE +(\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ")


class LockTable:
    """The exclusive flocks on this machine, at one moment.

    Args:
        text: the content of ``/proc/locks``; None where it was not read.
        failed: whether that was for want of a descriptor, or the like, so that it is worth to ask
            again.
    """

    __slots__ = ("_pids", "failed", "known")

    def __init__(self, text: bytes | None, *, failed: bool = False) -> None:
        #: Whether it says anything.
        self.known = text is not None
        self.failed = failed
        # inode -> [(device, pid)]; a line "1: -> FLOCK" waits for a lock and holds none.
        self._pids: dict[int, list[tuple[int, int]]] = {}
        # finditer, not findall: of 10,000 locks that is one call of 20 ms, in which no other
        # thread runs.
        for lock in _LOCK.finditer((text or b"").replace(b"-> FLOCK", b"")):
            pid, major, minor, inode = lock.groups()
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
        except FileNotFoundError:
            return cls(None)  # this system does not tell
        except OSError:
            return cls(None, failed=True)
        return cls(text)

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

    def holds(self, file_id: FileId) -> bool:
        """Say whether a file is held."""
        return file_id.inode in self._pids


def table_for(place: Path | str) -> LockTable:
    """Return the table where it says something of the files there; in a bucket it does not."""
    return LockTable(None) if is_url(str(place)) else LockTable.read()


class Locks:
    """The lock table, read in a thread once for all tails of an event loop that ask."""

    def __init__(self) -> None:
        self._home = Home()
        self._asked: list[Callable[[LockTable], object]] = []
        self._answered: list[Callable[[LockTable], object]] = []
        self._call: Call[tuple[LockTable, float]] | None = None
        self._due_s = 0.0

    def ask(self, answer: Callable[[LockTable], object]) -> None:
        """Call ``answer`` with the table, read after this."""
        self._asked.append(answer)
        if self._call is None:
            self._read()

    async def table(self) -> LockTable:
        """Return the table, read after this was called."""
        return await Asked(self).wait()

    def _read(self) -> None:
        self._answered, self._asked = self._asked, []
        try:
            self._call = Call("", _read_at, self._due_s, done=self._tell, home=self._home)
        except NoThread:
            self._answer(LockTable(None, failed=True))

    def _tell(self) -> None:
        assert self._call is not None
        call, self._call = self._call, None
        try:
            table, self._due_s = call.result()
        except Exception:
            self._answer(LockTable(None, failed=True))
            raise
        self._answer(table)

    def _answer(self, table: LockTable) -> None:
        answered, self._answered = self._answered, []
        if self._asked:
            self._read()
        for answer in answered:
            answer(table)


class Asked:
    """The table, read after this was made: who is cancelled while it waits, waits again for it."""

    __slots__ = ("_answered_s", "_signal", "_table")

    def __init__(self, locks: Locks) -> None:
        self._signal = Signal()
        self._table: LockTable | None = None
        self._answered_s = 0.0
        locks.ask(self._take)

    @property
    def stale(self) -> bool:
        """Whether it was answered so long ago that who asks wants another."""
        return self._table is not None and time.monotonic() - self._answered_s > _STALE_S

    async def wait(self) -> LockTable:
        """Return it."""
        while self._table is None:
            await self._signal.wait()
        return self._table

    def _take(self, table: LockTable) -> None:
        self._table, self._answered_s = table, time.monotonic()
        self._signal.set()


def locks() -> Locks:
    """Return the one of this event loop."""
    try:
        return _locks.get()
    except LookupError:
        found = Locks()
        _locks.set(found)
        return found


_locks: RunVar[Locks] = RunVar("sessiontail_locks")


def _read_at(due_s: float) -> tuple[LockTable, float]:
    """Read the table, not before it is due; return it and when the next one is."""
    began_s = time.monotonic()
    if due_s > began_s:
        time.sleep(due_s - began_s)
        began_s = time.monotonic()
    table = LockTable.read()
    now_s = time.monotonic()
    return table, now_s + min((now_s - began_s) * (1 / _SHARE - 1), _MAX_PAUSE_S)


def _read(page_bytes: int) -> bytes:
    with Path("/proc/locks").open("rb", buffering=0) as file:
        return b"".join(iter(lambda: file.read(page_bytes), b""))

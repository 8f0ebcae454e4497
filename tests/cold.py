"""Cold disks, where threads must open and read, and disks that hang."""

from __future__ import annotations

import errno
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from actors import Actor, nothing_more
from sessiontail import DirectoryTail
from sessiontail.system import files
from sessiontail.system.files import SessionFile

__all__ = ["Blocked", "cold_disk"]

_LATE_S = (0, 0, 0.001, 0.004)


@contextmanager
def cold_disk(share: float, seed: int) -> Iterator[None]:
    """Let so many of all opens and reads, from 0 to 1, wait for a thread."""
    chance = random.Random(seed)
    open_cached = files._open_cached
    read_cached, read_now = SessionFile.read_cached, SessionFile.read_now

    def open_some(path: Path | str) -> int:
        if chance.random() < share:
            raise BlockingIOError(errno.EAGAIN, "cold", str(path))
        return open_cached(path)

    def read_some(file: SessionFile, offset: int, size: int) -> bytes | None:
        return None if chance.random() < share else read_cached(file, offset, size)

    def read_late(file: SessionFile, offset: int, size: int) -> bytes:
        time.sleep(chance.choice(_LATE_S))
        return read_now(file, offset, size)

    with pytest.MonkeyPatch.context() as patch:
        if share:
            patch.setattr(files, "_open_cached", open_some)
            patch.setattr(SessionFile, "read_cached", read_some)
            patch.setattr(SessionFile, "read_now", read_late)
        yield


class Blocked:
    """Reads of some files, none of which is in the page cache, wait until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *actors: Actor) -> None:
        self._names = {str(path) for actor in actors for path in (actor.wal, actor.final)}
        self.entered, self.released = threading.Semaphore(0), threading.Event()
        self._cached, self._now = SessionFile.read_cached, SessionFile.read_now

        def read_cached(file: SessionFile, offset: int, size: int) -> bytes | None:
            return None if str(file.path) in self._names else self._cached(file, offset, size)

        def read_now(file: SessionFile, offset: int, size: int) -> bytes:
            if str(file.path) in self._names:
                self.entered.release()
                self.released.wait(60)
            return self._now(file, offset, size)

        monkeypatch.setattr(SessionFile, "read_cached", read_cached)
        monkeypatch.setattr(SessionFile, "read_now", read_now)

    async def one_waits(self, tail: DirectoryTail) -> None:
        """Return when a read waits in its thread; the tail goes on, and tells nothing."""
        with anyio.fail_after(30):
            while not self.entered.acquire(blocking=False):
                assert await nothing_more(tail, 0.001)

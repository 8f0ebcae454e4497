"""A cold disk: some opens and reads are not at hand, so that threads do them, and take their time."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sessiontail.system import files
from sessiontail.system.files import SessionFile

__all__ = ["cold_disk"]

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

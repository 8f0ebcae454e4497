"""open WAL -> its writer's lock, or refused."""

from __future__ import annotations

import sys
from pathlib import Path

from sessiontail.errors import SessionBusy

__all__ = ["lock", "unlock"]


if sys.platform == "win32":

    def lock(fd: int, path: Path) -> None:
        """Without ``flock`` nothing keeps a second writer off."""

    def unlock(fd: int) -> None:
        """There was none."""

else:
    import fcntl

    def lock(fd: int, path: Path) -> None:
        """Take the lock of a WAL that is open.

        Raises:
            SessionBusy: another writer holds it.
            OSError: it cannot be had here.
        """
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SessionBusy("another writer holds it", path=path) from error

    def unlock(fd: int) -> None:
        """Let go of it: said, not left to ``close``, as a forked child may have the descriptor."""
        fcntl.flock(fd, fcntl.LOCK_UN)

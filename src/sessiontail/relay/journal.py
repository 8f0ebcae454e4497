"""a directory that is a mirror: whose it is, and which generation of whom each of its files is.

One file of JSON lines, locked while a mirror keeps the directory; the last line of a name counts.
Blocks: for threads.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import NamedTuple

from sessiontail.errors import PersistenceError, SessionBusy
from sessiontail.system.flocks import lock, unlock
from sessiontail.system.paths import SessionPaths, split_name

__all__ = ["JOURNAL", "UNFINISHED", "BesidePaths", "Copied", "Journal", "beside"]

#: Its name; a directory that has it is a mirror.
JOURNAL = ".sessiontail-mirror"
#: How a file is called that is to take the place of another one.
UNFINISHED = ".sessiontail-new"


class Copied(NamedTuple):
    """Which generation of whose session a file is."""

    host: str
    generation: int


def beside(stem: str) -> str:
    """Return under what a journal has the closed file of a session that was opened again.

    No stem has a slash.
    """
    return f"{stem}/closed"


class BesidePaths(SessionPaths, frozen=True, gc=False):
    """The names of the closed file beside a session that was opened again."""

    @property
    def wal(self) -> Path:
        """Hidden, and swept up where a mirror was killed."""
        return self.directory / f".{self.stem}{UNFINISHED}"


class Journal:
    """Opens, or makes, the journal of a directory.

    Args:
        directory: of the mirror.
        source: what it mirrors, as text without a password.

    Raises:
        PersistenceError: it has sessions of its own, is a mirror of something else, or is kept
            by another mirror.
        OSError: it cannot be read or written.
    """

    def __init__(self, directory: Path, source: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        names = os.listdir(directory)  # noqa: PTH208 - names, not paths
        if JOURNAL not in names and any(map(split_name, names)):
            raise PersistenceError(
                "it has session files and is no mirror: give a directory that is empty or absent",
                path=directory,
            )
        self._path = directory / JOURNAL
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self._path, flags, 0o600)
        #: By the stem of a file.
        self.files: dict[str, Copied] = {}
        #: What a file is summed up to that is whole and closed.
        self.sums: dict[str, int] = {}
        try:
            self._hold(directory, source)
        except BaseException:
            self.close()
            raise
        for name in names:
            if name.endswith(UNFINISHED) or self._is_orphan(directory / name):
                (directory / name).unlink(missing_ok=True)

    def _is_orphan(self, path: Path) -> bool:
        """Say whether a mirror was killed between making a file, which is empty, and noting it.

        Where its session was deleted meanwhile, nobody asks for it again.
        """
        stem, is_wal = split_name(path.name) or ("", False)
        if not is_wal or stem in self.files:
            return False
        status = path.lstat()
        return stat.S_ISREG(status.st_mode) and not status.st_size

    def _hold(self, directory: Path, source: str) -> None:
        try:
            lock(self._fd, self._path)
        except SessionBusy:
            raise SessionBusy("another mirror keeps this directory", path=directory) from None
        with open(self._fd, "rb", closefd=False) as file:
            lines = file.read().split(b"\n")
        # A half line at the end is that of a mirror that was killed.
        torn = lines.pop()
        if not lines:
            os.ftruncate(self._fd, 0)
            self._write({"mirror_of": source})
            return
        try:
            found = json.loads(lines[0])["mirror_of"]
            for line in lines[1:]:
                stem, host, generation, *crc = json.loads(line)
                copied = None if host is None else Copied(str(host), int(generation))
                self._take(stem, copied, int(crc[0]) if crc else None)
        except (ValueError, KeyError, TypeError) as error:
            raise PersistenceError(
                "damaged; delete the whole mirror: it is made again", path=self._path
            ) from error
        if found != source:
            raise PersistenceError(
                f"this directory mirrors {found}: give another one for {source}", path=directory
            )
        if torn:
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - len(torn))

    def note(self, stem: str, copied: Copied | None, crc: int | None = None) -> None:
        """Note what a file is by now; None: it is gone.

        Raises:
            OSError: that cannot be written.
        """
        host, generation = copied or (None, 0)
        self._write([stem, host, generation, *([] if crc is None else [crc])])
        self._take(stem, copied, crc)

    def _take(self, stem: str, copied: Copied | None, crc: int | None) -> None:
        if copied is None:
            self.files.pop(stem, None)
        else:
            self.files[stem] = copied
        if copied is None or crc is None:
            self.sums.pop(stem, None)
        else:
            self.sums[stem] = crc

    def close(self) -> None:
        """Let the directory go; again is no error."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            try:
                unlock(fd)
            finally:
                os.close(fd)

    def _write(self, value: object) -> None:
        """Write a line, whole or not at all."""
        size, rest = os.fstat(self._fd).st_size, memoryview(json.dumps(value).encode() + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            os.ftruncate(self._fd, size)
            raise

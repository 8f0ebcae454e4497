"""lines of a session -> its file in a mirror, as its writer would have it. Blocks: for threads.

The file is locked while its session runs, and has its final name once that is closed. Another
generation is another file, which takes the name in one step; it is there before the journal says
so. Where nobody knows whether it is another one, because Redis forgot, what comes is compared with
the file, and only a difference makes it new. A closed file beside a session that was opened again
has a hidden name, and is not noted, until it is whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sessiontail.errors import PersistenceError
from sessiontail.relay.entries import Hole
from sessiontail.relay.journal import UNFINISHED, BesidePaths, Copied, Journal, beside
from sessiontail.relay.metas import Meta
from sessiontail.session.wal import WalFile
from sessiontail.system.flocks import lock
from sessiontail.system.paths import stem_paths

__all__ = ["Copy"]

_READ_BYTES = 1024 * 1024


class Copy:
    """One session's file in a mirror.

    Args:
        directory: of the mirror.
        stem: of the file.
        host: whose session it is.
        journal: of the directory.
        is_beside: whether it is the closed file of a session that was opened again.
    """

    __slots__ = (
        "_compared",
        "_is_checked",
        "_journal",
        "_wal",
        "generation",
        "host",
        "is_beside",
        "lines",
        "stem",
    )

    def __init__(
        self, directory: Path, stem: str, host: str, journal: Journal, *, is_beside: bool = False
    ) -> None:
        self.stem = stem
        self.is_beside = is_beside
        self.host = host
        #: Which generation the file is; 0: there is none.
        self.generation = 0
        #: Lines of it that are there.
        self.lines = 0
        paths = stem_paths(stem, directory)
        self._wal = WalFile(BesidePaths(directory, paths.name) if is_beside else paths)
        self._journal = journal
        # Bytes of the file that are the same as what came; None: it is not compared.
        self._compared: int | None = None
        # Whether it is being compared because its size was wrong.
        self._is_checked = False

    @property
    def key(self) -> str:
        """Under what the journal has it."""
        return beside(self.stem) if self.is_beside else self.stem

    @property
    def is_open(self) -> bool:
        """Whether the file is held as its writer would."""
        return self._wal.is_open

    def meet(self, meta: Meta) -> None:
        """Make the file that of a generation, if it is not: take it up, or begin it.

        Raises:
            OSError, PersistenceError: it cannot be read or written.
        """
        aside = self._journal.files.get(beside(self.stem))
        if aside == (self.host, meta.generation) and not self.is_beside:
            self._go_back(meta)
        if not self.generation:
            self._take_up(meta)
        if self.generation == meta.generation:
            return
        self._compared, self.lines = None, 0
        self._is_checked = False
        if meta.why == "begun" and self._path is not None:
            self._compared = 0
            if self._is_wal:
                self._hold()
        else:
            self._exchange(0)
        self.generation = meta.generation
        if self._compared is None:
            self._note()

    def doubt(self, meta: Meta) -> bool:
        """Say whether the file cannot be what was mirrored; it is then compared from its start.

        Raises:
            PersistenceError: it was compared: what Redis says of the session is wrong.
        """
        size = self._size()
        if self._compared is not None or (self.lines > meta.lines and meta.state != "closed"):
            return False
        if (self.lines, size) == (meta.lines, meta.bytes):
            self._is_checked = False
            return False
        if self._is_checked:
            raise PersistenceError(
                f"Redis says {meta.bytes} bytes, and its lines have {size}", path=self._path
            )
        self._is_checked, self._compared, self.lines = True, 0, 0
        if self._path is None:
            self._exchange(0)
            self._compared = None
        return True

    def append(self, lines: Sequence[bytes | Hole]) -> None:
        """Take the next lines, with their newlines.

        Raises:
            OSError, PersistenceError: they cannot be written; the file has none of them, or the
                first ones.
        """
        same = self._compare(lines) if self._compared is not None else 0
        rest = lines[same:]
        self.lines += same
        if not rest:
            return
        if self._compared is not None:
            self._end_comparison(grows=True)
        self._hold()
        together: list[bytes] = []
        for line in rest:
            if isinstance(line, bytes):
                together.append(line)
                continue
            self._write(together)
            together = []
            self._wal.append(line.head)
            self._wal.cut(self._size() + line.length - len(line.head) - len(line.tail))
            self._wal.append(line.tail)
            self.lines += 1
        self._write(together)

    def settle(self, state: str) -> None:
        """Bring the file into a state, once all its lines are there.

        Raises:
            OSError, PersistenceError: it cannot be renamed or removed.
        """
        paths = self._wal.paths
        if state == "deleted":
            self._wal.release()
            for path in (paths.wal, paths.final):
                path.unlink(missing_ok=True)
            self._journal.note(self.key, None)
            self.generation = self.lines = 0
            return
        if self._compared is not None and (state != "live" or self._compared == self._size()):
            self._end_comparison(grows=False)
        if not self._is_wal and self._path is not None:
            self._note(is_whole=True)
            return  # it is closed already
        if state == "live":
            self._hold()
        elif state == "abandoned":
            self._wal.release()
        else:
            self._hold()
            self._wal.rename()
            self._wal.release()
            self._note(is_whole=True)

    def let_go(self) -> None:
        """Hold the file no longer; a reader then sees that its writer is gone."""
        self._wal.release()

    @property
    def _is_wal(self) -> bool:
        return self._wal.is_open or self._wal.paths.wal.exists()

    @property
    def _path(self) -> Path | None:
        """The file that grows, else the closed one."""
        paths = self._wal.paths
        return next((path for path in (paths.wal, paths.final) if path.exists()), None)

    def _size(self) -> int:
        for path in (self._wal.paths.wal, self._wal.paths.final):
            with suppress(FileNotFoundError):
                return path.stat().st_size
        return 0

    def _take_up(self, meta: Meta) -> None:
        """Go on with the file of an earlier mirror, behind its last whole line."""
        noted, path = self._journal.files.get(self.key), self._path
        if path is None:
            return
        if noted == (self.host, meta.generation) and path.stat().st_size == meta.bytes:
            self.generation, self.lines = meta.generation, meta.lines
            return
        self.lines = _cut(path)
        # Where nobody has noted it, it may be any.
        self.generation = noted.generation if noted and noted.host == self.host else -1

    def _note(self, *, is_whole: bool = False) -> None:
        copied = Copied(self.host, self.generation)
        if self.is_beside == is_whole and self._journal.files.get(self.key) != copied:
            self._journal.note(self.key, copied)

    def _go_back(self, meta: Meta) -> None:
        """Be the closed file again: that which was opened is gone."""
        self._wal.release()
        self._wal.paths.wal.unlink(missing_ok=True)
        self._journal.note(self.stem, Copied(self.host, meta.generation))
        self._journal.note(beside(self.stem), None)
        self.generation, self._compared = 0, None

    def _hold(self) -> None:
        if not self._wal.is_open:
            self._wal.open()

    def _write(self, lines: list[bytes]) -> None:
        if lines:
            self._wal.append(b"".join(lines))
            self.lines += len(lines)

    def _compare(self, lines: Sequence[bytes | Hole]) -> int:
        """Return how many lines the file has already, at the place that was reached."""
        path = self._path
        assert path is not None
        assert self._compared is not None
        same, self._compared = _same(path, self._compared, lines)
        return same

    def _end_comparison(self, *, grows: bool) -> None:
        """Go on in the same file, if that is all that was compared; else in a new one."""
        at = self._compared
        assert at is not None
        if at < self._size() or (grows and not self._is_wal):
            self._exchange(at)
        self._compared = None
        self._note()

    def _exchange(self, size: int) -> None:
        """Put a new file in the place of the one that is there, with its first bytes."""
        wal = self._wal.paths.wal
        new = wal.with_name(f".{os.getpid()}{UNFINISHED}")
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(new, flags, 0o600)
        try:
            lock(fd, new)
            if size:
                path = self._path
                assert path is not None
                _copy(path, fd, size)
            new.rename(wal)
        except BaseException:
            os.close(fd)
            new.unlink(missing_ok=True)
            raise
        self._wal.release()
        self._wal.fd = fd


def _same(path: Path, at: int, lines: Sequence[bytes | Hole]) -> tuple[int, int]:
    """Return how many lines a file has from an offset on, and the offset behind them."""
    same = 0
    with path.open("rb") as file:
        for line in lines:
            file.seek(at)
            if isinstance(line, bytes):
                length, equal = len(line), file.read(len(line)) == line
            else:
                length, equal = line.length, file.read(len(line.head)) == line.head
                file.seek(at + length - len(line.tail))
                equal = equal and file.read(len(line.tail)) == line.tail
            if not equal:
                break
            at += length
            same += 1
    return same, at


def _cut(path: Path) -> int:
    """Cut off what is behind the last newline: a mirror was killed there; return the lines."""
    lines = size = end = 0
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(fd, "r+b") as file:
        while data := file.read(_READ_BYTES):
            lines += data.count(b"\n")
            last = data.rfind(b"\n")
            end = end if last < 0 else size + last + 1
            size += len(data)
        if end < size:
            file.truncate(end)
    return lines


def _copy(path: Path, fd: int, size: int) -> None:
    """Write the first bytes of a file to another one."""
    with path.open("rb") as file:
        while size:
            data = memoryview(file.read(min(size, _READ_BYTES)))
            if not data:
                raise PersistenceError("it was cut while it was copied", path=path)
            size -= len(data)
            while data:
                data = data[os.write(fd, data) :]

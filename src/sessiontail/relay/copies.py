"""lines of a session -> its file in a mirror, as its writer would have it. Blocks: for threads.

The file is locked while its session runs, and has its final name once that is closed. Another
generation is another file, which takes the name in one step; it is there before the journal says
so. Where nobody knows whether it is another one, because Redis forgot, what comes is compared with
the file, and only a difference makes it new. A closed file beside a session that was opened again
has a hidden name, and is not noted, until it is whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sessiontail.errors import PersistenceError
from sessiontail.relay.checksums import sum_file, sum_lines
from sessiontail.relay.copied_bytes import cut_torn, put_new, same_lines
from sessiontail.relay.entries import Hole
from sessiontail.relay.journal import BesidePaths, Copied, Journal, beside
from sessiontail.relay.metas import Meta
from sessiontail.session.wal import WalFile
from sessiontail.system.paths import stem_paths

__all__ = ["Copy"]


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
        "crc",
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
        #: What these are summed up to.
        self.crc = 0
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
        self._compared, self.lines, self.crc = None, 0, 0
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
        is_ahead = self.lines > meta.lines and meta.state != "closed"
        # Redis came back from an older state, and will have the rest; or something else.
        if self._compared is not None or (
            is_ahead and sum_file(self._path or self._wal.paths.wal, meta.bytes) == meta.crc
        ):
            return False
        if (self.lines, size, self.crc) == (meta.lines, meta.bytes, meta.crc):
            self._is_checked = False
            return False
        if self._is_checked:
            said = f"Redis says {meta.bytes} bytes (CRC-32 {meta.crc}), and its lines have {size}"
            raise PersistenceError(f"{said} ({self.crc})", path=self._path)
        self._is_checked, self._compared, self.lines, self.crc = True, 0, 0, 0
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
        self._took(lines[:same])
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
            self._took([line])
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
            self.generation = self.lines = self.crc = 0
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
            # Those that are closed are many: what was noted of them is believed.
            crc = self._journal.sums.get(self.key)
            if crc is None:
                crc = sum_file(path, meta.bytes)
            if crc == meta.crc:
                self.generation, self.lines, self.crc = meta.generation, meta.lines, meta.crc
                return
        self.lines = cut_torn(path)
        self.crc = sum_file(path, path.stat().st_size) or 0
        # Where nobody has noted it, it may be any.
        self.generation = noted.generation if noted and noted.host == self.host else -1

    def _note(self, *, is_whole: bool = False) -> None:
        copied = Copied(self.host, self.generation)
        crc = self.crc if is_whole else None
        noted = self._journal.files.get(self.key), self._journal.sums.get(self.key)
        if (is_whole or not self.is_beside) and noted != (copied, crc):
            self._journal.note(self.key, copied, crc)

    def _go_back(self, meta: Meta) -> None:
        """Be the closed file again: that which was opened is gone."""
        self._wal.release()
        self._wal.paths.wal.unlink(missing_ok=True)
        crc = self._journal.sums.get(beside(self.stem))
        self._journal.note(self.stem, Copied(self.host, meta.generation), crc)
        self._journal.note(beside(self.stem), None)
        self.generation, self._compared = 0, None

    def _hold(self) -> None:
        if not self._wal.is_open:
            self._wal.open()

    def _write(self, lines: list[bytes]) -> None:
        if lines:
            self._wal.append(b"".join(lines))
            self._took(lines)

    def _took(self, lines: Sequence[bytes | Hole]) -> None:
        self.lines += len(lines)
        self.crc = sum_lines(lines, self.crc)

    def _compare(self, lines: Sequence[bytes | Hole]) -> int:
        """Return how many lines the file has already, at the place that was reached."""
        path = self._path
        assert path is not None
        assert self._compared is not None
        same, self._compared = same_lines(path, self._compared, lines)
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
        fd = put_new(self._wal.paths.wal, self._path if size else None, size)
        self._wal.release()
        self._wal.fd = fd

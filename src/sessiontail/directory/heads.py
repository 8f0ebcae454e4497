"""files of a directory -> their rows and titles, as an earlier process has read them. Blocks.

For one pass over many sessions, as ``remembered`` is for a scan: the cache is asked once, where this
process knows few of the files, and written once, where much was read anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from sessiontail.directory.ancestry import Ancestry
from sessiontail.directory.names import prefix_of
from sessiontail.format.migrations import any_registered
from sessiontail.format.rows_read import RowsKept
from sessiontail.session.kept_rows import KeptRows
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.mounts import look_up
from sessiontail.system.packs import Pack
from sessiontail.system.stamps import FileId, stamp_bytes
from sessiontail.system.statuses import status_of

__all__ = ["Heads"]

# 512: to read so many takes 40 ms, to load SQLite and open the cache less than 8.
_MUCH = 512
# Of the values: another number for other fields, or another meaning of one.
_KIND = "heads 2"


class _Head(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What is kept of a file."""

    rows: RowsKept
    #: Where its own rows began, as its title was read; -1: it was not.
    own_from: int
    title: str | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Head).decode


class Heads:
    """What earlier processes have read of the sessions of one directory.

    Args:
        ancestry: of the directory; it is given what is not known in this process.
        directory: where the files lie.
        metas: of all of its sessions.
    """

    def __init__(
        self, ancestry: Ancestry, directory: Path, metas: Sequence[PersistedSessionMeta]
    ) -> None:
        self._ancestry = ancestry
        self._directory = prefix_of(directory)
        self._metas = metas
        self._asked = False
        # By path.
        self._entries: dict[str, tuple[bytes, bytes]] = {}
        # Those that were asked for in this pass.
        self._rows: dict[FileId, KeptRows] = {}
        # Where the own rows begin, and the title; and of whom that was read in this pass.
        self._titles: dict[FileId, tuple[int, str | None]] = {}
        self._read: set[FileId] = set()
        self._pack = Pack(_KIND, self._directory)

    def recall(self) -> None:
        """Ask the cache, if this process knows few of these sessions."""
        known = self._ancestry.known_among(meta.file_id for meta in self._metas)
        if len(self._metas) - known < _MUCH or any_registered():
            return
        entries = self._pack.read()
        if entries is None:
            return
        self._asked = True
        directory = self._directory
        self._entries = {directory + name: entry for name, entry in entries.items()}
        self._ancestry.recall = self._restore

    @property
    def asked(self) -> bool:
        """Whether what is read in this pass may be kept."""
        return self._asked

    def close(self) -> None:
        """Give the ancestry nothing more."""
        if self._ancestry.recall == self._restore:
            self._ancestry.recall = None

    def _restore(self, rows: KeptRows) -> None:
        self._rows[rows.file_id] = rows
        for name in rows.names[:2]:
            stamp, value = self._entries.get(name, (b"", b""))
            if not stamp:
                continue
            try:
                status = status_of(name)
                if FileId.of(status) != rows.file_id or stamp_bytes(status) != stamp:
                    continue
                head = _decode(value)
            except (OSError, msgspec.DecodeError):
                continue
            rows.restore(head.rows, status)
            if head.own_from >= 0:
                self._titles[rows.file_id] = head.own_from, head.title
            return

    def title(self, file_id: FileId, own_from: int) -> tuple[str | None] | None:
        """Return a session's title, in a tuple; None where it is to be read."""
        known = self._titles.get(file_id)
        return None if known is None or known[0] != own_from else known[1:]

    def note(self, file_id: FileId, own_from: int, title: str | None) -> None:
        """Note a title that was read."""
        if self._asked:
            self._titles[file_id] = own_from, title
            self._read.add(file_id)

    def keep(self) -> None:
        """Write what was read, if it is much, and can be proven later."""
        if not self._asked:
            return
        same_clock = look_up(self._directory).same_clock
        start, read = len(self._directory), 0
        entries: dict[str, tuple[bytes, bytes]] = {}
        for meta in self._metas:
            try:
                kept = self._kept(meta, same_clock=same_clock)
            except (OSError, ValueError, OverflowError):
                continue  # it is gone; or has a text that is none, or a number of any size
            read += kept is not None
            kept = kept or self._entries.get(meta.file)
            if kept is not None:
                entries[meta.file[start:]] = kept
        gone = self._entries.keys() - {meta.file for meta in self._metas}
        if read + len(gone) >= _MUCH:
            self._pack.write(entries)

    def _kept(self, meta: PersistedSessionMeta, *, same_clock: bool) -> tuple[bytes, bytes] | None:
        file_id = meta.file_id
        rows = self._rows.get(file_id)
        if rows is None or not (file_id in self._read or rows.has_more):
            return None
        with self._ancestry.still():
            kept = rows.kept(status_of(meta.file), same_clock=same_clock)
        if kept is None:
            return None
        return kept[0], _encode(_Head(kept[1], *self._titles.get(file_id, (-1, None))))

"""file -> its meta as an earlier process has read it, where the file has not changed. Blocks.

For one scan, by several threads. The cache (``system/cache``) is asked once, and only where there
is much to gain; it is written at the end, and only where much was read anew.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

import msgspec

from sessiontail.directory.names import prefix_of
from sessiontail.format.migrations import any_registered
from sessiontail.session.known import keep_proven, unknown_among
from sessiontail.session.meta import PersistedSessionMeta, with_state
from sessiontail.system.locks import LockTable
from sessiontail.system.mounts import look_up
from sessiontail.system.packs import Pack
from sessiontail.system.stamps import lasting_stamp, stamp_bytes
from sessiontail.system.statuses import status_of

__all__ = ["Remembered"]

# 512: to read so many takes 8 ms, to load SQLite and open the cache 3.
_MUCH = 512

# Of the values: another number for other fields, or another meaning of one.
_KIND = "metas 1"

# Who holds a file now says nothing of later.
_NOBODY = LockTable(b"")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(PersistedSessionMeta).decode


class Remembered:
    """The metas of one directory's files that earlier processes have read.

    Args:
        directory: where the files lie.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = prefix_of(directory)
        # When the first file may have been looked at; None: the cache is not asked.
        self._since_ns: int | None = None
        # By path.
        self._entries: dict[str, tuple[bytes, bytes]] = {}
        self._read: list[PersistedSessionMeta] = []
        self._gone = 0
        self._pack = Pack(_KIND, self._directory)

    def recall(self, names: Sequence[str]) -> None:
        """Ask the cache, if this process knows few of these files; they are all that there are."""
        directory = self._directory
        paths = [directory + name for name in names]
        # What was read by a migration is what this program makes of it, and no other.
        if unknown_among(paths) < _MUCH or any_registered():
            return
        entries = self._pack.read()
        if entries is None:
            return
        self._since_ns = time.time_ns()
        for path, name in zip(paths, names, strict=True):
            entry = entries.get(name)
            if entry is not None:
                self._entries[path] = entry
        self._gone = len(entries) - len(self._entries)

    def meta(self, path: str, locks: LockTable) -> PersistedSessionMeta | None:
        """Return what was read of a file that has not changed since."""
        entry = self._entries.get(path)
        if entry is None:
            return None
        try:
            status = status_of(path)
            if stamp_bytes(status) != entry[0]:
                return None
            meta = _decode(entry[1])
        except (OSError, msgspec.DecodeError):
            return None
        if meta.file != path:
            return None
        keep_proven(meta, status)
        if meta.closed and not locks.holds(meta.file_id):
            return meta
        return with_state(meta, status, locks)

    def note(self, meta: PersistedSessionMeta) -> None:
        """Note what was read of a file just now."""
        if self._since_ns is not None:
            self._read.append(meta)

    def keep(self) -> None:
        """Write what was noted, if it is much, and can be proven later."""
        if self._since_ns is None or len(self._read) + self._gone < _MUCH:
            return
        same_clock = look_up(self._directory).same_clock
        read: dict[str, tuple[bytes, bytes]] = {}
        for meta in self._read:
            self._entries.pop(meta.file, None)
            try:
                status = status_of(meta.file)
                # By then it had not changed since before it was read.
                stamp = lasting_stamp(status, self._since_ns, same_clock=same_clock)
                if stamp is not None and status.st_size == meta.size_bytes and _in_utc(meta):
                    value = _encode(with_state(meta, status, _NOBODY))
                    read[meta.file] = stamp, value
            except (OSError, ValueError, OverflowError):
                continue  # it is gone; or has a text that is none, or a number of any size
        if len(read) + self._gone >= _MUCH:
            start = len(self._directory)
            entries = {**self._entries, **read}
            self._pack.write({path[start:]: entry for path, entry in entries.items()})


def _in_utc(meta: PersistedSessionMeta) -> bool:
    """Say whether its times are: MessagePack keeps no offset, and JSON shows it."""
    times = [meta.created_at, meta.closed_at or meta.created_at]
    return all(time.tzinfo is UTC for time in times)

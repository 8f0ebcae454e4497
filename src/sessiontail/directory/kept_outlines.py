"""a directory's sessions -> what an earlier process found that each adds, if that holds. Blocks.

What a session inherits depends on those that are earlier, and on no others. So what was found is
kept under a fingerprint of all files up to its own, in order: where that is the same, so is what
was found, and no session is compared. A running session, usually one of the last, spoils little.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from sessiontail.directory.ancestry import Ancestry
from sessiontail.directory.names import prefix_of, session_names
from sessiontail.directory.scan import by_age
from sessiontail.errors import PersistenceError
from sessiontail.format.migrations import any_registered
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.mounts import look_up
from sessiontail.system.packs import Pack
from sessiontail.system.paths import WAL_ENDING
from sessiontail.system.stamps import FileId, lasting_stamp, stamp_bytes
from sessiontail.system.statuses import status_of

__all__ = ["Added", "KeptOutlines"]

# 512: to compare so many takes 60 ms, to ask for what is known of them less than 8.
_MUCH = 512
# Of the values: another number for other fields, or another meaning of one.
_KIND = "outlines 2"


class Added(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one session adds to those before it."""

    #: How many of its first rows are copies; None: unknown.
    count: int | None
    #: The session that has them all; None: there are none.
    origin: str | None
    title: str | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Added).decode


class KeptOutlines:
    """What is known of the sessions of one directory, for one pass.

    Args:
        directory: where the files lie.
        metas: of all of its sessions.
    """

    def __init__(self, directory: Path, metas: Sequence[PersistedSessionMeta]) -> None:
        self._directory = directory
        self._prefix = prefix_of(directory)
        self._metas = metas
        self._pack = Pack(_KIND, self._prefix)
        # By path: the fingerprint up to this file, and whether that proves it later. In order.
        self._prints: dict[str, tuple[bytes, bool]] = {}
        self._is_witness = False
        # The stamp of the directory: changes where a name comes or goes.
        self._names_as = b""
        self._known: dict[str, Added] = {}
        self._found: dict[str, Added] = {}

    def recall(self, ancestry: Ancestry) -> bool:
        """Ask the cache, if this process has compared few of these; say whether some are unknown.

        Args:
            ancestry: of the directory.
        """
        metas = self._metas
        compared = ancestry.known_among(meta.file_id for meta in metas)
        if len(metas) - compared < _MUCH or any_registered():
            return True
        # Who has seen others come and go remembers them, and is no witness for who has not.
        self._is_witness = not ancestry.has_compared
        entries = self._pack.read()
        if entries is None:
            return True
        self._prints, self._names_as = self._look()
        start = len(self._prefix)
        for path, (fingerprint, _) in self._prints.items():
            kept, value = entries.get(path[start:], (b"", b""))
            if kept == fingerprint:
                try:
                    self._known[path] = _decode(value)
                except msgspec.DecodeError:
                    continue
        return len(self._known) < len(metas)

    def get(self, path: str) -> Added | None:
        """Return what a session adds; None where it is unknown."""
        return self._known.get(path)

    def note(self, path: str, added: Added) -> None:
        """Note what was found that a session adds."""
        if self._is_witness and added.count is not None:
            self._found[path] = added

    def keep(self) -> None:
        """Write what was found, if it is much, and can be proven later."""
        if len(self._found) < _MUCH:
            return
        now, names_as = self._look()
        if names_as != self._names_as:
            return  # one that came and went may have been compared
        start = len(self._prefix)
        entries: dict[str, tuple[bytes, bytes]] = {}
        for path, (fingerprint, lasts) in self._prints.items():
            added = self._known.get(path)
            if added is None and lasts and now.get(path, (b"",))[0] == fingerprint:
                added = self._found.get(path)
            if added is not None:
                try:
                    entries[path[start:]] = fingerprint, _encode(added)
                except UnicodeEncodeError:  # its title is no text
                    continue
        self._pack.write(entries)

    def _look(self) -> tuple[dict[str, tuple[bytes, bool]], bytes]:
        """Return the fingerprints up to where a file is not what was listed, and the directory's stamp."""
        looked_ns = time.time_ns()
        same_clock = look_up(self._prefix).same_clock
        # Nearly in order already: to sort 100,000 at once would hold the event loop.
        metas = sorted(by_age(self._metas), key=_order)
        found: dict[str, tuple[bytes, bool]] = {}
        try:
            directory = status_of(str(self._directory))  # a bucket has none: nothing is known of it
            others = {self._prefix + name for name in session_names(self._directory)}
            others -= {meta.file for meta in metas}
            # What is no session, or came since, might be one that is earlier than all.
            statuses = [(path, status_of(path)) for path in sorted(others)]
        except (OSError, PersistenceError):
            return found, b""
        # A name that came and went within one tick of the clock leaves no other trace.
        lasts = lasting_stamp(directory, looked_ns, same_clock=same_clock) is not None
        so_far = blake2b(digest_size=16)
        for path, status in statuses:
            so_far.update(os.fsencode(path) + b"\0" + stamp_bytes(status))
            lasts = lasts and lasting_stamp(status, looked_ns, same_clock=same_clock) is not None
        for meta in metas:
            try:
                status = status_of(meta.file)
            except OSError:
                break
            if (
                status.st_size != meta.size_bytes
                or status.st_mtime_ns != meta.mtime_ns
                or FileId.of(status) != meta.file_id
            ):
                break
            so_far.update(os.fsencode(meta.file) + b"\0" + stamp_bytes(status))
            lasts = lasts and lasting_stamp(status, looked_ns, same_clock=same_clock) is not None
            found[meta.file] = so_far.digest(), lasts
        return found, stamp_bytes(directory)


def _order(meta: PersistedSessionMeta) -> tuple[object, ...]:
    """Return what says which of two sessions is earlier, as ``FileRows.order`` does."""
    name = meta.file.removesuffix(WAL_ENDING)
    return meta.created_at, meta.mtime_ns, meta.size_bytes, name, meta.file

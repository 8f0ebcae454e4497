"""a file, by its name and status -> where an earlier audit left it, if it goes on there. Blocks.

An append-only file that has grown is gone on with; whether the bytes before that place are still there
shows when it is read (``session/auditing``). One that has changed and has not grown was rewritten: the
ends of what was folded may be as they were, and a line between them another.
"""

from __future__ import annotations

import os
from collections.abc import Set as AbstractSet

import msgspec

from sessiontail.format.audit_state import STATE_VERSION
from sessiontail.session.auditing import Folded
from sessiontail.system.cache import Cache

__all__ = ["KeptFolds", "numbers_of"]

_KIND = f"folds-{STATE_VERSION}"

# ``Folded.status``, and how many bytes were folded.
_encode_stamp = msgspec.msgpack.Encoder().encode
_decode_stamp = msgspec.msgpack.Decoder(tuple[tuple[int, int, int, int, int], int]).decode


def numbers_of(status: os.stat_result) -> tuple[int, int, int, int, int]:
    """Return what ``Folded.status`` has of a status."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


class KeptFolds:
    """What was folded of the files of one directory.

    Args:
        directory: where they lie.
        cache: has what was folded before; None: nothing is kept.
    """

    def __init__(self, directory: str, cache: Cache | None) -> None:
        self._directory = directory
        self._cache = cache
        # Of files that have changed; read when the first of them is met.
        self._before: dict[str, tuple[bytes, bytes]] | None = None
        self._new: dict[str, tuple[bytes, bytes]] = {}

    def state_of(self, name: str, status: os.stat_result) -> tuple[bytes, int] | None:
        """Return the state behind what was folded of a file, and how many bytes that was."""
        if self._before is None:
            self._before = self._cache.read(_KIND, self._directory) if self._cache else {}
        stamp, state = self._before.get(name, (b"", b""))
        try:
            then, folded = _decode_stamp(stamp)
        except msgspec.MsgspecError:
            return None
        now = numbers_of(status)
        has_grown = then[:2] == now[:2] and then[2] < now[2]
        return (state, folded) if has_grown or then == now else None

    def note(self, name: str, folded: Folded, until: int) -> None:
        """Note what was folded of a file, up to an offset."""
        self._new[name] = _encode_stamp((folded.status, until)), folded.state

    def keep(self, *, among: AbstractSet[str] | None = None) -> None:
        """Keep what was noted since this was last called.

        Args:
            among: the files that there are; what is known of others is forgotten.
        """
        new, self._new = self._new, {}
        gone = () if among is None or self._before is None else self._before.keys() - among
        if self._cache is not None:
            self._cache.write(_KIND, self._directory, new, gone)

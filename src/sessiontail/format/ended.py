"""Sessions that are done with: what is kept of each, so that none is told twice.

A cursor of 100,000 sessions is made on the event loop: what was encoded is not encoded again.
Nothing here opens or waits.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from typing import Annotated, TypeAlias

import msgspec

from sessiontail.format.marks import fingerprint

__all__ = ["EndedKey", "EndedSessions", "content_print", "ended_key", "split_ids"]


EndedKey: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=22, max_length=22)]


_ID_BYTES = 16


_KEY_BYTES = 22


_UNREAD = bytes(8)


# 5,000: 1 ms to encode.
_MANY_RECENT = 5000


_is_id = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


def ended_key(size: int, mtime_ns: int, content: bytes | None = None) -> bytes:
    """Return what stands for a finished file.

    8 bytes for its size and time: as long as they are the same, so is the file. 6 for its size and
    8 for its first and last bytes: a copy, or a file that was only touched, is known by these.

    Args:
        size: bytes.
        mtime_ns: when it last changed.
        content: ``content_print`` of it; None where it was not read.
    """
    stamp = fingerprint(b"%d %d" % (size, mtime_ns))
    return stamp + (size & 0xFFFFFFFFFFFF).to_bytes(6) + (content or _UNREAD)


def content_print(head: bytes, tail: bytes) -> bytes:
    """Return what stands for a file's first and last ``WINDOW_BYTES``."""
    return fingerprint(b"%d " % len(head) + head + tail)


def split_ids(data: bytes) -> dict[str, bytes]:
    """Return ids and keys as a cursor has them; ValueError where they are cut off."""
    size = _ID_BYTES + _KEY_BYTES
    if len(data) % size:
        raise ValueError("cut off")
    ids = {}
    for at in range(0, len(data), size):
        h = data[at : at + _ID_BYTES].hex()
        stem = f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
        ids[stem] = data[at : at + size]
    return ids


def _as_text(ids: dict[str, bytes]) -> bytes:
    return urlsafe_b64encode(b"".join(ids.values())).rstrip(b"=")


class EndedSessions:
    """Sessions that are done with: file stem to ``ended_key``.

    Stems that are ids apart from the others, with their id before the key: a cursor of 100,000
    sessions is made on the event loop.
    """

    __slots__ = ("_parts", "_recent", "ids", "names")

    def __init__(
        self, ids: dict[str, bytes] | None = None, names: dict[str, bytes] | None = None
    ) -> None:
        self.ids = {} if ids is None else ids
        self.names = {} if names is None else names
        # ``ids`` as a cursor has them, in parts, and what has come since these were made.
        self._parts: list[bytes] | None = None
        self._recent: dict[str, bytes] = {}

    def ids_as_text(self) -> bytes:
        """Return ``ids`` as a cursor has them; what was made before is not made again."""
        if self._parts is None:
            self._parts, self._recent = [_as_text(self.ids)], {}
        return b",".join([*self._parts, _as_text(self._recent)] if self._recent else self._parts)

    def get(self, stem: str) -> bytes | None:
        """Return a session's key; None where it is not done with."""
        entry = self.ids.get(stem)
        return self.names.get(stem) if entry is None else entry[_ID_BYTES:]

    def __contains__(self, stem: str) -> bool:
        return stem in self.ids or stem in self.names

    def __len__(self) -> int:
        return len(self.ids) + len(self.names)

    def add(self, stem: str, key: bytes) -> None:
        """Note that a session is done with."""
        if _is_id(stem):
            if stem in self.ids and stem not in self._recent:
                self._parts = None
            self.ids[stem] = self._recent[stem] = bytes.fromhex(stem.replace("-", "")) + key
            if len(self._recent) >= _MANY_RECENT and self._parts is not None:
                self._parts.append(_as_text(self._recent))
                self._recent = {}
        else:
            self.names[stem] = key

    def discard(self, stem: str) -> None:
        """Note that a session is not done with."""
        self.names.pop(stem, None)
        if self.ids.pop(stem, None) is not None and self._recent.pop(stem, None) is None:
            self._parts = None

    def update(self, other: EndedSessions) -> None:
        """Add all of another."""
        self.ids.update(other.ids)
        self.names.update(other.names)
        self._parts, self._recent = None, {}

    @staticmethod
    def same_stamp(key: bytes, size: int, mtime_ns: int) -> bool:
        """Say whether size and time are those of the file that is done with."""
        return key[:8] == fingerprint(b"%d %d" % (size, mtime_ns))

    @staticmethod
    def same_size(key: bytes, size: int) -> bool:
        """Say whether the size is, so that it is worth to compare the content."""
        return key[8:14] == (size & 0xFFFFFFFFFFFF).to_bytes(6)

    @staticmethod
    def content(key: bytes) -> bytes | None:
        """Return the file's ``content_print``; None where it was never read."""
        return None if key[14:] == _UNREAD else key[14:]

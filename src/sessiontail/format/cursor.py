"""Where a reader stands <-> a token that survives a restart and can be verified.

A position is always just after a newline. It carries fingerprints of the file's head and of the
bytes before it, so that a token is either exact for a file, wherever that lies, or refused.
Nothing here opens or waits.
"""

from __future__ import annotations

import re
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from sessiontail.errors import CursorInvalid
from sessiontail.format.marks import BEGIN, Mark

__all__ = [
    "START",
    "DirectoryPosition",
    "EndedSessions",
    "Position",
    "content_print",
    "ended_key",
    "fingerprint",
]

# 64 MiB: a million sessions.
_MAX_INFLATED_BYTES = 64 * 1024 * 1024

_PREFIX = "st1."
_DIRECTORY_PREFIX = "st3d."
#: The cursor of a directory before anything was looked at: who goes on from it begins.
NOT_BEGUN = _DIRECTORY_PREFIX + "new"

_T = TypeVar("_T")

# What the system takes as an offset; a token can be forged.
_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a reader of one session stands."""

    #: Just after a newline; 0 before the first line.
    offset: _Count
    #: Lines before the offset; None where a reader began so far from the start that it did not
    #: count them.
    lines: _Count | None
    #: The schema version of the header on disk; None where no header was read so far.
    header_version: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31)] | None
    #: Whether a trailer was read.
    trailer_seen: bool
    #: Fingerprint of the first bytes of the file, ``WINDOW_BYTES`` or up to the offset.
    head: bytes
    #: Fingerprint of the bytes before the offset, as many.
    tail: bytes
    #: The header's id; None where no header was read so far.
    session_id: UUID | None = None

    @classmethod
    def at(cls, mark: Mark, *, trailer_seen: bool, session_id: UUID | None) -> Position:
        """Return the position at a place in a file."""
        return cls(
            mark.offset,
            mark.lines,
            mark.header_version,
            trailer_seen,
            fingerprint(mark.head),
            fingerprint(mark.before),
            session_id,
        )

    def encode(self) -> str:
        """Return the position as opaque text: letters, digits, ``.``, ``-`` and ``_``."""
        return _encode(_PREFIX, self)

    @classmethod
    def decode(cls, token: str) -> Position:
        """Read a token.

        Raises:
            CursorInvalid: it is no token, is damaged, or is of another version.
        """
        return _decode(_PREFIX, token, cls)

    def verify(self, head: bytes, tail: bytes) -> None:
        """Check that the position fits a file.

        Args:
            head: the file's first ``min(WINDOW_BYTES, offset)`` bytes.
            tail: as many bytes before ``offset``; fewer where the file is shorter.

        Raises:
            CursorInvalid: the file is another one, was rewritten, or is too short.
        """
        if fingerprint(head) != self.head or fingerprint(tail) != self.tail:
            raise CursorInvalid(
                f"the cursor does not fit: it was taken at byte {self.offset} of another session, "
                "or the file was rewritten since; start without it"
            )
        if tail and not tail.endswith(b"\n"):
            raise CursorInvalid(f"the cursor stands in the middle of a line, at {self.offset}")


class DirectoryPosition(NamedTuple):
    """Where a reader of a whole directory stands."""

    #: File stem to position, for sessions that have not ended.
    open: dict[str, Position]
    #: What is done with.
    ended: EndedSessions
    #: Sessions that nothing was read of: to begin so many records before what was their size.
    before_end: dict[str, tuple[int, int]] = {}  # noqa: RUF012 - nobody changes it

    def encode(self) -> str:
        """Return the position as opaque text: some 160 bytes a running session, 52 an ended one."""
        shape = (self.open, self.ended.names, self.before_end)
        packed = zlib.compress(msgspec.msgpack.encode(shape), 1)
        text = b"%s.%s." % (urlsafe_b64encode(packed).rstrip(b"="), self.ended.ids_as_text())
        return f"{_DIRECTORY_PREFIX}{text.decode()}{zlib.crc32(text):08x}"

    @classmethod
    def decode(cls, token: str) -> DirectoryPosition:
        """Read a token: 100 ms for each 100,000 ended sessions, for a thread.

        Raises:
            CursorInvalid: it is no token, is damaged, or is of another version.
        """
        body = cls.check(token)
        try:
            packed, text = (part + "=" * (-len(part) % 4) for part in body.split("."))
            open_, names, before_end = msgspec.msgpack.decode(
                _inflate(urlsafe_b64decode(packed)),
                type=tuple[
                    dict[str, Position], dict[str, EndedKey], dict[str, tuple[Count, Count]]
                ],
            )
            parts = text.rstrip("=").split(",")
            ids = _split_ids(b"".join(urlsafe_b64decode(p + "=" * (-len(p) % 4)) for p in parts))
        except (ValueError, RecursionError, zlib.error, msgspec.MsgspecError) as error:
            raise _damaged() from error
        if any("/" in stem or "\0" in stem for stem in (*open_, *names, *before_end)):
            raise CursorInvalid("the cursor names what cannot be a session of this directory")
        return cls(open_, EndedSessions(ids, names), before_end)

    @staticmethod
    def check(token: str) -> str:
        """Return what is in a token, once its checksum fits: 5 ms for each 100,000 sessions.

        Raises:
            CursorInvalid: it is no token, is damaged, or is of another version.
        """
        text, _, check = _body(_DIRECTORY_PREFIX, token).rpartition(".")
        if check != f"{zlib.crc32(text.encode() + b'.'):08x}":
            raise _damaged()
        return text


Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
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


def _split_ids(data: bytes) -> dict[str, bytes]:
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


def fingerprint(data: bytes) -> bytes:
    """Return 8 bytes that stand for ``data``."""
    return blake2b(data, digest_size=8).digest()


#: The begin of every file.
START = Position.at(BEGIN, trailer_seen=False, session_id=None)


def _encode(prefix: str, value: Any) -> str:
    packed = zlib.compress(msgspec.msgpack.encode(value), 1)
    return prefix + urlsafe_b64encode(packed).decode().rstrip("=")


def _decode(prefix: str, token: str, shape: type[_T]) -> _T:
    body = _body(prefix, token)
    try:
        # zlib's own checksum (Adler-32) finds what a cut or a mistyped letter does.
        packed = _inflate(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return msgspec.msgpack.decode(packed, type=shape)
    except (ValueError, RecursionError, zlib.error, msgspec.MsgspecError) as error:
        raise _damaged() from error


def _body(prefix: str, token: str) -> str:
    if not isinstance(token, str):
        raise CursorInvalid(f"a cursor is text, not {type(token).__name__}")
    token = token.strip()
    if not token.startswith(prefix):
        raise CursorInvalid(
            f"no cursor of this kind and version: it must begin with {prefix!r}, not {token[:8]!r}"
        )
    return token.removeprefix(prefix)


def _damaged() -> CursorInvalid:
    return CursorInvalid("the cursor is damaged: perhaps cut off when it was copied")


def _inflate(data: bytes) -> bytes:
    """Decompress, but no more than a cursor can hold: a token can be forged."""
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(data, _MAX_INFLATED_BYTES)
    if not inflater.eof:
        raise ValueError("cut off, or too large")
    return inflated

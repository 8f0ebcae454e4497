"""Where a reader stands <-> a token that survives a restart and can be verified.

A position is always just after a newline. It carries fingerprints of the file's head and of the
bytes before it, so that a token is either exact for a file, wherever that lies, or refused.
Nothing here opens or waits.
"""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from sessiontail.errors import CursorInvalid
from sessiontail.format.marks import BEGIN, Mark, fingerprint

__all__ = [
    "START",
    "Position",
    "as_token",
    "body_of",
    "damaged_cursor",
    "from_token",
    "inflate",
]

# 64 MiB: a million sessions.
_MAX_INFLATED_BYTES = 64 * 1024 * 1024

_PREFIX = "st1."


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
        return as_token(_PREFIX, self)

    @classmethod
    def decode(cls, token: str) -> Position:
        """Read a token.

        Raises:
            CursorInvalid: it is no token, is damaged, or is of another version.
        """
        return from_token(_PREFIX, token, cls)

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


#: The begin of every file.
START = Position.at(BEGIN, trailer_seen=False, session_id=None)


def as_token(prefix: str, value: Any) -> str:
    """Return a value as opaque text: letters, digits, ``.``, ``-`` and ``_``."""
    packed = zlib.compress(msgspec.msgpack.encode(value), 1)
    return prefix + urlsafe_b64encode(packed).decode().rstrip("=")


def from_token(prefix: str, token: str, shape: type[_T]) -> _T:
    """Read a value of a shape from its text.

    Raises:
        CursorInvalid: it is no token, is damaged, or is of another kind or version.
    """
    body = body_of(prefix, token)
    try:
        # zlib's own checksum (Adler-32) finds what a cut or a mistyped letter does.
        packed = inflate(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return msgspec.msgpack.decode(packed, type=shape)
    except (ValueError, RecursionError, zlib.error, msgspec.MsgspecError) as error:
        raise damaged_cursor() from error


def body_of(prefix: str, token: str) -> str:
    """Return a token without its prefix.

    Raises:
        CursorInvalid: it is of another kind or version, or no text.
    """
    if not isinstance(token, str):
        raise CursorInvalid(f"a cursor is text, not {type(token).__name__}")
    token = token.strip()
    if not token.startswith(prefix):
        raise CursorInvalid(
            f"no cursor of this kind and version: it must begin with {prefix!r}, not {token[:8]!r}"
        )
    return token.removeprefix(prefix)


def damaged_cursor() -> CursorInvalid:
    """Return the error for a token that is none."""
    return CursorInvalid("the cursor is damaged: perhaps cut off when it was copied")


def inflate(data: bytes) -> bytes:
    """Decompress, but no more than a cursor can hold: a token can be forged."""
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(data, _MAX_INFLATED_BYTES)
    if not inflater.eof:
        raise ValueError("cut off, or too large")
    return inflated

"""Where a reader of a whole directory stands <-> a token that survives a restart.

Nothing here opens or waits.
"""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, NamedTuple, TypeAlias

import msgspec

from sessiontail.errors import CursorInvalid
from sessiontail.format.cursor import Position, body_of, damaged_cursor, inflate
from sessiontail.format.ended import EndedKey, EndedSessions, split_ids

__all__ = ["NOT_BEGUN", "DirectoryPosition"]


_DIRECTORY_PREFIX = "st3d."


#: The cursor of a directory before anything was looked at: who goes on from it begins.
NOT_BEGUN = _DIRECTORY_PREFIX + "new"


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
                inflate(urlsafe_b64decode(packed)),
                type=tuple[
                    dict[str, Position], dict[str, EndedKey], dict[str, tuple[Count, Count]]
                ],
            )
            parts = text.rstrip("=").split(",")
            ids = split_ids(b"".join(urlsafe_b64decode(p + "=" * (-len(p) % 4)) for p in parts))
        except (ValueError, RecursionError, zlib.error, msgspec.MsgspecError) as error:
            raise damaged_cursor() from error
        if any("/" in stem or "\0" in stem for stem in (*open_, *names, *before_end)):
            raise CursorInvalid("the cursor names what cannot be a session of this directory")
        return cls(open_, EndedSessions(ids, names), before_end)

    @staticmethod
    def check(token: str) -> str:
        """Return what is in a token, once its checksum fits: 5 ms for each 100,000 sessions.

        Raises:
            CursorInvalid: it is no token, is damaged, or is of another version.
        """
        text, _, check = body_of(_DIRECTORY_PREFIX, token).rpartition(".")
        if check != f"{zlib.crc32(text.encode(errors='replace') + b'.'):08x}":
            raise damaged_cursor()
        return text


Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]

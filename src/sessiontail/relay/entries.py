r"""lines of a session <-> entries of a Redis stream, and the names of all keys.

    PREFIX:hosts                    set: the names of all relays there ever were
    PREFIX:events                   stream: what happened to sessions, for whoever wants to know
    PREFIX:marks, PREFIX:count      stream: which session has changed; each mark has the next number
    PREFIX:HOST:lock                who publishes under this name; it expires when he is gone
    PREFIX:HOST:info                hash: the directory; whether the first look is stored
    PREFIX:HOST:sessions            sorted set: names of session files, by when they were created
    PREFIX:HOST:ended               hash: what stands for each file that is done with
    PREFIX:HOST:session:NAME        hash: generation, why, lines, bytes, state, position, ...
    PREFIX:HOST:lines:NAME          stream: the lines
    PREFIX:HOST:closed:NAME         stream: those of the closed file beside it, of a session that was
                                    opened again, until that is closed

The id of a line is ``<generation>-<line>``. A generation is when a file was met for the first time,
in milliseconds since 1970, and at least one more than the one before: a Redis that lost its data
gives no number again. Nothing here opens or waits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from sessiontail.errors import PersistenceError
from sessiontail.format.framing import Block, LongLine

__all__ = ["Hole", "Keys", "fields_of", "is_name", "lines_in", "named", "safe_stem"]

#: The field of an entry that has a line, without its newline; and of one that has only its ends.
LINE, HOLE = b"d", b"x"

# What the longer ending leaves of a file's name.
_MOST_STEM_BYTES = 255 - len(".jsonl.__partial__")

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Hole(msgspec.Struct, frozen=True, array_like=True):
    """A line above ``max_line_bytes``: its ends, and how long it is.

    A file that has these with nothing in between gives every reader the same damage, at the same
    places.
    """

    #: Bytes of the line, its newline included.
    length: int
    head: bytes
    #: The newline included.
    tail: bytes


def is_name(text: str) -> bool:
    """Say whether that may be a name in a key."""
    return _NAME.fullmatch(text) is not None


def named(what: str, name: str) -> str:
    """Return a name that may stand in a key.

    Raises:
        PersistenceError: it is empty, too long, or has other letters.
    """
    if not is_name(name):
        raise PersistenceError(
            f"{what} is 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', not {name[:80]!r}"
        )
    return name


def safe_stem(name: bytes) -> str | None:
    """Return the stem of a file's name as Redis has it; None where it leads out of a directory."""
    if not 0 < len(name) <= _MOST_STEM_BYTES or b"/" in name or b"\0" in name:
        return None
    return os.fsdecode(name)


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of the keys of one prefix."""

    prefix: str = "sessiontail"

    @property
    def hosts(self) -> str:
        """All hosts."""
        return f"{self.prefix}:hosts"

    @property
    def events(self) -> str:
        """What happened."""
        return f"{self.prefix}:events"

    @property
    def marks(self) -> str:
        """Which sessions have changed."""
        return f"{self.prefix}:marks"

    @property
    def count(self) -> str:
        """The number of the last mark."""
        return f"{self.prefix}:count"

    def of(self, host: str, what: str) -> str:
        """Of a host: ``lock``, ``info``, ``sessions`` or ``ended``."""
        return f"{self.prefix}:{host}:{what}"

    def session(self, host: str, stem: str) -> bytes:
        """The hash of a session."""
        return f"{self.prefix}:{host}:session:".encode() + os.fsencode(stem)

    def lines(self, host: str, stem: str) -> bytes:
        """The stream of a session."""
        return f"{self.prefix}:{host}:lines:".encode() + os.fsencode(stem)

    def closed(self, host: str, stem: str) -> bytes:
        """The stream of the closed file that lies beside a session which was opened again."""
        return f"{self.prefix}:{host}:closed:".encode() + os.fsencode(stem)


def fields_of(block: Block | LongLine) -> Iterator[tuple[bytes, bytes]]:
    """Yield field and value of the entry of each line."""
    if isinstance(block, LongLine):
        hole = Hole(block.length, block.head, block.last)
        yield HOLE, msgspec.msgpack.encode(hole)
        return
    start, data = 0, block.data
    for end in block.ends:
        yield LINE, data[start : end - 1]
        start = end


def lines_in(
    entries: Sequence[tuple[bytes, Mapping[bytes, bytes]]], generation: int, line: int
) -> list[bytes | Hole]:
    """Return the lines of entries, with their newlines, up to the first that is not the next.

    Args:
        entries: as Redis gives them.
        generation: whose they are to be.
        line: the number of the first.
    """
    found: list[bytes | Hole] = []
    for entry_id, fields in entries:
        if entry_id != b"%d-%d" % (generation, line + len(found)):
            break
        if LINE in fields and b"\n" not in fields[LINE]:
            found.append(fields[LINE] + b"\n")
        elif (hole := _hole_in(fields)) is not None:
            found.append(hole)
        else:
            break
    return found


def _hole_in(fields: Mapping[bytes, bytes]) -> Hole | None:
    """Return the hole that an entry has; None: it has none that a relay could have written."""
    try:
        hole = msgspec.msgpack.decode(fields[HOLE], type=Hole)
    except (KeyError, msgspec.MsgspecError):
        return None
    ends = hole.head + hole.tail
    fits = len(ends) <= hole.length and ends.count(b"\n") == 1 and hole.tail.endswith(b"\n")
    return hole if fits else None

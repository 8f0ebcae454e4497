"""A place in a session file, just behind a line: what a reader knows there.

Whoever reads on from a place compares the bytes before it first. Nothing here opens or waits.
"""

from __future__ import annotations

from hashlib import blake2b

from msgspec import Struct

__all__ = ["BEGIN", "WINDOW_BYTES", "Mark", "fingerprint"]

# Bytes at the file's head and before a place that tell whether a file is the one that was read:
# the header's id and creation time lie within the first 256, and so does the last line's
# individual part.
WINDOW_BYTES = 256


class Mark(Struct, frozen=True, gc=False):
    """A place in a file, just behind a line, and what is known there."""

    #: Bytes before it.
    offset: int
    #: Lines before it; None where reading began so far from the start that they were not counted.
    lines: int | None
    #: The schema version of the header on disk; None where no header was read so far.
    header_version: int | None
    #: The file's first bytes, ``WINDOW_BYTES`` or up to the offset.
    head: bytes
    #: The bytes before the offset, as many.
    before: bytes

    def behind(
        self, first: bytes, last: bytes, *, length: int, lines: int, header_version: int | None
    ) -> Mark:
        """Return the mark behind whole lines that follow this one.

        Args:
            first: the first of their bytes, ``WINDOW_BYTES`` or all.
            last: the last of them, as many.
            length: how many bytes they are.
            lines: how many lines.
            header_version: of the header, if there is one before the new mark.
        """
        head = self.head
        if len(head) < WINDOW_BYTES:
            head = (head + first)[:WINDOW_BYTES]
        return Mark(
            self.offset + length,
            None if self.lines is None else self.lines + lines,
            header_version,
            head,
            last[-WINDOW_BYTES:]
            if length >= WINDOW_BYTES
            else (self.before + last)[-WINDOW_BYTES:],
        )


#: The begin of every file.
BEGIN = Mark(0, 0, None, b"", b"")


def fingerprint(data: bytes) -> bytes:
    """Return 8 bytes that stand for ``data``."""
    return blake2b(data, digest_size=8).digest()

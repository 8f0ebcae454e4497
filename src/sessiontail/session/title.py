"""open file, and where a session's own rows begin -> what it is about, in its own words. Blocks."""

from __future__ import annotations

from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.framing import LineFramer
from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.records import Chunk, ChunkKind, Record
from sessiontail.session.lines import items_of
from sessiontail.system.files import SessionFile

__all__ = ["title_of"]

# 1 MiB: the first own message is the first own row, or stands a few behind it.
_WITHIN_BYTES = 1024 * 1024
# So many letters of it: as many as a wide terminal shows, and more.
_LETTERS = 400


def title_of(file: SessionFile, start: int) -> str | None:
    """Return the first user message from a place on, one line of it; None where there is none.

    Where no user speaks, what is said first stands for it.

    Args:
        file: the session's.
        start: where its own rows begin, behind the header; 0: they all are.
    """
    decoder = RecordDecoder(header_version=CURRENT_SCHEMA_VERSION if start else None)
    framer = LineFramer(offset=start)
    said: str | None = None
    for item in items_of(file, framer, start + _WITHIN_BYTES):
        for record in decoder.decode(item).records:
            text = _text_of(record)
            if text and isinstance(record, Chunk) and record.kind is ChunkKind.USER:
                return text
            said = said or text
    return said


def _text_of(record: Record) -> str | None:
    """Return what a user or an assistant says, as one line."""
    if not isinstance(record, Chunk) or record.kind not in {ChunkKind.USER, ChunkKind.ASSISTANT}:
        return None
    return " ".join((record.text or "")[: 4 * _LETTERS].split())[:_LETTERS] or None

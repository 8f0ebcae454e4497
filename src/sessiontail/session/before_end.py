"""open file -> the position so many lines before its end, or behind a newline. Blocks: for threads."""

from __future__ import annotations

import os

from sessiontail.errors import DamagedSession
from sessiontail.format.cursor import START, Position
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.marks import WINDOW_BYTES, fingerprint
from sessiontail.format.records import Header
from sessiontail.session.counting import COUNTED_BYTES, Brief, lines_so_far
from sessiontail.session.ends import END_BYTES, header_of, trailer_of
from sessiontail.session.lines import lines_back, newlines
from sessiontail.system.files import SessionFile

__all__ = ["position_at", "position_before_end"]


def position_before_end(file: SessionFile, last: int, end: int | None = None) -> Position:
    """Return the position ``last`` lines before the end, blocking; the start if there are fewer.

    ``end`` is taken for the file's, where it has grown since.

    A file that does not start with a header has no other position than its start. Lines before
    the position are counted from the file's begin, or from where a listing has counted them, if
    that is not far; else they are unknown, so that of a large file just the ends are read.
    """
    status = file.stat()
    size = status.st_size if end is None else min(status.st_size, end)
    decoder = RecordDecoder()
    try:
        header, first = header_of(file, decoder, file.read_now(0, END_BYTES))
    except DamagedSession:
        return START
    offset = lines_back(file, size, last)
    if offset < first:  # in the blank lines before the header
        return START
    return _position(file, offset, _lines_before(file, status, offset), decoder, header)


def position_at(file: SessionFile, offset: int, lines: int) -> Position:
    """Return the position at a place just behind a newline, blocking.

    Args:
        file: the session's.
        offset: the place.
        lines: so many lines are before it.

    Raises:
        DamagedSession: the file does not start with a header.
    """
    decoder = RecordDecoder()
    header, first = header_of(file, decoder, file.read_now(0, END_BYTES))
    return START if offset < first else _position(file, offset, lines, decoder, header)


def _position(
    file: SessionFile, offset: int, lines: int | None, decoder: RecordDecoder, header: Header
) -> Position:
    brief = Brief()
    trailer_of(file.read_now(max(0, offset - END_BYTES), min(offset, END_BYTES)), brief)
    window = min(offset, WINDOW_BYTES)
    return Position(
        offset,
        lines,
        decoder.header_version,
        brief.trailer is not None,
        fingerprint(file.read_now(0, window)),
        fingerprint(file.read_now(offset - window, window)),
        header.id,
    )


def _lines_before(file: SessionFile, status: os.stat_result, offset: int) -> int | None:
    if offset <= COUNTED_BYTES:
        return newlines(file, 0, offset)
    known = lines_so_far(file, status, status.st_size)
    if known is None or abs(known.offset - offset) > COUNTED_BYTES:
        return None
    if known.offset > offset:
        return known.lines - newlines(file, offset, known.offset)
    return known.lines + newlines(file, known.offset, offset)

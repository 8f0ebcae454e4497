"""bytes in a buffer -> the records of the whole lines in it, decoded where they lie.

For who loads a session whole: no line is cut out. Nothing here opens, waits or logs.
"""

from __future__ import annotations

from typing import NamedTuple

from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.marks import WINDOW_BYTES
from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.parsing import as_trailer
from sessiontail.format.records import Chunk, Header, Trailer
from sessiontail.format.usual import TRAILER_START, usual_chunks, usual_header

__all__ = ["MAX_RUN_LINES", "Run", "decode_run"]

# The most lines of a run: short ones take 1 us each to decode, and the event loop waits.
MAX_RUN_LINES = 2048

_OPEN, _CLOSE = b"{}"
_NEWLINE = 0x0A


class Run(NamedTuple):
    """Whole lines that are one record each: chunks between perhaps a header and a trailer."""

    header: Header | None
    chunks: list[Chunk]
    trailer: Trailer | None
    lines: int
    #: Where in the bytes they end, just behind a newline.
    stop: int


def decode_run(decoder: RecordDecoder, data: bytes | bytearray, start: int, end: int) -> Run | None:
    r"""Decode whole lines that all are records, where they lie; None where that is not proven.

    For who wants records and not where each of them lies: no line is cut out, and no list of
    their ends is made. It says the same as ``RecordDecoder.decode``,
    or nothing.

    Args:
        decoder: the file's; it goes on behind these lines.
        data: holds bytes of the file; not kept.
        start: where in them a line begins.
        end: how far they are the file's; cut off anywhere.

    Returns:
        The first lines, ``MAX_RUN_LINES`` at most; what follows the last newline is left.
    """
    stop = data.rfind(_NEWLINE, start, end) + 1
    if not stop:
        return None
    header = trailer = None
    begin, lines = start, 0
    if decoder.header_version is None:
        first = data.find(_NEWLINE, start) + 1
        header = usual_header(data[start:first])
        if header is None:
            return None
        start, lines = first, 1
    elif decoder.header_version != CURRENT_SCHEMA_VERSION:
        return None
    end = stop
    last = data.rfind(_NEWLINE, start, stop - 1) + 1 or start
    if data.startswith(TRAILER_START, last, stop):
        trailer = as_trailer(bytes(data[last:stop]))
        if trailer is None:
            return None
        end = last
    chunks: list[Chunk] = []
    if start < end:
        find, at, count, final = data.find, start, 1, end - 1
        for count in range(1, MAX_RUN_LINES + 1):  # noqa: B007 - counts the lines
            at = find(_NEWLINE, at, final) + 1
            if not at:
                break
            if data[at] != _OPEN or data[at - 2] != _CLOSE:
                return None
        else:
            stop, end, trailer = at, at, None
        found = usual_chunks(data, start, end, count)
        if found is None:
            return None
        chunks = found
        lines += count
    decoder.header_version = CURRENT_SCHEMA_VERSION
    lines += trailer is not None
    whole = stop - begin
    decoder.mark = decoder.mark.behind(
        bytes(data[begin : min(stop, begin + WINDOW_BYTES)]),
        bytes(data[max(begin, stop - WINDOW_BYTES) : stop]),
        length=whole,
        lines=lines,
        header_version=CURRENT_SCHEMA_VERSION,
    )
    return Run(header, chunks, trailer, lines, stop)

r"""one very large line -> the same record, in steps that leave the interpreter to other threads.

To decode a line of 60 MB is one call of 50 ms into C, in which no other thread runs, the event
loop's neither. Such a line is nearly always one huge string. It is found by bounded steps, decoded
in segments and put together in place; what is left of the line, a placeholder in the string's
place, is decoded as any other, and the string put back. Where that does not go (huge keys, huge arrays of small things,
damage) the answer is None, and the line is decoded as usual.
Nothing here opens, waits or logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import msgspec

__all__ = ["BIG_LINE_BYTES", "put_back", "shorten"]

# 1 MiB: 1 ms of decoding; below that nobody waits.
BIG_LINE_BYTES = 1024 * 1024

# Strings above this are taken out of a line, and decoded in segments of this size: 0.2 ms each.
SEGMENT_BYTES = 256 * 1024

# More strings than this are not looked through: 1 us each.
_MAX_STRINGS = 20_000

# The longest escape.
_ESCAPE_BYTES = 6

# The rest of a string, up to its closing quote or the end of what is looked at.
_BODY = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_HIGH_HALF = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")

_QUOTE, _U = 0x22, 0x75

_string_decoder = msgspec.json.Decoder(str)


def shorten(line: bytes) -> tuple[bytes, dict[str, str]] | None:
    """Take the huge strings out of a line.

    What ``put_back`` makes of the rest, once decoded, is what the line is: a string is decoded in
    segments only where each of them is valid, and then all together are.

    Returns:
        The line with a placeholder for each of them, and placeholder -> string; None where there
        are none, too many small ones, or one that is damaged.
    """
    spans = _huge_strings(line)
    if not spans:
        return None
    mark = uuid4().hex  # nobody can have written it
    parts: list[bytes] = []
    texts: dict[str, str] = {}
    at = 0
    for start, end in spans:
        text = _decode_string(line, start, end)
        if text is None:
            return None
        name = f"{mark}{len(texts)}"
        texts[name] = text
        parts += (line[at:start], name.encode())
        at = end
    parts.append(line[at:])
    return b"".join(parts), texts


def put_back(values: dict[str, Any], texts: dict[str, str]) -> bool:
    """Replace placeholders among values by their strings, in place; say whether that was all.

    Not all are found where one was a key, or a value that a later one of the same key replaced.
    """
    found = 0
    waiting: list[Any] = [values]
    while waiting:
        holder = waiting.pop()
        for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
            if isinstance(value, str):
                text = texts.get(value)
                if text is not None:
                    holder[key] = text
                    found += 1
            elif isinstance(value, (dict, list)):
                waiting.append(value)
    return found == len(texts)


def _huge_strings(line: bytes) -> list[tuple[int, int]] | None:
    """Return where the bodies of huge strings begin and end; None where that is not known."""
    spans: list[tuple[int, int]] = []
    find = line.find
    end = -1
    for _ in range(_MAX_STRINGS):
        start = find(b'"', end + 1, end + 1 + SEGMENT_BYTES) + 1
        if not start:
            # Numbers, or white space, without end: no string is huge; or the line's own.
            return spans if len(line) - end <= SEGMENT_BYTES else None
        end = _end_of_string(line, start)
        if end < 0:
            return None
        if end - start > SEGMENT_BYTES:
            spans.append((start, end))
    return None


def _end_of_string(line: bytes, start: int) -> int:
    """Return where the closing quote stands of a string that begins here; -1 if nowhere."""
    at = start
    while at < len(line):
        stop = min(at + SEGMENT_BYTES, len(line))
        quote = line.find(b'"', at, stop)
        # By memchr where that does: ten times as fast as by the pattern.
        if quote < 0 and line.find(b"\\", at, stop) < 0:
            at = stop
            continue
        if quote >= 0 and line.find(b"\\", at, quote) < 0:
            return quote
        match = _BODY.match(line, at, stop)
        assert match is not None
        if match.end() < stop and line[match.end()] == _QUOTE:
            return match.end()
        if match.end() == at:
            return -1  # a backslash ends the line
        at = match.end()
    return -1


def _decode_string(line: bytes, start: int, end: int) -> str | None:
    """Decode the body of a string, segment by segment; None where msgspec refuses one."""
    text = ""
    # A for loop: a while loop the interpreter does not come to know in one call (3.11), and only
    # to what it knows it adds in place. Joining at the end is one call of 20 ms.
    for cut in _cuts(line, start, end):
        try:
            text += _string_decoder.decode(b'"%b"' % line[start:cut])
        except (msgspec.MsgspecError, ValueError):
            return None
        start = cut
    return text if start == end else None


def _cuts(line: bytes, start: int, end: int) -> Iterator[int]:
    """Yield where each segment of a string ends, as far as there is a place to cut."""
    while start < end:
        cut = _cut(line, start, end)
        if cut <= start:
            return
        yield cut
        start = cut


def _cut(line: bytes, start: int, end: int) -> int:
    """Return where a segment that begins here ends: between two characters as they are decoded."""
    cut = start + SEGMENT_BYTES
    if cut >= end:
        return end
    last = line.rfind(b"\\", max(start, cut - _ESCAPE_BYTES), cut)
    if last >= 0 and _begins_escape(line[start:last]):
        length = _ESCAPE_BYTES if line[last + 1] == _U else 2
        if last + length > cut:
            cut = last
        # One half of a character, as JSON escapes those beyond U+FFFF, is none.
        half = cut - _ESCAPE_BYTES
        if half >= start and _HIGH_HALF.match(line, half) and _begins_escape(line[start:half]):
            cut = half
    while cut > start and line[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut


def _begins_escape(before: bytes) -> bool:
    """Say whether a backslash behind these bytes of a string begins an escape."""
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 0

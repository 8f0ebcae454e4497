"""a damaged line -> the whole records that lie on it.

A writer that comes back after a crash writes its header right behind the torn line; a bit that
flipped can take the newline between two records. A record is found where one can begin, and taken
where it cannot be a part of another: it begins the line, or ends it, or stands right beside one that
does. What only looks like a record, inside the arguments of a torn call, is left.
Nothing here opens, waits or logs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

__all__ = ["Span", "spans"]

# As every writer begins a record. Within a text the quotes would be escaped.
_BEGIN = re.compile(r'\{[ \t]*"record_type"')
_BLANK = re.compile(r"\s*")
_TYPES = ("header", "chunk", "trailer")

# So many times the line's own length is decoded at most, where many places on it look like the
# begin of a record: a line that is made for it takes seconds a megabyte otherwise.
_MOST_PASSES = 4
# What an attempt costs beside what it reads; one that is nested too deeply reads a few thousand.
_ATTEMPT, _DEEP_ATTEMPT = 32, 10_000
# An error of ``json`` counts the lines before its place, so many letters in the time of decoding one.
_COUNTED = 32


class Span(NamedTuple):
    """Where on the line a record lies, bytes from 0."""

    start: int
    end: int


class _Found(NamedTuple):
    """A record in the line's text."""

    start: int
    end: int
    #: Behind the blanks that follow it.
    next: int


def spans(raw: bytes) -> list[Span]:
    """Return the whole records on a line, in order; often none.

    Args:
        raw: the line, with or without its newline. No record alone.
    """
    # What is no UTF-8 keeps its place, and is refused inside a record.
    text = raw.decode("utf-8", "surrogateescape")
    taken: list[_Found] = []
    # Records side by side, none of which begins or ends the line so far.
    beside: list[_Found] = []
    begin = _blank(text, 0)
    for found in _records(text, begin):
        if beside and beside[-1].next != found.start:
            beside.clear()
        beside.append(found)
        behind = taken[-1].next if taken else begin
        if beside[0].start == behind or found.next == len(text):
            taken += beside
            beside.clear()
    return [*_in_bytes(text, taken)]


def _records(text: str, begin: int) -> Iterator[_Found]:
    """Yield what decodes as a record, from left to right, none inside another."""
    marked = (match.start() for match in _BEGIN.finditer(text, begin))
    # Keys have no promised order: what begins the line may begin with another.
    starts = chain([begin] if text.startswith("{", begin) else [], marked)
    decoder = json.JSONDecoder()
    left = _MOST_PASSES * (len(text) + _DEEP_ATTEMPT)
    behind = begin - 1
    for start in starts:
        if start <= behind:
            continue
        behind = start
        if left <= 0:
            return
        left -= _ATTEMPT
        try:
            value, stop = decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            left -= max(0, error.pos - start) + error.pos // _COUNTED
            continue
        except (RecursionError, ValueError):  # ValueError: an integer of more digits than are taken
            left -= _DEEP_ATTEMPT
            continue
        left -= stop - start
        if value.get("record_type") in _TYPES and _is_utf8(text, start, stop):
            behind = stop - 1
            yield _Found(start, stop, _blank(text, stop))


def _blank(text: str, at: int) -> int:
    """Return where the blanks end that begin here."""
    match = _BLANK.match(text, at)
    assert match is not None
    return match.end()


def _is_utf8(text: str, start: int, end: int) -> bool:
    try:
        text[start:end].encode()
    except UnicodeEncodeError:
        return False
    return True


def _in_bytes(text: str, found: list[_Found]) -> Iterator[Span]:
    at = offset = 0
    for one in found:
        start = offset + len(text[at : one.start].encode("utf-8", "surrogateescape"))
        at, offset = one.end, start + len(text[one.start : one.end].encode())
        yield Span(start, offset)

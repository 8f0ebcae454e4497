r"""lines of chunks -> who speaks, which tools: what an audit counts, without the texts.

Contents are passed over in C, which is most of the bytes. What is passed over is still proven to be
what the exact path takes: msgspec checks that it is JSON; that it is UTF-8, that no number has more
digits than Python takes and that nothing is nested too deeply is checked here. Where one of these is
not proven, or a line is of another form, the answer is None, and the exact path decides.
Nothing here opens, waits or logs.
"""

from __future__ import annotations

import sys
from codecs import getincrementaldecoder
from typing import Annotated, Any, Literal

import msgspec

from sessiontail.format.depth import DEEP_LINE_BYTES, MAX_DEPTH, TAKES_DEEPER

__all__ = ["SkimmedRow", "skim_lines"]


class SkimmedFunction(msgspec.Struct, gc=False):
    """Which tool a call is of."""

    name: str = ""


class SkimmedCall(msgspec.Struct, gc=False):
    """One call that the assistant asks for."""

    function: SkimmedFunction
    id: str = ""


class SkimmedPayload(msgspec.Struct, gc=False):
    """What of a payload is counted."""

    #: As it stands in the file; empty where there is none.
    content: msgspec.Raw = msgspec.Raw()
    tool_calls: list[SkimmedCall] | None = None
    tool_call_id: str = ""
    name: str = ""
    is_error: bool = False
    isError: bool = False  # noqa: N815 - MCP's word


class SkimmedRow(
    msgspec.Struct, gc=False, tag="chunk", tag_field="record_type", forbid_unknown_fields=True
):
    """One chunk, its texts passed over."""

    kind: Literal["system", "user", "assistant", "tool_result"]
    payload: SkimmedPayload
    index: int | None = None


class _Never(msgspec.Struct, tag="", tag_field="record_type"):
    """Fits nothing: of several structs msgspec wants the tag, of a single one it does without."""

    never: Annotated[int, msgspec.Meta(gt=0, lt=0)]


_rows: msgspec.json.Decoder[Any] = msgspec.json.Decoder(SkimmedRow | _Never)


def skim_lines(data: bytes, start: int, ends: list[int]) -> list[SkimmedRow] | None:
    """Return the chunks on whole lines; None where it is not proven that one a line is there.

    Args:
        data: holds the lines.
        start: where in it the first of them begins.
        ends: where each of them ends, just behind its newline; one at least.
    """
    end = ends[-1]
    if not _one_a_line(data, ends):
        return None
    try:
        rows: list[SkimmedRow] = _rows.decode_lines(
            data if start == 0 and end == len(data) else memoryview(data)[start:end]
        )
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    proven = len(rows) == len(ends) and _is_text(data) and not _has_long_number(data)
    if not proven or (TAKES_DEEPER and _may_be_deep(data, start, ends)):
        return None
    return rows


def _one_a_line(data: bytes, ends: list[int]) -> bool:
    r"""Say whether there is ``}\n{`` between all these lines: as ``usual_chunks`` wants it."""
    for end in ends[:-1]:  # noqa: SIM110 - all() of a generator takes twice as long
        if data[end] != _OPEN or data[end - 2] != _CLOSE:
            return False
    return True


_OPEN, _CLOSE = b"{}"


# 1 MiB at once: a line of 64 MiB is not held as text too.
_AT_ONCE = 1024 * 1024


def _is_text(data: bytes) -> bool:
    if data.isascii():  # nearly free
        return True
    try:
        if len(data) <= _AT_ONCE:
            data.decode()
            return True
        decoder = getincrementaldecoder("utf-8")()
        for at in range(0, len(data), _AT_ONCE):
            decoder.decode(data[at : at + _AT_ONCE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


# Python refuses an integer of more digits, in decimal; 0: it takes any.
_MOST_DIGITS = sys.get_int_max_str_digits()
_DIGITS = frozenset(b"0123456789")


def _has_long_number(data: bytes) -> bool:
    """Say whether more digits than are taken may follow each other anywhere.

    A run of so many is met at every so many bytes, and goes on for half as many before or behind.
    """
    if not _MOST_DIGITS:
        return False
    step = _MOST_DIGITS - 1
    half = step // 2 - 1
    for at in range(0, len(data), step):
        if data[at] in _DIGITS and (
            data[at : at + half].isdigit() or data[max(0, at - half) : at].isdigit()
        ):
            return True
    return False


def _may_be_deep(data: bytes, start: int, ends: list[int]) -> bool:
    """Say whether a line has as many opening brackets as it takes to be nested too deeply."""
    for end in ends:
        if end - start > DEEP_LINE_BYTES:
            brackets = data.count(b"[", start, end) + data.count(b"{", start, end)
            if brackets >= MAX_DEPTH:
                return True
        start = end
    return False

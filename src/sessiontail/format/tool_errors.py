r"""a tool's result -> whether it says that the tool failed.

It does where its payload has ``is_error`` or ``isError`` true (Anthropic, MCP), or where its content is
text that is a JSON object, and that has one of these:

- ``"ok": false``: what openrath's loop writes for a tool that raised, timed out or is not there;
- ``"exit_code"`` a number that is not 0: a command in its sandbox;
- ``"error"`` that is neither null, false nor empty: code in its sandbox.

What is cut off, and so is no JSON any more, says nothing. Nothing here opens, waits or logs.
Source: openrath 2.0.0, ``rath.session.loop`` (``_loop_tool_error_payload``, ``_summarize_tool_result``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["raw_says_failed", "says_failed"]

# A text that is an object begins with one of these, as it stands in the file: a brace, white space,
# or an escape of either.
_BEGINS = frozenset(b"{ \\")


def _has_key(raw: bytes) -> bool:
    """Say whether one of the keys may be in it, as it stands in the file.

    A quote inside a text has a backslash before it. A letter may be written as an escape of its
    number, which nobody does.
    """
    return b'ok\\"' in raw or b'exit_code\\"' in raw or b'error\\"' in raw or b"\\u00" in raw


class _Verdict(msgspec.Struct, gc=False):
    """What of an object is looked at; the rest is passed over."""

    ok: bool | None = None
    exit_code: int | None = None
    error: str | None = None


_verdict = msgspec.json.Decoder(_Verdict)
_text = msgspec.json.Decoder(str)


def says_failed(payload: Mapping[str, Any]) -> bool:
    """Say whether a result's payload tells a failure."""
    if payload.get("is_error") is True or payload.get("isError") is True:
        return True
    content = payload.get("content")
    return isinstance(content, str) and _content_says_failed(content)


def raw_says_failed(content: bytes | msgspec.Raw) -> bool:
    """Say the same of a content that stands as it does in the file: JSON, valid; or nothing."""
    view = memoryview(content)
    if len(view) < 2 or view[0] != _QUOTE or view[1] not in _BEGINS:
        return False
    raw = bytes(view)
    if not _has_key(raw):
        return False
    try:
        text = _text.decode(raw)
    except (msgspec.MsgspecError, ValueError):  # lone surrogates
        text = json.loads(raw)
    return _content_says_failed(text)


_QUOTE = 0x22


def _content_says_failed(content: str) -> bool:
    if not content.lstrip(" \t\r\n").startswith("{"):
        return False
    try:
        found = _verdict.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _exactly(content)
    return found.ok is False or bool(found.exit_code) or bool(found.error)


def _exactly(content: str) -> bool:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict):
        return False
    code = value.get("exit_code")
    return (
        value.get("ok") is False
        or (isinstance(code, (int, float)) and not isinstance(code, bool) and code != 0)
        or bool(value.get("error"))
    )

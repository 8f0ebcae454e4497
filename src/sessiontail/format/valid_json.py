"""a value that came from a log -> JSON on one line that every parser takes."""

from __future__ import annotations

import re
from typing import Any

from sessiontail.format.dumping import dump
from sessiontail.format.inert import inert_json

__all__ = ["valid_json"]

# Strings are stepped over: what looks like a constant in a text is text.
_CONSTANT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|NaN|-?Infinity')


def valid_json(value: Any) -> str:
    """Return JSON on one line.

    NaN and the infinities, which Python writes and no other parser reads, are null; lone surrogates
    are escaped, so that it can be encoded.
    """
    text = dump(value)
    if "NaN" in text or "Infinity" in text:
        text = _CONSTANT.sub(_without_constant, text)
    return inert_json(text)


def _without_constant(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else "null"

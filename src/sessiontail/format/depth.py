"""decoded values -> whether they are nested too deeply: the same on every Python.

Nothing here opens, waits or logs.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["DEEP_LINE_BYTES", "MAX_DEPTH", "TAKES_DEEPER", "any_too_deep", "too_deep"]

_NEWLINE = 0x0A


# A line nested deeper is damage, as it is to Python 3.11, which stops before; later ones go on to
# 1,497 (3.12) or 9,998 levels (3.13), and what a file says must not depend on who reads it.
MAX_DEPTH = 1000


TAKES_DEEPER = sys.version_info >= (3, 12)


# No shorter line is nested deeper: each level has an opening and a closing byte.
DEEP_LINE_BYTES = 2 * MAX_DEPTH


def any_too_deep(data: bytes | bytearray, start: int, records: list[Any]) -> bool:
    """Say whether one of these chunks, of lines that begin here in the data, is too deep."""
    for record in records:
        end = data.find(_NEWLINE, start)
        if (end < 0 or end - start > DEEP_LINE_BYTES) and too_deep(record.payload):
            return True
        start = end + 1
    return False


def too_deep(value: Any, levels: int = MAX_DEPTH - 1) -> bool:
    """Say whether more levels than these are nested here; a payload is the second of a line."""
    level = [value]
    for _ in range(levels + 1):
        level = [inner for inner in level if isinstance(inner, (dict, list))]
        if not level:
            return False
        level = [
            inner
            for holder in level
            for inner in (holder.values() if isinstance(holder, dict) else holder)
        ]
    return True

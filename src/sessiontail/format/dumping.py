"""a value that came from a log -> JSON on one line, however deeply it is nested."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

__all__ = ["dump"]

# JSON that was taken can be nested about as deep as the interpreter's limit; so can its output.
_DEEP = 20_000
# The limit is the whole process's: who lowers it while another thread is deeper ends that one.
_deeper = threading.Lock()


def dump(value: Any, *, indent: int | None = None) -> str:
    """Return JSON; NaN and lone surrogates stay what the log had.

    Args:
        value: what the log has; of other types, the text.
        indent: spaces a level, on lines of their own; None: all on one line.
    """
    try:
        return json.dumps(value, ensure_ascii=False, default=str, indent=indent)
    except RecursionError:
        with _deeper:
            limit = sys.getrecursionlimit()
            sys.setrecursionlimit(_DEEP)
            try:
                return json.dumps(value, ensure_ascii=False, default=str, indent=indent)
            finally:
                sys.setrecursionlimit(limit)

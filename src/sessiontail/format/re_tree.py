"""a regular expression -> the tree that ``re`` makes of it, where it does.

Nothing here opens, waits or logs.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

__all__ = ["tree_of"]


def tree_of(pattern: str) -> Any:
    """Return what ``re`` makes of a pattern, pairs of a word and its value; None: it refuses it."""
    # What later versions of Python may make of "[[" is nobody's business who searches with regex.
    warnings.filterwarnings("ignore", r"Possible (nested set|set \w+) at position", FutureWarning)
    parser = getattr(re, "_parser", None)  # what re itself understands; without it, None
    try:
        return parser and parser.parse(pattern, re.MULTILINE)
    except (re.error, RecursionError, OverflowError, ValueError):
        return None

"""who asked for colours, and the terminal -> whether there are any, and each style's.

Nothing of the reader is imported here.
"""

from __future__ import annotations

import os
import zlib
from typing import Literal, TypeAlias

from sessiontail.cli.escaping import clean

__all__ = [
    "SESSION_COLORS",
    "STATE_STYLES",
    "Painted",
    "When",
    "session_style",
    "styled",
    "wants_color",
]

When: TypeAlias = Literal["auto", "always", "never"]

# Of the 256: told apart from each other, read on black and on white (a contrast of 3 at least), and
# neither red, yellow, green, cyan nor grey, which say what a record or a state is.
SESSION_COLORS = (33, 63, 93, 95, 104, 130, 133, 171, 199)

#: What each state of a session looks like in a table.
STATE_STYLES = {"live": "green", "abandoned": "red", "unknown": "yellow", "closed": "dim"}

_STYLES = {
    "bold": "1",
    "dim": "2",
    "match": "7",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
    **{f"session-{color}": f"38;5;{color}" for color in SESSION_COLORS},
}


class Painted(str):
    """Text that is fit for a terminal, styles and all: only this is written as it is."""

    __slots__ = ()


def wants_color(when: When, *, terminal: bool) -> bool:
    """Say whether to colour: the option decides, then NO_COLOR, then FORCE_COLOR.

    Source: https://no-color.org, https://force-color.org; either counts if it is not empty.
    """
    if when != "auto":
        return when == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def styled(text: str, *styles: str) -> Painted:
    """Return text, made clean, in a terminal's styles."""
    shown = clean(text)
    if not (shown and styles):
        return Painted(shown)
    codes = ";".join(_STYLES[style] for style in styles)
    return Painted(f"\x1b[{codes}m{shown}\x1b[0m")


def session_style(name: str) -> str:
    """Return the style of a session, by its id: the same in each run and on each machine."""
    number = zlib.crc32(name.encode("utf-8", "backslashreplace"))
    return f"session-{SESSION_COLORS[number % len(SESSION_COLORS)]}"

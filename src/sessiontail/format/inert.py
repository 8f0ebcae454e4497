"""text, whoever wrote it -> text that commands nothing and hides nothing from who reads it.

Nothing of the reader is imported here.
"""

from __future__ import annotations

import re

__all__ = ["inert", "inert_json"]

# What is shown and never obeyed, wherever it comes from and wherever it goes: a pipe may end at
# a terminal. The other format characters (Cf) are seen (number signs of Arabic and Kaithi, joiners
# of hieroglyphs), or scripts and emoji need them (U+180E, U+200C, U+200D).
_UNSAFE = re.compile(
    "["
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    r"\xad"  # soft hyphen: terminals do not agree whether it is there
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they turn the order of what is read
    r"\u200b\u2060-\u2065\ufeff"  # no width: they hide between letters
    r"\u2028\u2029"  # line ends, to some programs
    r"\u206a-\u206f\ufff9-\ufffb"  # deprecated; interlinear
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # of shorthand and music, without a sign
    r"\U000e0000-\U000e007f"  # tags: a whole text that no eye sees
    r"\ud800-\udfff"  # halves of a character: no UTF-8
    "]"
)


def inert(text: str) -> str:
    r"""Return text with what is unsafe shown: ``\x1b``, ``\u202e``, ``\U000e0041``.

    Tab and newline stay: they are what lines are made of.
    """
    # Nothing unsafe is printable, and asking costs a hundredth of looking.
    return text if text.isprintable() else _UNSAFE.sub(_shown, text)


def inert_json(text: str) -> str:
    r"""Return JSON with what is unsafe escaped as JSON does it: the value stays equal."""
    return text if text.isprintable() else _UNSAFE.sub(_as_json, text)


def _shown(found: re.Match[str]) -> str:
    point = ord(found[0])
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def _as_json(found: re.Match[str]) -> str:
    point = ord(found[0])
    if point < 0x10000:
        return f"\\u{point:04x}"
    point -= 0x10000
    return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"

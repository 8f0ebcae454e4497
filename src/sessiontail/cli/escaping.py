"""text, whoever wrote it -> text that commands no terminal and hides nothing from who reads it.

Nothing of the reader is imported here.
"""

from __future__ import annotations

from sessiontail.format.inert import inert, inert_json

__all__ = ["clean", "clean_json", "encoded", "one_line"]


def clean(text: str) -> str:
    r"""Return text with what is unsafe shown: ``\x1b``, ``\u202e``, ``\U000e0041``.

    Tab and newline stay: they are what lines are made of.
    """
    return inert(text)


def one_line(text: str) -> str:
    r"""Return text as ``clean`` does, and ``\n`` and ``\t`` for newline and tab."""
    return clean(text).replace("\n", "\\n").replace("\t", "\\t")


def clean_json(text: str) -> str:
    r"""Return JSON with what is unsafe escaped as JSON does it: the value stays equal."""
    return inert_json(text)


def encoded(text: str) -> bytes:
    """Return text as UTF-8, a lone surrogate as its escape: in JSON, the same value."""
    return text.encode("utf-8", "backslashreplace")

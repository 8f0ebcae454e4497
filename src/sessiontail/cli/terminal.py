"""text -> stdout as bytes, notes -> stderr: valid UTF-8, and nothing that commands a terminal.

Nothing of the reader is imported here.
"""

from __future__ import annotations

import os
import re
import sys

import click

__all__ = ["Output", "clean", "confirm", "encoded", "note", "styled"]

# C0 but tab and newline, DEL, C1: what a terminal may take for a command.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}


class Output:
    """Standard output, as bytes.

    A terminal gets colours and no control characters of a session's; a file or pipe gets the text
    as it is.
    """

    def __init__(self) -> None:
        if sys.stdout is None:
            raise click.ClickException("standard output is closed: nowhere to write to")
        self._buffer = sys.stdout.buffer
        self.terminal = sys.stdout.isatty()
        #: Whether colours are wanted: https://no-color.org.
        self.color = (
            self.terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )

    def text(self, text: str) -> str:
        """Return what a session says, fit for this output."""
        return clean(text) if self.terminal else text

    def json(self, text: str) -> str:
        """Return JSON, fit for this output: JSON leaves DEL and C1 as they are."""
        if not self.terminal:
            return text
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

    def styled(self, text: str, style: str) -> str:
        """Return text in a style, where there are colours."""
        return styled(text, style) if self.color else text

    def line(self, text: str) -> None:
        """Write a line; what is no UTF-8 (a lone surrogate) is escaped."""
        self._buffer.write(encoded(text) + b"\n")

    def bytes(self, data: bytes) -> None:
        """Write bytes as they are."""
        self._buffer.write(data)

    def flush(self) -> None:
        """Hand everything to the reader of the output."""
        self._buffer.flush()


def encoded(text: str) -> bytes:
    """Return text as UTF-8, a lone surrogate as its escape: in JSON, the same value."""
    return text.encode("utf-8", "backslashreplace")


def styled(text: str, style: str) -> str:
    """Return text in a terminal's style."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if text else text


def clean(text: str) -> str:
    r"""Return text with control characters shown as ``\x1b``, but for tab and newline."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def note(text: str) -> None:
    """Print a line about the work, not of it, on stderr."""
    if sys.stderr is None:  # closed by the caller: 2>&-
        return
    line = encoded(f"sessiontail: {clean(text)}\n")
    try:
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
    except OSError:
        return  # nobody reads it


def confirm(question: str, *, yes: bool) -> bool:
    """Ask at a terminal; elsewhere, say how to go on. Return whether to do it."""
    if yes:
        return True
    if sys.stdin is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        note("nothing was deleted: add --yes to do it")
        return False
    try:
        if click.confirm(question, err=True):
            return True
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):  # Ctrl-C, not Ctrl-D
            raise
        click.echo(err=True)
    note("nothing was deleted")
    return False

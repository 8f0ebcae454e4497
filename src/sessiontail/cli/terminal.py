"""text -> stdout as bytes, notes -> stderr: valid UTF-8, and nothing that commands a terminal.

Nothing of the reader is imported here.
"""

from __future__ import annotations

import os
import shutil
import sys
from types import TracebackType
from typing import IO, Self

import click

from sessiontail.cli.colors import Painted, When, styled, wants_color
from sessiontail.cli.escaping import clean, clean_json, encoded, one_line
from sessiontail.cli.pager import Pager, pager_command

__all__ = ["Output", "confirm", "note"]


class Output:
    """Standard output, as bytes; a context manager, which ends the pager.

    Whatever it is, what a session says commands nothing: a pipe may lead to a terminal, as through
    ``head`` or ``less -R``.

    Args:
        color: whether to colour; "auto" asks the environment and the terminal.
        paged: lead it through the user's pager, if stdin and stdout are terminals.
    """

    def __init__(self, color: When = "auto", *, paged: bool = False) -> None:
        if sys.stdout is None:
            raise click.ClickException("standard output is closed: nowhere to write to")
        self._buffer: IO[bytes] = sys.stdout.buffer
        self.terminal = sys.stdout.isatty()
        #: Whether colours are wanted.
        self.color = wants_color(color, terminal=self.terminal)
        self._pager: Pager | None = None
        self._paged = paged and self.terminal and sys.stdin is not None and sys.stdin.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def width(self) -> int | None:
        """The columns of the terminal; None where there is none."""
        return shutil.get_terminal_size().columns if self.terminal else None

    def json(self, text: str) -> str:
        """Return JSON, fit for any output: JSON leaves DEL, C1 and more as they are."""
        return clean_json(text)

    def styled(self, text: str, *styles: str) -> Painted:
        """Return text, fit for any output, in styles where there are colours."""
        return styled(text, *(styles if self.color else ()))

    def line(self, *parts: str) -> None:
        """Write a line of these parts; what was not made fit by ``styled`` is made fit."""
        shown = [part if isinstance(part, Painted) else clean(part) for part in parts]
        self.bytes(encoded("".join(shown)) + b"\n")

    def bytes(self, data: bytes) -> None:
        """Write bytes as they are."""
        if self._paged:
            self._start_pager()
        # With PYTHONUNBUFFERED stdout has no buffer: a disk that is nearly full takes a part.
        view = memoryview(data)
        while view:
            view = view[self._buffer.write(view) or 0 :]

    def flush(self) -> None:
        """Hand everything to the reader of the output."""
        self._buffer.flush()

    def close(self) -> None:
        """End the pager, if there is one, when its user leaves it; notes that waited are shown."""
        pager, self._pager = self._pager, None
        if pager is None:
            return
        self._buffer = sys.stdout.buffer
        try:
            pager.close()
        finally:
            _notes.release()

    def _start_pager(self) -> None:
        """Start it with the first line: what prints nothing pages nothing."""
        self._paged = False
        command = pager_command(os.environ)
        if command is None:
            return
        self.flush()
        try:
            self._pager = Pager(command)
        except OSError:
            return  # no program after all
        self._buffer = self._pager.input
        _notes.hold()


class Notes:
    """Lines on stderr; they wait while a pager has the screen, if stderr is one."""

    def __init__(self) -> None:
        self._held: list[bytes] | None = None

    def hold(self) -> None:
        """Keep notes from now on."""
        if sys.stderr is not None and sys.stderr.isatty():
            self._held = []

    def release(self) -> None:
        """Write what was kept, and from now on at once."""
        held, self._held = self._held, None
        for line in held or ():
            self.write(line)

    def write(self, line: bytes) -> None:
        """Write a line, or keep it."""
        if self._held is not None:
            self._held.append(line)
            return
        if sys.stderr is None:  # closed by the caller: 2>&-
            return
        try:
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
        except OSError:
            return  # nobody reads it


_notes = Notes()


def note(text: str) -> None:
    """Print a line about the work, not of it, on stderr."""
    _notes.write(encoded(f"sessiontail: {one_line(text)}\n"))


def confirm(question: str, *, yes: bool) -> bool:
    """Ask at a terminal; elsewhere, say how to go on. Return whether to do it."""
    if yes:
        return True
    if sys.stdin is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        note("nothing was deleted: add --yes to do it")
        return False
    try:
        if click.confirm(clean(question), err=True):
            return True
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):  # Ctrl-C, not Ctrl-D
            raise
        click.echo(err=True)
    note("nothing was deleted")
    return False

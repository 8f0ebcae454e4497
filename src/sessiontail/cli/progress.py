"""how much of a long work is done -> a bar on stderr, if that is a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from sessiontail.reports.amounts import size

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

__all__ = ["ByteMeter", "Meter"]

# What takes longer shows how far it is.
_PATIENCE_S = 0.5
# A line that is shorter has no place for a bar beside the words.
_WIDE = 80


class Meter:
    """Shows on stderr how far a long work is, if that is a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._on = sys.stderr is not None and sys.stderr.isatty()
        self._since_s = time.monotonic()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def show(
        self, done: int, total: int | None, said: str = "", *, what: str | None = None
    ) -> None:
        """Show that ``done`` of ``total`` are done; the first moments show nothing.

        Args:
            done: how much.
            total: of how much; None: it is not known.
            said: the same in words, where a meter has place for them.
            what: what is being done, where that is not the meter's own.
        """
        if not self._on or time.monotonic() - self._since_s < _PATIENCE_S:
            return
        doing = what or self._what
        if self._progress is None:
            from rich.console import Console  # noqa: PLC0415 - 50 ms that a short listing saves
            from rich.progress import Progress  # noqa: PLC0415 - likewise

            console = Console(stderr=True)
            self._progress = Progress(
                *self._columns(console.width), console=console, transient=True
            )
            self._task = self._progress.add_task(doing, total=total, said=said or doing)
            self._progress.start()
        assert self._task is not None
        self._progress.update(
            self._task, completed=done, total=total, said=said or doing, description=doing
        )

    def close(self) -> None:
        """Remove what was shown."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _columns(self, width: int) -> list[ProgressColumn]:  # noqa: ARG002 - for those who have more to say
        """Return what stands on the line of so many columns; by default rich's own choice."""
        return []


class ByteMeter(Meter):
    """Shows how many files and bytes are done, how fast that was, and how long the rest takes."""

    def show_files(self, files_done: int, files: int, bytes_done: int, bytes_all: int) -> None:
        """Show how far the files are, and the bytes that are to be read; there may be none."""
        said = f"{files_done:,} of {files:,} files"
        if bytes_all:
            self.show(bytes_done, bytes_all, f"{said}, {self._amount(bytes_done, bytes_all)}")
        else:
            self.show(files_done, files, said)

    def show_bytes(self, done: int, of: int) -> None:
        """Show how far the bytes of one file are."""
        self.show(done, of, f"{self._what}: {self._amount(done, of)}")

    def _amount(self, done: int, of: int) -> str:
        rate = int(done / max(time.monotonic() - self._since_s, 0.001))
        return f"{size(done)} of {size(of)}, {size(rate)}/s"

    def _columns(self, width: int) -> list[ProgressColumn]:
        from rich.progress import (  # noqa: PLC0415 - as in ``show``
            BarColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        bar = [BarColumn(bar_width=20)] if width >= _WIDE else []
        return [*bar, TextColumn("{task.fields[said]}"), TimeRemainingColumn(compact=True)]

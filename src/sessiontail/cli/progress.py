"""how much of a long work is done -> a bar on stderr, if that is a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Meter"]

# What takes longer shows how far it is.
_PATIENCE_S = 0.5


class Meter:
    """Shows on stderr how far a long work is, if that is a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._on = sys.stderr is not None and sys.stderr.isatty()
        self._since_s = time.monotonic()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def show(self, done: int, total: int | None) -> None:
        """Show that ``done`` of ``total`` are done; the first moments show nothing."""
        if not self._on or time.monotonic() - self._since_s < _PATIENCE_S:
            return
        if self._progress is None:
            from rich.console import Console  # noqa: PLC0415 - 50 ms that a short listing saves
            from rich.progress import Progress  # noqa: PLC0415 - likewise

            self._progress = Progress(console=Console(stderr=True), transient=True)
            self._progress.start()
            self._task = self._progress.add_task(self._what, total=total)
        assert self._task is not None
        self._progress.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Remove what was shown."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

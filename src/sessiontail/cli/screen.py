"""lines -> the whole screen of a terminal, until it is left; then all is as it was before."""

from __future__ import annotations

import io
import signal
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import IO, NoReturn, Self, cast

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sessiontail.cli.colors import Painted
from sessiontail.cli.escaping import encoded
from sessiontail.cli.terminal import Output

__all__ = ["Screen"]

# What ends a process that does not heed it: the terminal would stay as it is.
_ENDS = (signal.SIGTERM, signal.SIGHUP)


class Screen:
    """The screen of the terminal that stdout leads to; a context manager.

    While it is entered, SIGTERM and SIGHUP end the process as ``SystemExit``, and Ctrl-Z gives the
    screen to the shell until ``fg``.
    """

    def __init__(self, out: Output) -> None:
        self._console = Console(
            file=cast("IO[str]", _Bytes(out)),  # of which a console calls what there is
            force_terminal=True,
            legacy_windows=False,
            color_system="256" if out.color else None,
            no_color=not out.color,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._shown: tuple[list[Painted], tuple[int, int]] | None = None
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in _ENDS:
            self._handlers[number] = signal.signal(number, _end)
        self._handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._stop)
        self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            self._live.stop()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)  # type: ignore[arg-type]  # what it has returned

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        return self._console.size

    def show(self, lines: Sequence[Painted]) -> None:
        """Show these lines and nothing else; nothing is written where that is on the screen."""
        shown = [*lines], self.size
        if shown == self._shown:
            return
        self._shown = shown
        text = Text.from_ansi("\n".join(lines), no_wrap=True, overflow="crop")
        self._live.update(text, refresh=True)

    def _stop(self, number: int, _: FrameType | None) -> None:
        """Stop the process as its user asks; who goes on finds the shell's lines as they were."""
        self._console.set_alt_screen(enable=False)
        self._console.show_cursor(show=True)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        signal.signal(number, self._stop)
        self._console.set_alt_screen(enable=True)
        self._console.show_cursor(show=False)
        self._shown = None


class _Bytes(io.TextIOBase):
    """What a console writes to, as bytes of an output."""

    encoding = "utf-8"

    def __init__(self, out: Output) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Write text."""
        self._out.bytes(encoded(text))
        return len(text)

    def flush(self) -> None:
        """Hand everything to the terminal."""
        self._out.flush()

    def isatty(self) -> bool:
        """Say that it is a terminal."""
        return True


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)

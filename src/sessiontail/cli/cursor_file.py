"""what was printed -> the cursor behind it, in a file and at the end on stderr."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Protocol

import click

from sessiontail.cli.terminal import note
from sessiontail.errors import CursorInvalid

__all__ = ["CursorKeeper", "HasCursor"]

# How often the file is written while records come.
_SAVE_INTERVAL_S = 1.0


class HasCursor(Protocol):
    """What knows where it stands."""

    @property
    def cursor(self) -> str:
        """Where the next record begins."""


class CursorKeeper:
    """Keeps the cursor that stands behind what was printed."""

    def __init__(self, path: Path | None, *, show: bool) -> None:
        self._path = path
        self._show = show
        self._source: HasCursor | None = None
        self._saved = ""
        self._saved_s = 0.0

    def read(self) -> str | None:
        """Return what the file says; None where there is none, or nothing in it."""
        assert self._path is not None
        if not self._path.parent.is_dir():
            raise click.UsageError(f"--cursor-file: no such directory: {self._path.parent}")
        try:
            self._saved = self._path.read_text("utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise CursorInvalid(f"cannot be read: {error}", path=self._path) from error
        return self._saved or None

    def commit(self, source: HasCursor) -> None:
        """Note that everything before the source's cursor was printed and flushed."""
        self._source = source
        if self._path is not None and time.monotonic() - self._saved_s >= _SAVE_INTERVAL_S:
            self._save(source.cursor)

    def forget(self) -> None:
        """Note that records are about to be printed: until they are, no newer cursor holds."""
        self._source = None

    def close(self) -> None:
        """Write the cursor where it was asked for."""
        token = self._source.cursor if self._source is not None else self._saved
        if self._path is not None and token:
            self._save(token)
        if self._show and token:
            note(f"cursor: {token}")

    def _save(self, token: str) -> None:
        self._saved_s = time.monotonic()
        if token == self._saved:
            return
        assert self._path is not None
        # Beside it, and then renamed: who is killed, or interrupted, leaves the one before. Not by
        # click's atomic file, which takes the place of the old one after an exception too.
        path = self._path.resolve()  # of a symlink, what it leads to
        beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            beside.write_text(token + "\n", "utf-8")
            beside.replace(path)
        except BaseException as error:
            beside.unlink(missing_ok=True)
            if not isinstance(error, OSError):
                raise
            raise click.ClickException(
                f"cannot write the cursor to {self._path}: {error.strerror}"
            ) from error
        self._saved = token

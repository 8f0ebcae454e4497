"""tasks beside a command: what one of them raises -> the error itself; a reader that went -> an end."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

__all__ = ["unwrapped", "watch_stdout"]


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise what happened: a task group wraps what its tasks raise, and the first one is that."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


async def watch_stdout() -> None:
    """Raise BrokenPipeError when nobody reads the output any more, though nothing is written.

    The writing end of a pipe is readable when its other end is closed (Linux, poll(2): POLLERR).
    """
    if sys.platform == "linux" and stat.S_ISFIFO(os.fstat(1).st_mode):
        await anyio.wait_readable(1)
        raise BrokenPipeError

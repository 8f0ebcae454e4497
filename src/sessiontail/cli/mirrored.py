"""the URL of a Redis -> a directory that has the sessions which relays publish there."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import click

from sessiontail.cli.terminal import note
from sessiontail.system.descriptors import raise_limit

__all__ = ["from_option", "mirror_directory", "mirroring"]

# How often it is told how far the start is.
_TELL_S = 2.0
# What a shell says of a command that SIGTERM has ended.
_TERMINATED = 128 + signal.SIGTERM

_F = TypeVar("_F", bound=Callable[..., Any])


def from_option(function: _F) -> _F:
    """Add ``--from``."""
    return click.option(
        "--from",
        "source",
        metavar="URL",
        help="Sessions of other machines, which `sessiontail relay` publishes: redis://HOST:PORT/DB, "
        "rediss:// with TLS, unix://PATH; it is waited for. They are mirrored into a temporary "
        "directory, which is removed at the end, or into that of --dir, which is kept, and gone on "
        "with the next time.",
    )(function)


@contextmanager
def mirror_directory(source: str | None, directory: str | None) -> Iterator[str | None]:
    """Return where a mirror is to be: the directory that is named, else a temporary one.

    Args:
        source: the URL of Redis; None: there is to be no mirror, and the directory is as it was.
        directory: that is kept.
    """
    if source is None or directory is not None:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="sessiontail-mirror-") as made:
        yield made


@asynccontextmanager
async def mirroring(
    source: str | None, directory: Path, *, closed: bool = True, only: Collection[str] = ()
) -> AsyncIterator[None]:
    """Mirror while this is entered; the directory is complete when it is entered.

    Args:
        source: the URL of Redis; None: nothing is done.
        directory: of the mirror.
        closed: also sessions that were closed before.
        only: only those whose ids begin so.

    Raises:
        MissingExtra: redis-py is not installed.
        PersistenceError: the URL is none, or the directory is no mirror.
    """
    if source is None:
        yield
        return
    from sessiontail.relay.relayed import mirror_sessions  # noqa: PLC0415 - --help does without

    raise_limit()  # each session that runs is held by its lock
    async with anyio.create_task_group() as group:
        group.start_soon(_end_on_sigterm)
        await group.start(
            partial(
                mirror_sessions,
                source,
                directory,
                closed=closed,
                only=only,
                on_note=note,
                on_progress=_Progress(),
            )
        )
        yield
        group.cancel_scope.cancel()


class _Progress:
    """Tells how many sessions are there, where that takes a while."""

    def __init__(self) -> None:
        self._told_s = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s >= _TELL_S and done < of:
            self._told_s = now_s
            note(f"mirrored {done:,} of {of:,} sessions")


async def _end_on_sigterm() -> None:
    """Let what is temporary be removed; a server listens for signals itself, later."""
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            raise click.exceptions.Exit(_TERMINATED)

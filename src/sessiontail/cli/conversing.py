"""a session -> the whole conversation that led to it, printed."""

from __future__ import annotations

from collections import deque

import click

from sessiontail.cli.printing import Printer
from sessiontail.cli.targets import Target
from sessiontail.cli.terminal import note
from sessiontail.cli.values import Window
from sessiontail.format.records import Header, Record
from sessiontail.store import SessionStore

__all__ = ["print_conversation"]


async def print_conversation(
    store: SessionStore, target: Target, printer: Printer, window: Window
) -> int:
    """Print a conversation, from its first session to this one; return the exit code.

    Raises:
        click.UsageError: the session is given by a path, which says nothing of those beside it.
    """
    session_id = target.session_id
    if session_id is None:
        async with target.read(store) as feed:
            async for record in feed:
                if isinstance(record, Header):
                    session_id = record.id
                break
    if session_id is None:
        raise click.UsageError(f"--conversation: {target.name} does not begin with a header")
    store = store if target.path is None else SessionStore(target.path.parent)
    kept: deque[tuple[str, Record]] = deque(maxlen=window.last)
    seen = 0
    async with store.conversation(session_id) as conversation:
        async for whose, record in conversation:
            if not printer.wants(record):
                continue
            seen += 1
            if seen < window.first:
                continue
            if window.last is None:
                printer.put(record, session_id=str(whose))
                printer.flush()
            else:
                kept.append((str(whose), record))
    for owner, record in kept:
        printer.put(record, session_id=owner)
    printer.close()
    if not printer.printed:
        note(f"{target.name}: nothing to print")
    return 0 if printer.printed else 1

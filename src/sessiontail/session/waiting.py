"""a session's tail, and a question -> the first record that answers it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path

import anyio

from sessiontail import checks
from sessiontail.errors import SessionEnded
from sessiontail.format.lifecycle import Outcome
from sessiontail.format.records import Record
from sessiontail.session.tail import SessionTail
from sessiontail.system.files import in_thread
from sessiontail.system.paths import path_paths

__all__ = ["wait_for"]


async def wait_for(
    tail: SessionTail,
    predicate: Callable[[Record], bool],
    *,
    timeout: float | None,
    name: object,
) -> Record:
    """Return the first record that a predicate takes; close the tail.

    Args:
        tail: whose records.
        predicate: is asked for every record in order, damage included.
        timeout: seconds at most; None: no limit.
        name: what the session is called in errors.

    Raises:
        TimeoutError: no such record within ``timeout``.
        SessionEnded: the session ended without it; the message says how.
        TypeError: the predicate is no plain function.
    """
    checks.plain_function("predicate", predicate)
    with anyio.move_on_after(timeout) as scope:
        async with tail:
            async for record in tail:
                taken: object = predicate(record)
                if taken and inspect.isawaitable(taken):
                    if inspect.iscoroutine(taken):
                        taken.close()
                    raise checks.no_plain_function("predicate")
                if taken:
                    return record
    if scope.cancelled_caught:
        raise TimeoutError(f"no such record of session {name} within {timeout} s")
    ended = f"the session ended ({tail.outcome}) without that record"
    path = await in_thread(_current_name, tail.path, tail.outcome, place=str(tail.path.parent))
    raise SessionEnded(ended if path else f"session {name}: {ended}", path=path)


def _current_name(path: Path, outcome: Outcome | None) -> Path | None:
    """Return the name that a session's file has by now, None where it has none."""
    final = path_paths(path).final
    names = (final, path) if outcome is Outcome.CLOSED else (path, final)
    return next((name for name in names if os.path.lexists(name)), None)

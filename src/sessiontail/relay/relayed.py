"""the directory of one host -> Redis -> a directory on another: what the package offers of it.

redis-py is imported when one of these is called.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Collection
from datetime import timedelta
from os import PathLike

from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from sessiontail import checks
from sessiontail.errors import MissingExtra, PersistenceError

__all__ = ["host_name", "mirror_sessions", "relay_sessions"]

logger = logging.getLogger("sessiontail")


def host_name() -> str:
    """Return this machine's name, as far as a key may have it."""
    letters = (
        letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "-"
        for letter in platform.node()
    )
    return "".join(letters)[:64] or "host"


async def relay_sessions(
    url: str,
    *,
    directory: str | PathLike[str] | None = None,
    prefix: str | None = None,
    name: str | None = None,
    include_closed: bool = False,
    expire: timedelta = timedelta(days=7),
    timeout: float = 10.0,
    on_note: Callable[[str], None] = logger.warning,
    task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
) -> None:
    """Publish the sessions of a directory to Redis Streams, until cancelled; asyncio only.

    Every whole line comes once, in order, whatever is killed or lost on the way: Redis keeps what
    it has, and it is gone on from there. What Redis loses is published again from the files.

    Args:
        url: of Redis: ``redis://``, ``rediss://`` (TLS) or ``unix://``.
        directory: where the session files lie; by default where openrath puts them.
        prefix: of all keys in Redis; several hosts share it. By default what the URL says
            (``redis://host/0?prefix=team``), else ``sessiontail``.
        name: of this relay among them, one at a time; by default the machine's.
        include_closed: also sessions that were closed before the first look.
        expire: how long Redis keeps a session whose file was deleted.
        timeout: seconds that Redis may take for an answer.
        on_note: takes a line when Redis is lost, and when it is back.
        task_status: is told when the first look is done.

    Raises:
        RelayError: a relay of this name runs, the address is none, or Redis is a cluster; a
            ``PersistenceError``.
        PersistenceError: the directory cannot be read, or is a mirror.
        MissingExtra: redis-py is not installed.
    """
    try:
        from sessiontail.relay.relaying import relay  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    checks.positive("timeout", timeout, (int, float))
    if expire < timedelta(seconds=1):
        raise ValueError(f"expire is at least a second, not {expire}")
    await relay(
        url,
        directory,
        prefix=prefix,
        name=host_name() if name is None else name,
        include_closed=include_closed,
        expire_s=int(expire.total_seconds()),
        timeout_s=timeout,
        tell=on_note,
        started=task_status.started,
    )


async def mirror_sessions(
    url: str,
    directory: str | PathLike[str],
    *,
    prefix: str | None = None,
    closed: bool = True,
    only: Collection[str] = (),
    timeout: float = 10.0,
    on_note: Callable[[str], None] = logger.warning,
    on_progress: Callable[[int, int], None] = lambda done, of: None,  # noqa: ARG005 - a signature
    task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
) -> None:
    """Keep a directory equal to the sessions that relays publish, until cancelled; asyncio only.

    The files are those of the hosts, byte for byte: a running session is ``.jsonl.__partial__``
    under a writer's lock, a closed one ``.jsonl``. Whatever reads session files reads these. A
    mirror that was killed is gone on with.

    Args:
        url: of Redis, as in ``relay_sessions``.
        directory: empty, absent, or a mirror of the same.
        prefix: of all keys in Redis, as in ``relay_sessions``.
        closed: also sessions that were closed before this began.
        only: only sessions whose file's name begins with one of these; by default all.
        timeout: seconds that Redis may take for an answer.
        on_note: takes a line when Redis or a relay is lost, and when it is back.
        on_progress: called now and then, at the start, with how many sessions are there, and of
            how many.
        task_status: is told when all that Redis has is there.

    Raises:
        RelayError: the address is none, or Redis is a cluster; a ``PersistenceError``.
        PersistenceError: the directory is no mirror, is another's, or cannot be written.
        MissingExtra: redis-py is not installed.
    """
    try:
        from sessiontail.relay.mirroring import mirror  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    checks.positive("timeout", timeout, (int, float))
    checks.several("only", only)
    await mirror(
        url,
        directory,
        prefix=prefix,
        closed=closed,
        only=tuple(only),
        timeout_s=timeout,
        tell=on_note,
        progress=on_progress,
        started=task_status.started,
    )


def _missing(error: ModuleNotFoundError) -> PersistenceError:
    if (error.name or "").partition(".")[0] != "redis":
        raise error
    return MissingExtra("a relay and its mirrors need redis: pip install redis")

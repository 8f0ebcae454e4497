"""``sessiontail relay``: the sessions of this machine, published to Redis Streams."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import anyio
import click

from sessiontail.cli.beside import unwrapped
from sessiontail.cli.options import directory_option
from sessiontail.cli.terminal import note
from sessiontail.cli.values import Span
from sessiontail.system.paths import sessions_dir

__all__ = ["command"]


@click.command(
    epilog="""\
\b
Examples:
  sessiontail relay --to redis://10.0.0.5:6379/0
                                        this machine's sessions, under its name
  sessiontail relay --to rediss://relay@redis.example:6380/0
                                        with TLS, and SESSIONTAIL_REDIS_PASSWORD set
  sessiontail relay --to redis://10.0.0.5 --all --name build-7
                                        also what was closed before; under another name
  sessiontail relay --to 'redis://10.0.0.5/0?prefix=team'
                                        apart from what others have in that Redis

\b
Anywhere else, these read the sessions of all machines:
  sessiontail tail -f --from redis://10.0.0.5:6379/0
  sessiontail serve --from redis://10.0.0.5:6379/0

\b
Every whole line comes once, in order, into one stream a session, byte for byte. A relay that is
killed goes on where Redis says; what Redis loses is published again from the files; while Redis
cannot be reached, the files wait. Redis is to keep what it is given: 'maxmemory-policy noeviction'.
One relay a name: a second one is refused. A Redis Cluster is not supported.

\b
Which files were closed before its first look is noted in the user's cache: so it is told from what
Redis has lost while no relay ran. With SESSIONTAIL_CACHE=off that is published with --all only.

\b
Nothing goes to stdout. Ctrl-C and SIGTERM end it, and its name is free at once.
Exit codes: 0 ended by SIGTERM, 1 the name is taken, the address is none, or the directory
cannot be read, 2 usage, 130 interrupted.
"""
)
@directory_option
@click.option(
    "--to",
    "url",
    required=True,
    envvar="SESSIONTAIL_REDIS",
    metavar="URL",
    help="The Redis to publish to: redis://HOST:PORT/DB, rediss:// with TLS, unix:///PATH. A password "
    "is better in SESSIONTAIL_REDIS_PASSWORD: other users see what a command is called with.  "
    "[default: $SESSIONTAIL_REDIS]",
)
@click.option(
    "--prefix",
    metavar="PREFIX",
    help="How all its keys begin; readers name it in their URL: ?prefix=PREFIX.  "
    "[default: that of the URL, else sessiontail]",
)
@click.option("--name", metavar="NAME", help="Of this relay.  [default: the machine's name]")
@click.option(
    "--all",
    "include_closed",
    is_flag=True,
    help="Also sessions that are closed already, when the name publishes for the first time.",
)
@click.option(
    "--expire",
    type=Span(),
    default="7d",
    show_default=True,
    metavar="SPAN",
    help="How long Redis keeps a session that was deleted here: 90s, 15m, 2h, 3d, 1w.",
)
def command(
    *,
    directory: str | None,
    url: str,
    prefix: str | None,
    name: str | None,
    include_closed: bool,
    expire: timedelta,
) -> int:
    """Publish sessions to Redis Streams, for readers on other machines."""
    if expire < timedelta(seconds=1):
        raise click.UsageError("--expire is at least 1s")
    relaying = _Relaying(directory, url, prefix, name, expire, include_closed=include_closed)
    anyio.run(relaying.run)
    return 0


@dataclass
class _Relaying:
    """One relay, from its start to its end."""

    directory: str | None
    url: str
    prefix: str | None
    name: str | None
    expire: timedelta
    include_closed: bool

    async def run(self) -> None:
        """Publish until SIGTERM."""
        from sessiontail.relay.relayed import host_name, relay_sessions  # noqa: PLC0415 - --help does without

        name = host_name() if self.name is None else self.name
        where = sessions_dir(self.directory)
        with unwrapped():
            async with anyio.create_task_group() as group:
                group.start_soon(_end_on_sigterm, group.cancel_scope)
                await group.start(
                    partial(
                        relay_sessions,
                        self.url,
                        directory=where,
                        prefix=self.prefix,
                        name=name,
                        include_closed=self.include_closed,
                        expire=self.expire,
                        on_note=note,
                    )
                )
                there = "" if where.is_dir() else ", which is not there yet"
                note(f"publishing the sessions of {where}{there} as {name}; Ctrl-C stops")


async def _end_on_sigterm(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()

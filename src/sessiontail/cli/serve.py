"""``sessiontail serve``: the page on which running sessions move, and the HTTP interface."""

from __future__ import annotations

import atexit
import gc
import os
import secrets
import signal
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import quote

import anyio
import click

from sessiontail.cli.beside import unwrapped
from sessiontail.cli.mirrored import from_option, mirror_directory, mirroring
from sessiontail.cli.options import directory_option
from sessiontail.cli.terminal import Output, note
from sessiontail.errors import MissingExtra
from sessiontail.store import SessionStore
from sessiontail.system.descriptors import raise_limit

__all__ = ["command"]

_PORT = 8642


@click.command(
    epilog="""\
\b
Examples:
  sessiontail serve                     then open http://127.0.0.1:8642 in a browser
  sessiontail serve --demo              on a machine without sessions: agents write some
  sessiontail serve --port 0            a free port is picked; the first line says which
  SESSIONTAIL_TOKEN=secret sessiontail serve --host 0.0.0.0
                                        for other machines, which need the token
  sessiontail serve --from redis://10.0.0.5
                                        sessions of all machines that relay theirs there

\b
For programs, in any language (ID is a session's whole id):
  curl http://127.0.0.1:8642/api/sessions
  curl -N http://127.0.0.1:8642/api/sessions/ID/events
  curl -N -H 'Accept: application/x-ndjson' http://127.0.0.1:8642/api/sessions/ID/events
  curl -N -H 'Last-Event-ID: st1...' http://127.0.0.1:8642/api/sessions/ID/events
                                        goes on behind that event, exactly
  curl -H 'Authorization: Bearer secret' http://...
                                        where there is a token
  curl http://127.0.0.1:8642/openapi.json
                                        all there is

\b
What is read is never changed, and nothing can be deleted. Without a token, whoever may open a
connection to this machine's loopback may read: all its users. There is no TLS: for the way through a
network that is not yours, put a proxy before it, or 'ssh -L 8642:127.0.0.1:8642 HOST'.

\b
The URL is the first line on stdout, when requests are answered; all else goes to stderr.
Ctrl-C and SIGTERM end all streams, then the server; a second Ctrl-C ends it at once.
Exit codes: 0 ended by SIGTERM, 1 the address cannot be had, 2 usage, 130 interrupted.
"""
)
@directory_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="HOST",
    help="The address, or a name of it, to listen on. One that other machines reach (0.0.0.0, :: is "
    "all) needs a token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=_PORT,
    show_default=True,
    metavar="N",
    help="The port to listen on; 0 has a free one picked.",
)
@click.option(
    "--token",
    envvar="SESSIONTAIL_TOKEN",
    metavar="TOKEN",
    help="What every client must know. Better in the environment, as SESSIONTAIL_TOKEN: other users of "
    "this machine see what a command is called with.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name under which the server is reached, as its proxy's; may be repeated. Requests for "
    "other names are refused.  [default: those of this machine]",
)
@from_option
@click.option(
    "--demo", is_flag=True, help="Serve sessions that agents write here and now; no model is asked."
)
def command(
    *,
    directory: str | None,
    host: str,
    port: int,
    token: str | None,
    hosts: tuple[str, ...],
    source: str | None,
    demo: bool,
) -> int:
    """Serve a page on which running sessions move, and the same over HTTP for programs."""
    if demo and directory is not None:
        raise click.UsageError("--demo brings its own sessions: leave --dir out")
    if demo and source is not None:
        raise click.UsageError("--demo brings its own sessions: leave --from out")
    try:
        from sessiontail.service import server  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if error.name != "uvicorn":
            raise
        raise MissingExtra("serve needs uvicorn: pip install uvicorn") from error
    from sessiontail.service.guard.hosts import is_loopback  # noqa: PLC0415 - an extra
    from sessiontail.service.guard.tokens import Token  # noqa: PLC0415 - an extra

    if token is not None:
        try:
            Token(token)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    output = Output()
    raise_limit()  # each stream is a connection and half a file
    with server.listen(host, port) as listener:
        bound = listener.getsockname()[0]
        if token is None and not is_loopback(bound):
            raise click.UsageError(
                f"--host {host} lets other machines in: give a token that they must know, for example "
                f"SESSIONTAIL_TOKEN={secrets.token_urlsafe(24)}"
            )
        directory = click.get_current_context().with_resource(mirror_directory(source, directory))
        task = _Serving(directory, listener, bound, token, hosts, output, source=source, demo=demo)
        # All memory is given back at once: to look for garbage in it first takes half a second.
        atexit.register(gc.freeze)
        number = anyio.run(task.run)
    return 130 if number == signal.SIGINT else 0


@dataclass
class _Serving:
    """One server, from its start to its end."""

    directory: str | None
    listener: socket.socket
    bound: str
    token: str | None
    hosts: tuple[str, ...]
    output: Output
    source: str | None
    demo: bool

    async def run(self) -> signal.Signals:
        """Serve until a signal says to stop."""
        from sessiontail.service import create_app, server  # noqa: PLC0415 - an extra
        from sessiontail.service.guard.hosts import hosts_for  # noqa: PLC0415 - an extra

        async with AsyncExitStack() as stack:
            stack.enter_context(unwrapped())
            where: str | os.PathLike[str] | None = self.directory
            if self.demo:
                from sessiontail.cli.demo_directory import demo_directory  # noqa: PLC0415 - starts agents

                where = await stack.enter_async_context(demo_directory())
            store = SessionStore(where)
            await stack.enter_async_context(mirroring(self.source, store.directory))
            try:
                app = create_app(
                    store, token=self.token, allowed_hosts=hosts_for(self.bound, self.hosts)
                )
            except ValueError as error:
                raise click.UsageError(f"--allow-host: {error}") from None
            return await server.serve(
                app,
                self.listener,
                ready=lambda: self._tell(store, server.url_of(self.listener)),
                tell=note,
            )

    def _tell(self, store: SessionStore, url: str) -> None:
        self.output.line(url)
        self.output.flush()
        link = url if self.token is None else f"{url}/?token={quote(self.token, safe='')}"
        there = "" if store.directory.is_dir() else ", which is not there yet"
        note(f"serving the sessions of {store.directory}{there}")
        note(f"open {link} in a browser; Ctrl-C stops")
        if self.bound in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            note(
                f"other machines reach it as http://{socket.gethostname()}:{url.rpartition(':')[2]}"
            )

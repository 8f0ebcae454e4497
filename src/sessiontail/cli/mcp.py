"""``sessiontail mcp``: tools for agents, over standard input and output."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Awaitable, Callable

import anyio
import click

from sessiontail.cli.options import directory_option
from sessiontail.cli.terminal import note
from sessiontail.store import SessionStore

__all__ = ["command"]


@click.command(
    epilog="""\
\b
To be pasted into the configuration of a client (.mcp.json, claude_desktop_config.json, mcp.json):
  {
    "mcpServers": {
      "sessiontail": {
        "command": "sessiontail",
        "args": ["mcp", "--dir", "/home/me/.openrath/sessions"]
      }
    }
  }

\b
The client starts it, and ends it. One that does not find the command needs its whole path, as that
of a venv: /home/me/project/.venv/bin/sessiontail. The tools:
  list_sessions   which sessions there are, and which of them run
  read_session    the records of one, page by page
  search          a text or a regular expression in all of them
  wait_for        blocks until an agent says or does something, or its session ends
  usage, lineage  tokens; which session comes from which

\b
'sessiontail serve' has the same tools at /mcp, over HTTP, for many clients and other machines.

\b
Examples:
  sessiontail mcp                       the sessions that openrath writes here
  sessiontail mcp --dir ./sessions      those of a directory
  claude mcp add sessiontail -- sessiontail mcp --dir /home/me/.openrath/sessions
                                        a client that takes it as a command

\b
Exit codes: 0 the client has closed its end, 2 usage, 130 interrupted, 143 SIGTERM.
"""
)
@directory_option
def command(*, directory: str | None) -> int:
    """Give agents tools to list, read, search and await sessions (MCP, over stdin and stdout).

    They read and change nothing. What other agents have written is given as data, marked so that no
    text can pose as anything else.
    """
    from sessiontail.mcp.server import ToolServer  # noqa: PLC0415 - an optional extra
    from sessiontail.mcp.stdio import serve_stdio  # noqa: PLC0415 - an optional extra
    from sessiontail.mcp.toolbox import Toolbox  # noqa: PLC0415 - an optional extra

    # The SDK warns through the root logger, which would print what a client has sent.
    logging.getLogger().addHandler(logging.NullHandler())
    store = SessionStore(directory)
    if sys.stdin is not None and sys.stdin.isatty():  # a client's log has no use for it
        note(f"an MCP server for {store.directory}; a client's messages are expected on stdin")

    async def serve(stopping: anyio.Event) -> None:
        await serve_stdio(ToolServer(Toolbox(store)), stopping=stopping)

    return anyio.run(_serve, store, serve)


async def _serve(store: SessionStore, serve: Callable[[anyio.Event], Awaitable[None]]) -> int:
    """Serve until the client or a signal ends it, a second one at once; return the exit code."""
    code = 0
    stopping = anyio.Event()
    async with store, anyio.create_task_group() as tasks:

        async def end_by_signal() -> None:
            nonlocal code
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for number in signals:
                    if stopping.is_set():
                        tasks.cancel_scope.cancel()
                    code = 128 + number
                    stopping.set()

        tasks.start_soon(end_by_signal)
        await serve(stopping)
        tasks.cancel_scope.cancel()
    return code

"""arguments -> a command run, and what went wrong as one line and an exit code.

Each command's module is imported when it is called: ``--help`` reads no session, so it does not
wait for what does.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module

import click

from sessiontail.cli.mistakes import as_line, no_such_command
from sessiontail.cli.options import directory_option
from sessiontail.cli.terminal import note

__all__ = ["COMMANDS", "application", "run"]

COMMANDS = {
    "ls": "List sessions: state, age, chunks, size, tokens, lineage.",
    "cat": "Print sessions: roles, text, tool calls, results, damage.",
    "grep": "Search sessions: text, tool arguments, results.",
    "tail": "Print the last records, and with -f what follows.",
    "top": "Watch all running sessions in one live table.",
    "lineage": "Show which session descends from which: trees, JSON, pictures.",
    "audit": "Count everything: damage, rows, tools, tokens; CSV, Parquet, HTML, SQL.",
    "rm": "Delete sessions that nobody writes.",
    "prune": "Delete old sessions by rule; shows the plan first.",
    "export": "Write a session as messages, a page or a trajectory.",
    "repair": "Write a clean copy of a damaged session.",
    "serve": "Serve a live page, and the same over HTTP for programs.",
    "mcp": "Give agents tools to list, read, search and await sessions (MCP).",
    "relay": "Publish sessions to Redis, for readers on other machines.",
    "demo": "Watch agents at work, here and now; needs no sessions.",
    "help": "Show how one of these is used, with examples.",
}

_EPILOG = """\
\b
Examples:
  sessiontail demo                      see it at work, in ten seconds
  sessiontail ls --since 2d             sessions of the last two days
  sessiontail cat 4f2c                  one session; any unique prefix of its id
  sessiontail tail -f                   every running session, live
  sessiontail tail -f 4f2c -o jsonl     one session until it ends, for a program
  sessiontail prune --older-than 30d    the plan first; then asks
  sessiontail help tail                 all options of a command, with examples

\b
Sessions lie in the first of these: where --dir says; $OPENRATH_HOME/sessions;
./.openrath/sessions, if there is ./.openrath; ~/.openrath/sessions.
<id>.jsonl is a session that was closed, <id>.jsonl.__partial__ one that runs or crashed.

\b
An ID is an id, any beginning of it that no other session has, or the path of a file.
'-' reads IDs from standard input, one a line:
  sessiontail ls --state abandoned -o jsonl | jq -r .id | sessiontail cat -

\b
Data goes to stdout, everything else to stderr.
Exit codes: 0 fine, 1 nothing found or findings, 2 usage, 3 damaged input with --strict,
130 interrupted.

\b
What is heard of the environment: OPENRATH_HOME (above), NO_COLOR and FORCE_COLOR, SESSIONTAIL_PAGER,
then PAGER, for listings that are longer than the screen.

\b
Completion of commands, options and ids; for bash, in ~/.bashrc (zsh, fish likewise):
  eval "$(_SESSIONTAIL_COMPLETE=bash_source sessiontail)"
"""


class Stopped(Exception):
    """A command was interrupted, or its output failed: click would end the process itself."""

    def __init__(self, command: str | None) -> None:
        #: The exit code where it failed: 1 is no failure of grep's.
        self.failed = 2 if command == "grep" else 1


class _Told(logging.Handler):
    """Keeps what is warned of until the command is done: a bar may be drawn meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self._lines.append(record.getMessage())

    def tell(self) -> None:
        """Print what was kept."""
        lines, self._lines = self._lines, []
        for line in lines:
            note(line)


_of_cache = _Told()


class LazyGroup(click.Group):
    """Imports a command's module when the command is asked for."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (OSError, KeyboardInterrupt) as error:
            raise Stopped(ctx.invoked_subcommand) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return a command, None where there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        # What the library warns of, the commands tell in their own words.
        logging.getLogger("sessiontail").addHandler(logging.NullHandler())
        # But for the cache, of which a command knows nothing.
        logging.getLogger("sessiontail.cache").addHandler(_of_cache)
        command: click.Command = import_module(f"sessiontail.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the words begin with, and the words behind it."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise no_such_command(error.command_name, COMMANDS, ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    epilog=_EPILOG,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@directory_option
@click.version_option(package_name="sessiontail", message="%(prog)s %(version)s")
@click.pass_context
def application(ctx: click.Context, directory: str | None) -> int:  # noqa: ARG001 - read by commands
    """Read what agents write, while they write it: session files, live and at rest."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        return 2
    return 0


def run(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit code, and print what went wrong as one line."""
    try:
        return _run(arguments)
    finally:
        _of_cache.tell()


def _run(arguments: list[str] | None) -> int:
    try:
        result = application.main(arguments, prog_name="sessiontail", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.UsageError as error:
        note(as_line(error))
        return 2
    except click.ClickException as error:
        note(error.format_message())
        return 1
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BaseException as error:
        code = _explain(error)
        if code is None:
            raise
        return code
    return result if isinstance(result, int) else 0


def _explain(error: BaseException) -> int | None:
    """Print an error as a line and return its exit code; None for what nobody foresaw."""
    # A task group wraps what its tasks raise; the first one is what happened.
    cause = error.__cause__ or error if isinstance(error, Stopped) else error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    if isinstance(cause, KeyboardInterrupt):
        return 130
    if isinstance(cause, BrokenPipeError):
        _drop_stdout()
        return 0
    if isinstance(cause, OSError):
        _drop_stdout()
        note(f"cannot write: {cause.strerror or cause}")
        return error.failed if isinstance(error, Stopped) else 1
    code = _code(cause)
    if code is not None:
        note(str(cause))
    return code


def _code(error: BaseException) -> int | None:
    from sessiontail.errors import (  # noqa: PLC0415 - --help does without
        CursorInvalid,
        DamagedSession,
        InvalidSessionId,
        MissingExtra,
        PersistenceError,
    )

    if isinstance(error, (CursorInvalid, InvalidSessionId, MissingExtra)):
        return 2
    if isinstance(error, DamagedSession):
        return 3
    return 1 if isinstance(error, PersistenceError) else None


def _drop_stdout() -> None:
    """Lead stdout nowhere: the interpreter flushes it once more at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)

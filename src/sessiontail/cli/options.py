"""options that several commands have -> decorators that add them, each with one help text.

Nothing of the reader is imported here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from sessiontail.cli.escaping import one_line
from sessiontail.cli.mistakes import OneOf
from sessiontail.cli.terminal import note
from sessiontail.cli.values import Moment, Regex, WindowType

__all__ = [
    "KINDS",
    "STATES",
    "cache_option",
    "created_options",
    "directory_argument",
    "directory_option",
    "grep_option",
    "id_argument",
    "inherited_option",
    "kinds_option",
    "output_option",
    "states_option",
    "window_option",
]

STATES = ("closed", "live", "abandoned", "unknown")
KINDS = ("system", "user", "assistant", "tool_result", "header", "trailer", "damage")

_F = TypeVar("_F", bound=Callable[..., Any])


def _directory(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return the command's own --dir, else the one before the command; a URL as it is."""
    if not value:
        above: str | None = ctx.find_root().params.get("directory")
        return above
    if "://" in value:  # in a bucket
        return value
    if os.path.lexists(value) and not os.path.isdir(value):  # noqa: PTH112 - pathlib takes 10 ms of --help
        raise click.BadParameter(f"{value} is no directory; give the one where sessions lie")
    from sessiontail.system.paths import find_sessions_dir  # noqa: PLC0415 - --help does without

    found = str(find_sessions_dir(value))
    if found != os.path.normpath(value) and not ctx.resilient_parsing:  # not while completing
        said = "--dir " if isinstance(parameter, click.Option) else ""
        note(f"{said}{value}: the sessions lie in {found}")
    return found


def _where(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return the directory that is named without an option."""
    return _directory(ctx, parameter, value) if value else value


def directory_option(function: _F) -> _F:
    """Add ``--dir``."""
    return click.option(
        "--dir",
        "directory",
        metavar="DIR",
        type=click.Path(),
        callback=_directory,
        help="Where the session files lie: s3://, gs:// or az://BUCKET/PREFIX, where closed sessions "
        "are read; their directory, or the one above it, which holds "
        "'sessions' and no session files. One that is not there yet is taken as it is typed, "
        "but for '.openrath', where 'sessions' is meant.  [default: $OPENRATH_HOME/sessions, "
        "else ./.openrath/sessions, else ~/.openrath/sessions]",
    )(function)


def cache_option(function: _F) -> _F:
    """Add ``--no-cache``."""
    return click.option(
        "--no-cache",
        "cache",
        flag_value=False,
        default=True,
        help="Read all files anew, instead of taking what was kept of those that have not changed; "
        "and keep nothing.",
    )(function)


def directory_argument(function: _F) -> _F:
    """Add DIR, which says what ``--dir`` says, or a URL."""
    return click.argument(
        "where", metavar="[DIR|URL]", required=False, type=click.Path(), callback=_where
    )(function)


def output_option(
    *forms: str, default: str = "text", json: str = "json", text: str
) -> Callable[[_F], _F]:
    """Add ``-o``, and ``--json`` for the form that a program wants.

    Args:
        forms: that can be chosen.
        default: one of them.
        json: the one that ``--json`` stands for.
        text: what they are.
    """

    def add(function: _F) -> _F:
        streams = " One object a line, as it comes." if json == "jsonl" else ""
        alias = click.option(
            "--json", "output", flag_value=json, help=f"The same as -o {json}.{streams}"
        )
        return click.option(
            "-o",
            "--output",
            "output",
            type=OneOf(forms),
            default=default,
            show_default=True,
            help=text,
        )(alias(function))

    return add


def states_option(text: str) -> Callable[[_F], _F]:
    """Add ``--state``."""
    return click.option("--state", "states", type=OneOf(STATES), multiple=True, help=text)


def created_options(function: _F) -> _F:
    """Add ``--since`` and ``--until``, which choose sessions by when they were created."""
    since = click.option("--since", type=Moment(), help="Created at or after: 2h, 3d, 2026-01-31.")
    until = click.option("--until", type=Moment(), help="Created before: 2h, 3d, 2026-01-31.")
    return since(until(function))


def kinds_option(function: _F) -> _F:
    """Add ``-k``."""
    return click.option(
        "-k",
        "--kind",
        "kinds",
        type=OneOf(KINDS),
        multiple=True,
        metavar="KIND",
        help=f"Only records of this kind; may be repeated. One of {', '.join(KINDS)}.",
    )(function)


def grep_option(function: _F) -> _F:
    """Add ``-g``."""
    return click.option(
        "-g",
        "--grep",
        type=Regex(),
        metavar="REGEX",
        help="Only records whose text matches; the matches are highlighted.",
    )(function)


def inherited_option(function: _F) -> _F:
    """Add ``--inherited``."""
    return click.option(
        "--inherited",
        is_flag=True,
        help="Also the rows that a session has copied from an earlier one; else a line says how "
        "many they are. -o raw, and messages of cat, have them always.",
    )(function)


def window_option(text: str) -> Callable[[_F], _F]:
    """Add ``-n``."""
    return click.option("-n", "--lines", "window", type=WindowType(), metavar="N|+N|all", help=text)


def id_argument(*, many: bool, required: bool) -> Callable[[_F], _F]:
    """Add the argument ID, or IDs."""
    return click.argument(
        "ids" if many else "session_id",
        metavar=("ID" if required else "[ID]") + "..." * many,
        nargs=-1 if many else 1,
        required=required,
        shell_complete=complete_ids,
    )


def complete_ids(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the ids that begin so, from the names in the directory alone."""
    from sessiontail.system.paths import sessions_dir, split_name  # noqa: PLC0415 - --help does without

    try:
        names = os.listdir(sessions_dir(ctx.params.get("directory")))  # noqa: PTH208 - names, not paths
    except (OSError, RuntimeError):
        return []
    # A name that no line can show is not offered: it is typed by its path.
    stems = {
        split[0] for split in map(split_name, names) if split and one_line(split[0]) == split[0]
    }
    return [CompletionItem(stem) for stem in sorted(stems) if stem.startswith(incomplete)]

"""words on the command line -> values: spans, moments, sizes, windows.

Nothing of the reader is imported here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import click
from click.shell_completion import CompletionItem

from sessiontail.cli.escaping import one_line
from sessiontail.cli.mistakes import OneOf
from sessiontail.cli.terminal import note

__all__ = [
    "KINDS",
    "STATES",
    "Moment",
    "Regex",
    "Size",
    "Span",
    "Window",
    "cache_option",
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

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}

_F = TypeVar("_F", bound=Callable[..., Any])


class Window(NamedTuple):
    """Which of a session's records are meant."""

    #: So many at the end; None: all of them.
    last: int | None = None
    #: From this one on, counted from 1.
    first: int = 1


class Span(click.ParamType[timedelta]):
    """A length of time: 90s, 15m, 2h, 3d, 1w."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the span."""
        if isinstance(value, timedelta):
            return value
        span = _span(str(value))
        if span is None:
            self.fail(f"{value!r} is no span of time; write 90s, 15m, 2h, 3d or 1w", param, ctx)
        return span


class Moment(click.ParamType[datetime]):
    """A time: so long ago (2h, 3d), or an ISO date; without an offset it is local time."""

    name = "when"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the moment, aware."""
        if isinstance(value, datetime):
            return value
        try:
            span = _span(str(value))
            if span is not None:
                return datetime.now(UTC) - span
            return datetime.fromisoformat(str(value)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time; write 2h, 3d, 2026-01-31 or 2026-01-31T08:00", param, ctx
            )


class Size(click.ParamType[int]):
    """A number of bytes: 4096, 500K, 200M, 10G; K is 1024."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", str(value).strip(), re.IGNORECASE)
        if match is None:
            self.fail(f"{value!r} is no size; write 4096, 500K, 200M or 10G", param, ctx)
        return int(float(match[1]) * 1024 ** _POWERS[match[2].upper()])


class WindowType(click.ParamType[Window]):
    """N, +N or all."""

    name = "N|+N|all"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Window:
        """Return the window."""
        if isinstance(value, Window):
            return value
        text = str(value)
        if text == "all":
            return Window()
        # 18 digits: more do not fit what counts them.
        if re.fullmatch(r"\+?\d{1,18}", text, re.ASCII) is None:
            self.fail(
                f"{text!r}: write 10 (the last ten), +10 (from the tenth on) or all", param, ctx
            )
        if text.startswith("+"):
            return Window(first=max(1, int(text)))
        return Window(last=int(text))


class Regex(click.ParamType[re.Pattern[str]]):
    """A regular expression, as Python writes them."""

    name = "regex"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> re.Pattern[str]:
        """Return the pattern."""
        try:
            return re.compile(value)
        except (re.error, RecursionError, OverflowError) as error:
            self.fail(
                f"{value!r} is no regular expression: {error}; a sign that is meant as it stands "
                "takes a backslash before it",
                param,
                ctx,
            )


def _span(text: str) -> timedelta | None:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if match is None:
        return None
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        return None


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

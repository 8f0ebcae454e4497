"""words on the command line -> values: spans, moments, sizes, windows, patterns.

Nothing of the reader is imported here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import click

from sessiontail.format.moments import moment_of, span_of

__all__ = ["Moment", "NewFile", "Regex", "Size", "Span", "Window", "WindowType"]

_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


class Window(NamedTuple):
    """Which of a session's records are meant."""

    #: So many at the end; None: all of them.
    last: int | None = None
    #: From this one on, counted from 1.
    first: int = 1


class NewFile(click.ParamType[str]):
    """The name of a file that is to be written.

    Args:
        printed: whether the command prints where no file is named.
    """

    name = "file"

    def __init__(self, *, printed: bool = True) -> None:
        self._printed = printed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name; "-" means standard output elsewhere, and would be a file's name here."""
        if value == "-":
            what = "leave out --to to print" if self._printed else "name a new one"
            self.fail(f"'-' is no file; {what}", param, ctx)
        return str(value)


class Span(click.ParamType[timedelta]):
    """A length of time: 90s, 15m, 2h, 3d, 1w."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the span."""
        if isinstance(value, timedelta):
            return value
        span = span_of(str(value))
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
        moment = moment_of(str(value), datetime.now(UTC))
        if moment is None:
            self.fail(
                f"{value!r} is no time; write 2h, 3d, 2026-01-31 or 2026-01-31T08:00", param, ctx
            )
        return moment


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

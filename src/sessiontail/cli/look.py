"""how the output is to look, from the command line -> an ``Output``, and how much of a record.

Nothing of the reader is imported here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, get_args

import click

from sessiontail.cli.colors import When
from sessiontail.cli.terminal import Output

__all__ = ["Look", "look_options"]

# Of a record at a terminal: most are shorter, and a result that is not leaves room for the next.
_LINES = 40

_F = TypeVar("_F", bound=Callable[..., Any])


class Look(NamedTuple):
    """What was asked for."""

    color: When = "auto"
    #: Whether a listing goes through the pager.
    pager: bool = False
    max_lines: int | None = None
    full: bool = False
    force: bool = False

    def open(self, form: str = "text") -> Output:
        """Return standard output; a pager ends with the command.

        Raises:
            click.UsageError: ``raw`` is meant for a terminal, without ``--force``.
        """
        output = Output(self.color, paged=self.pager and form != "raw")
        if form == "raw" and output.terminal and not self.force:
            raise click.UsageError(
                "-o raw writes what agents wrote, also what commands a terminal: "
                "lead it to a file or a program, or add --force"
            )
        context = click.get_current_context(silent=True)
        return output if context is None else context.with_resource(output)

    def lines(self, output: Output) -> int | None:
        """Return how many lines of a record are shown; None: all of them."""
        if self.full:
            return None
        return self.max_lines or (_LINES if output.terminal else None)


def look_options(*, records: bool, paged: bool) -> Callable[[_F], _F]:
    """Add the options that make a ``look``.

    Args:
        records: those of records: ``--max-lines``, ``--full`` and ``--force``.
        paged: what is printed goes through a pager: ``--no-pager``.
    """

    def decorate(function: _F) -> _F:
        @functools.wraps(function)
        def command(
            *,
            color: When,
            no_pager: bool = True,
            max_lines: int | None = None,
            full: bool = False,
            force: bool = False,
            **others: Any,
        ) -> Any:
            look = Look(color, not no_pager, max_lines, full, force)
            return function(look=look, **others)

        options = [_COLOR]
        if records:
            options += _RECORDS
        if paged:
            options.append(_NO_PAGER)
        for option in reversed(options):
            option(command)
        return command  # type: ignore[return-value]  # the command that click makes of it

    return decorate


_COLOR = click.option(
    "--color",
    type=click.Choice(get_args(When)),
    default="auto",
    show_default=True,
    help="Colours; auto: at a terminal, unless NO_COLOR is set, and where FORCE_COLOR is.",
)
_NO_PAGER = click.option(
    "--no-pager",
    is_flag=True,
    help="Print straight to the terminal; else what is longer goes through $SESSIONTAIL_PAGER, "
    "$PAGER or less.",
)
_RECORDS: list[Callable[[Any], Any]] = [
    click.option(
        "--max-lines",
        type=click.IntRange(min=1),
        metavar="N",
        help=f"Of a longer record, the first N lines ({_LINES} at a terminal, else all).",
    ),
    click.option("--full", is_flag=True, help="All lines of every record."),
    click.option("--force", is_flag=True, help="With -o raw, also to a terminal."),
]

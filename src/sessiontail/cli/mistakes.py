"""a usage error -> one line that says what to do, with the nearest word that there is.

Nothing of the reader is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import click

__all__ = ["OneOf", "as_line", "did_you_mean", "no_such_command"]


class OneOf(click.Choice[str]):
    """One word of several; another is answered with the nearest."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Return what is wrong, and what may have been meant."""
        message = super().get_invalid_choice_message(value, ctx).rstrip(".")
        return message + did_you_mean(str(value), self.choices)


def no_such_command(name: str, commands: Iterable[str], ctx: click.Context) -> click.UsageError:
    """Return the error for a command that there is not."""
    return click.UsageError(f"no such command {name!r}{did_you_mean(name, commands)}", ctx)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return the nearest of some words as the end of a sentence; "" where none is near."""
    near = get_close_matches(word.lower(), words, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def as_line(error: click.UsageError) -> str:
    """Return a usage error as one line: what is wrong, the nearest, and else where help is."""
    message = error.message
    if isinstance(error, click.NoSuchOption):
        message = message.rstrip(".") + did_you_mean(error.option_name, _options(error.ctx))
    else:
        message = error.format_message()
    message = " ".join(message.split()).rstrip(".")
    if message[1:2].islower():  # as every other note; but no option's name and no ID
        message = message[0].lower() + message[1:]
    if message.endswith("?"):
        return message
    path = error.ctx.command_path if error.ctx else "sessiontail"
    return f"{message}; see '{path} --help'"


def _options(ctx: click.Context | None) -> list[str]:
    if ctx is None:
        return []
    return [
        name
        for parameter in ctx.command.get_params(ctx)
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    ]

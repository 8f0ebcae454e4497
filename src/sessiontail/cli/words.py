"""ids on the command line, and on standard input where one is ``-`` -> ids.

Nothing of the reader is imported here.
"""

from __future__ import annotations

import os
import sys

import click

from sessiontail.cli.terminal import note

__all__ = ["given_ids"]


def given_ids(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ids that are meant; in the place of "-" stands what standard input says.

    One id a line; blank lines, and blanks around an id, do not count. It is read to its end before
    anything is done.

    Raises:
        click.ClickException: standard input says nothing.
    """
    if "-" not in words:
        return words
    if sys.stdin is not None and sys.stdin.isatty():
        note("type ids, one a line; Ctrl-D ends them")
    lines = sys.stdin.buffer.read().splitlines() if sys.stdin is not None else []
    # As the words of the command line are: a path may be no text.
    said = [os.fsdecode(line.strip()) for line in lines if line.strip()]
    if not said:
        raise click.ClickException("no id on standard input: '-' reads them there, one a line")
    at = words.index("-")
    # It is read once, whoever asks for it twice.
    return (*words[:at], *said, *[word for word in words[at + 1 :] if word != "-"])

"""``sessiontail cat``: one session, as far as it is written."""

from __future__ import annotations

import re
from uuid import UUID

import anyio
import click

from sessiontail.cli.look import Look, look_options
from sessiontail.cli.options import (
    Window,
    directory_option,
    grep_option,
    id_argument,
    kinds_option,
    window_option,
)
from sessiontail.cli.printing import Form, Printer
from sessiontail.cli.rendering import EXCERPT
from sessiontail.cli.slices import FileSlices
from sessiontail.cli.targets import resolve
from sessiontail.cli.terminal import note
from sessiontail.cli.window import print_window
from sessiontail.errors import DamagedSession
from sessiontail.format.folding import damaged
from sessiontail.format.records import Damage, Record
from sessiontail.session.reading import SessionReader
from sessiontail.store import SessionStore

__all__ = ["command", "print_session"]

_EVERYTHING = Window()


@click.command(
    epilog="""\
\b
Examples:
  sessiontail cat 4f2c                      all of it, for people
  sessiontail cat 4f2c -k assistant -n 1    the last answer
  sessiontail cat 4f2c -g 'Traceback'       records whose text matches
  sessiontail cat 4f2c -n +100              from the hundredth record on
  sessiontail cat ./run.jsonl --strict      exit code 3 at the first damaged line
  sessiontail cat 4f2c -o messages          for a chat API: an array of role and content
  sessiontail cat 4f2c -o raw > copy.jsonl  the file's whole lines, byte for byte

\b
Exit codes: 0 printed, 1 no such session or nothing to print, 2 usage, 3 damaged (--strict).
"""
)
@directory_option
@kinds_option
@grep_option
@window_option("The last N records; +N: from the N-th on. Counted after -k and -g.")
@click.option("--strict", is_flag=True, help="Stop at the first damaged line, with exit code 3.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "jsonl", "raw", "messages"]),
    default="text",
    show_default=True,
    help="jsonl: one object a record. raw: the file's lines. messages: OpenAI chat form.",
)
@look_options(records=True, paged=True)
@id_argument(many=False, required=True)
def command(
    *,
    directory: str | None,
    session_id: str,
    kinds: tuple[str, ...],
    window: Window | None,
    strict: bool,
    output: Form,
    grep: re.Pattern[str] | None,
    look: Look,
) -> int:
    """Print one session, up to its end as it is now.

    ID is an id, the beginning of one, or a path. Damaged lines are shown where they are, with
    their place in the file; so is what a crash left after the last whole line.
    """
    out = look.open(output)

    async def show() -> int:
        store = SessionStore(directory)
        target = await resolve(store, session_id)
        # A long file is not read for its end, where each line counts.
        last = window.last if window and not (kinds or grep or strict) else None
        async with target.read(store, last=last) as feed:
            return await print_session(
                feed,
                Printer(out, output, kinds=kinds, pattern=grep, max_lines=look.lines(out)),
                window=window or _EVERYTHING,
                strict=strict,
                session_id=target.session_id,
            )

    return anyio.run(show)


async def print_session(
    feed: SessionReader,
    printer: Printer,
    *,
    window: Window = _EVERYTHING,
    strict: bool = False,
    session_id: UUID | None = None,
) -> int:
    """Print a session, of this id where its file does not say; return the exit code.

    Raises:
        DamagedSession: a line is damaged (only with ``strict``).
    """

    def check(record: Record | None) -> None:
        if strict and isinstance(record, Damage):
            printer.close()
            raise damaged(record, feed.path)

    with FileSlices(feed) as file:
        await print_window(feed, file, window, printer, session_id=session_id, check=check)
        torn = b"" if printer.filtered else file.read(feed.offset, min(feed.torn_bytes, EXCERPT))
    if strict and feed.header is None:
        raise DamagedSession("no header: not a session file", path=feed.path, reason="no-header")
    printer.end(feed.torn_bytes, torn)
    if not printer.printed:
        note(f"{feed.path.name}: nothing to print")
    return 0 if printer.printed else 1

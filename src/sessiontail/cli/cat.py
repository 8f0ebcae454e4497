"""``sessiontail cat``: one session, as far as it is written."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing

import anyio
import click

from sessiontail.cli.options import (
    Window,
    directory_option,
    id_argument,
    kinds_option,
    window_option,
)
from sessiontail.cli.rendering import EXCERPT, Renderer, as_json, dump, kind_of
from sessiontail.cli.slices import FileSlices, entries
from sessiontail.cli.targets import resolve
from sessiontail.cli.terminal import Output, encoded, note
from sessiontail.errors import DamagedSession
from sessiontail.format.folding import damaged
from sessiontail.format.records import Chunk, Damage, Record
from sessiontail.session.reading import SessionReader
from sessiontail.store import SessionStore

__all__ = ["Printer", "command", "print_session"]

_EVERYTHING = Window()


@click.command(
    epilog="""\
\b
Examples:
  sessiontail cat 4f2c                      all of it, for people
  sessiontail cat 4f2c -k assistant -n 1    the last answer
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
@window_option("The last N records; +N: from the N-th on. Counted after -k.")
@click.option("--strict", is_flag=True, help="Stop at the first damaged line, with exit code 3.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "jsonl", "raw", "messages"]),
    default="text",
    show_default=True,
    help="jsonl: one object a record. raw: the file's lines. messages: OpenAI chat form.",
)
@id_argument(many=False, required=True)
def command(
    *,
    directory: str | None,
    session_id: str,
    kinds: tuple[str, ...],
    window: Window | None,
    strict: bool,
    output: str,
) -> int:
    """Print one session, up to its end as it is now.

    ID is an id, the beginning of one, or a path. Damaged lines are shown where they are, with
    their place in the file; so is what a crash left after the last whole line.
    """

    async def show() -> int:
        store = SessionStore(directory)
        target = await resolve(store, session_id)
        async with target.read(store) as feed:
            return await print_session(
                feed,
                Printer(Output(), output),
                kinds=kinds,
                window=window or _EVERYTHING,
                strict=strict,
            )

    return anyio.run(show)


async def print_session(
    feed: SessionReader,
    printer: Printer,
    *,
    kinds: tuple[str, ...] = (),
    window: Window = _EVERYTHING,
    strict: bool = False,
) -> int:
    """Print a session; return the exit code.

    Raises:
        DamagedSession: a line is damaged (only with ``strict``).
    """
    kept: deque[tuple[Record | None, bytes]] = deque(maxlen=window.last)
    seen = 0
    with FileSlices(feed) as file:
        async with aclosing(entries(feed, file, raw=printer.raw)) as found:
            async for batch in found:
                for record, raw in batch:
                    if strict and isinstance(record, Damage):
                        printer.close()
                        raise damaged(record, feed.path)
                    if kinds and (record is None or kind_of(record) not in kinds):
                        continue
                    seen += 1
                    if seen < window.first:
                        continue
                    if window.last is None:
                        printer.put(record, raw)
                    else:
                        kept.append((record, raw))
        for record, raw in kept:
            printer.put(record, raw)
        torn = file.read(feed.offset, min(feed.torn_bytes, EXCERPT)) if not kinds else b""
    if strict and feed.header is None:
        raise DamagedSession("no header: not a session file", path=feed.path, reason="no-header")
    printer.end(feed.torn_bytes, torn)
    if not printer.printed:
        note(f"{feed.path.name}: nothing to print")
    return 0 if printer.printed else 1


class Printer:
    """Prints the records of one session in one of the forms."""

    def __init__(self, output: Output, form: str) -> None:
        self._output = output
        self._form = form
        self._renderer = Renderer(output)
        #: Whether records come with their bytes.
        self.raw = form == "raw"
        #: Records printed so far.
        self.printed = 0
        # Damaged lines that the form has no place for.
        self._left_out = 0

    def put(self, record: Record | None, raw: bytes) -> None:
        """Print a record."""
        if self._form == "raw":
            self._output.bytes(raw)
        elif self._form == "jsonl" and record is not None:
            self._output.line(self._output.json(as_json(record)))
        elif self._form == "messages":
            self._left_out += isinstance(record, Damage)
            if not isinstance(record, Chunk):
                return
            self._output.bytes(b",\n" if self.printed else b"[\n")
            self._output.bytes(encoded(self._output.json(dump(record.to_message()))))
        elif record is not None:
            self._renderer.record(record)
        self.printed += 1

    def close(self) -> None:
        """Print the end of the form, and hand everything to the reader of the output."""
        if self._form == "messages":
            self._output.line("\n]" if self.printed else "[]")
        self._output.flush()

    def end(self, torn_bytes: int, torn: bytes) -> None:
        """Print what a crash left, and the end of the form."""
        if torn_bytes and self._form == "text":
            text = f"{torn_bytes} bytes after the last whole line, no record:\n"
            self._renderer.block("torn", text + torn.decode("utf-8", "backslashreplace"))
        self.close()
        if torn_bytes and self._form != "text":
            note(f"{torn_bytes} bytes after the last whole line left out: no record")
        if self._left_out:
            note(f"{self._left_out} damaged lines left out; -o text shows them")

"""``sessiontail cat``: sessions, as far as they are written."""

from __future__ import annotations

import re
from uuid import UUID

import anyio
import click

from sessiontail.cli.conversing import print_conversation
from sessiontail.cli.escaping import one_line
from sessiontail.cli.look import Look, look_options
from sessiontail.cli.options import (
    directory_option,
    grep_option,
    id_argument,
    inherited_option,
    kinds_option,
    output_option,
    window_option,
)
from sessiontail.cli.printing import Form, Printer
from sessiontail.cli.rendering import EXCERPT
from sessiontail.cli.slices import FileSlices
from sessiontail.cli.targets import Finder, Target, told_apart
from sessiontail.cli.terminal import note
from sessiontail.cli.values import Window
from sessiontail.cli.window import print_window
from sessiontail.cli.words import given_ids
from sessiontail.errors import DamagedSession, PersistenceError
from sessiontail.format.folding import damaged
from sessiontail.format.records import Damage, Record
from sessiontail.session.ends import no_header
from sessiontail.session.reading import SessionReader
from sessiontail.session.sieve import Inherited
from sessiontail.store import SessionStore

__all__ = ["command", "print_session"]

_EVERYTHING = Window()
_OBJECTS = ("json", "jsonl")


@click.command(
    epilog="""\
\b
Examples:
  sessiontail cat 4f2c                      all of it, for people
  sessiontail cat 4f2c -k assistant -n 1    the last answer
  sessiontail cat 4f2c -g 'Traceback'       records whose text matches
  sessiontail cat 4f2c -n +100              from the hundredth record on
  sessiontail cat 4f2c 81d0                 two of them, each below a line that names it
  sessiontail ls --since 1d -o jsonl | jq -r .id | sessiontail cat -
                                            those of the last day
  sessiontail cat --conversation 4f2c       all that led to it, from the first question on
  sessiontail cat ./run.jsonl --strict      exit code 3 at the first damaged line
  sessiontail cat 4f2c -o messages          for a chat API: an array of role and content
  sessiontail cat 4f2c -o raw > copy.jsonl  the file's whole lines, byte for byte

\b
Exit codes: 0 printed; 1 a session not found or not to be read, or nothing to print; 2 usage;
3 damaged (--strict); 130 interrupted.
"""
)
@directory_option
@kinds_option
@grep_option
@window_option(
    "The last N records of each session; +N: from the N-th on; all. Counted after -k and -g.  [default: all]"
)
@click.option("--strict", is_flag=True, help="Stop at the first damaged line, with exit code 3.")
@output_option(
    "text",
    "json",
    "jsonl",
    "raw",
    "messages",
    text="text: for people. json: one array of all records. jsonl: one object a record. raw: the "
    "file's lines. messages: OpenAI chat form, of one session.",
)
@inherited_option
@click.option(
    "--conversation",
    is_flag=True,
    help="The whole conversation, each message once: from its first session to the one of this ID.",
)
@look_options(records=True, paged=True)
@id_argument(many=True, required=True)
def command(
    *,
    directory: str | None,
    ids: tuple[str, ...],
    kinds: tuple[str, ...],
    window: Window | None,
    strict: bool,
    output: Form,
    grep: re.Pattern[str] | None,
    inherited: bool,
    conversation: bool,
    look: Look,
) -> int:
    """Print sessions, each up to its end as it is now.

    ID is an id, the beginning of one, or a path; '-' reads them from standard input, one a line.
    Damaged lines are shown where they are, with their place in the file; so is what a crash left
    after the last whole line. One that is not found keeps no other from being printed.

    A session that goes on with a conversation begins with a copy of what was said before: that is
    left out, and told.
    """
    out = look.open(output)
    ids = given_ids(ids)
    several = len(ids) > 1
    if several and output == "messages":
        raise click.UsageError(
            "-o messages needs one ID: run it once for each (xargs -n 1), or use -o jsonl"
        )

    if conversation and (several or inherited or strict or output == "raw"):
        raise click.UsageError(
            "--conversation needs one ID, and neither --strict, --inherited nor -o raw"
        )
    whole = inherited or output in ("raw", "messages")

    async def show() -> int:
        store = SessionStore(directory)
        found, missed = await Finder(store).find_all(ids)
        if not found:
            return 1
        printer = (_Several if several else Printer)(
            out, output, kinds=kinds, pattern=grep, max_lines=look.lines(out)
        )
        if conversation:
            return await print_conversation(store, found[0], printer, window or _EVERYTHING)
        # A long file is not read for its end, where each line counts.
        last = window.last if window and not (kinds or grep or strict) else None
        for target in told_apart(found):
            if isinstance(printer, _Several):
                printer.begin(target)
            feed = target.read(store, last=last, inherited="include" if whole else "skip")
            async with feed:
                try:
                    torn = await print_session(
                        feed,
                        printer,
                        window=window or _EVERYTHING,
                        strict=strict,
                        session_id=target.session_id,
                    )
                except DamagedSession:
                    raise
                except PersistenceError as error:
                    note(str(error))
                    missed += 1
                    continue
            if not feed.offset:  # not one whole line
                note(f"{feed.path.name}: {no_header(feed.path, torn)}")
                missed += 1
        printer.close()
        if not (printer.printed or missed):
            note("nothing to print" if several else f"{feed.path.name}: nothing to print")
        return 1 if missed or not printer.printed else 0

    return anyio.run(show)


class _Several(Printer):
    """Prints for people, above each session, which one it is; and tells once what it left out."""

    # Whose records come next, until the first of them.
    _next: Target | None = None
    # Sessions whose torn bytes were left out, and how many bytes.
    _torn = (0, 0)

    def begin(self, target: Target) -> None:
        """Note whose records come now."""
        self._next = target if self._form == "text" else None

    def put(
        self,
        record: Record | None,
        raw: bytes = b"",
        target: Target | None = None,
        session_id: UUID | str | None = None,
    ) -> None:
        """Print a record, below whose it is."""
        self._head()
        super().put(record, raw, target, session_id)

    def left_out(self, inherited: Inherited, target: Target | None = None) -> None:
        """Tell that inherited rows are left out, below whose they are."""
        name = self._next
        if not self.filtered:
            self._head()
        super().left_out(inherited, target or (name if self.filtered else None))

    def end(self, torn_bytes: int, torn: bytes) -> None:
        """Print what a crash left, below whose it is."""
        if self._form == "text" and not self.filtered:
            if torn_bytes:
                self._head()
            super().end(torn_bytes, torn)
        elif torn_bytes:
            self._torn = self._torn[0] + 1, self._torn[1] + torn_bytes

    def close(self) -> None:
        """Print the end of the form."""
        super().close()
        if self._torn[0]:
            note(
                f"{self._torn[1]} bytes after the last whole line, in {self._torn[0]} sessions, "
                "left out: no record"
            )

    def _head(self) -> None:
        target, self._next = self._next, None
        if target is not None:
            self._output.line(self._output.styled(f"==> {one_line(target.name)} <==", "bold"))


async def print_session(
    feed: SessionReader,
    printer: Printer,
    *,
    window: Window = _EVERYTHING,
    strict: bool = False,
    session_id: UUID | None = None,
) -> bytes:
    """Print a session; return the first bytes behind its last whole line.

    Args:
        feed: its records.
        printer: prints them.
        window: which of those that the printer wants.
        strict: stop at the first damaged line.
        session_id: the session's, where its file does not say.

    Raises:
        DamagedSession: a line is damaged (only with ``strict``).
    """

    def check(record: Record | None) -> None:
        if strict and isinstance(record, Damage):
            printer.close()
            raise damaged(record, feed.path)

    with FileSlices(feed) as file:
        await print_window(feed, file, window, printer, session_id=session_id, check=check)
        torn = file.read(feed.offset, min(feed.torn_bytes, EXCERPT))
    if strict and feed.header is None:
        raise DamagedSession(no_header(feed.path, torn), path=feed.path, reason="no-header")
    printer.end(feed.torn_bytes, torn)
    return torn

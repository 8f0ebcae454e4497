"""``sessiontail grep``: where a text stands in what was said, called and answered."""

from __future__ import annotations

import sys
from collections.abc import Collection
from datetime import datetime
from functools import partial
from typing import Literal

import anyio
import click

from sessiontail.cli.beside import unwrapped, watch_stdout
from sessiontail.cli.found import FoundPrinter
from sessiontail.cli.look import Look, look_options
from sessiontail.cli.mistakes import OneOf
from sessiontail.cli.options import (
    KINDS,
    created_options,
    directory_option,
    id_argument,
    output_option,
    states_option,
)
from sessiontail.cli.progress import Meter
from sessiontail.cli.targets import Finder, Target
from sessiontail.cli.telling import tell_skipped, tell_why_none
from sessiontail.cli.terminal import note
from sessiontail.cli.words import given_ids
from sessiontail.directory.search import Search
from sessiontail.directory.search_options import SearchOptions
from sessiontail.errors import InvalidPattern, PersistenceError
from sessiontail.format.brief import counted
from sessiontail.store import SessionStore

__all__ = ["command"]

_KINDS = tuple(kind for kind in KINDS if kind not in ("header", "trailer"))
# Files that are named of those that cannot be read.
_NAMED = 5
# How often the bar moves.
_MOVES_S = 0.1


@click.command(
    epilog="""\
\b
Examples:
  sessiontail grep -F 'KeyError: 42'     where this text stands, in all sessions
  sessiontail grep 'Trace(back|d)' 4f2c  a regular expression, in one session
  sessiontail grep -i todo -k user       what users said, in capitals or not
  sessiontail grep rm --tool bash -C 2   in what bash was given and gave, two lines around
  sessiontail grep -l Traceback --since 1d | sessiontail cat -
                                         the sessions of the last day that have it
  sessiontail grep -c deprecated         how many records match, a session each line
  sessiontail grep -f Traceback          and what follows, until Ctrl-C
  sessiontail grep todo -o jsonl | jq -r .text
                                         for a program

\b
PATTERN is a regular expression of the package regex (pip install regex), which reads them as
Python does, and more; a text of letters and digits, and any text with -F, needs none. ^ and $ match
at each line. A pattern that takes more than 2 s for one text ends the search with exit code 2 and
names the line. A line of output is ID:LINE:KIND TEXT, where LINE is that of the session's file.

\b
Exit codes: 0 found; 1 not found, also where there are no sessions; 2 an error, also where a session
could not be read, though others matched (as grep has them), and where the directory does not exist or
cannot be read; 130 interrupted.
"""
)
@directory_option
@click.option(
    "-F", "--fixed-strings", "literal", is_flag=True, help="PATTERN is a text, as it stands."
)
@click.option("-i", "--ignore-case", is_flag=True, help="Capitals and small letters are the same.")
@click.option("-c", "--count", is_flag=True, help="Only how many records match, of each session.")
@click.option(
    "-l",
    "--files-with-matches",
    "only_ids",
    is_flag=True,
    help="Only the ids of the sessions that have it.",
)
@click.option(
    "-C",
    "--context",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="N lines of the same text around each.",
)
@click.option(
    "-m",
    "--max-count",
    "most",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only the first N records of each session that match.",
)
@click.option(
    "-k",
    "--kind",
    "kinds",
    type=OneOf(_KINDS),
    multiple=True,
    metavar="KIND",
    help=f"Only records of this kind; may be repeated. One of {', '.join(_KINDS)}; damaged lines "
    "are searched only if they are asked for.",
)
@click.option(
    "--tool",
    "tools",
    multiple=True,
    metavar="NAME",
    help="Only what this tool was given and gave; may be repeated.",
)
@states_option("Only sessions in this state; may be repeated.")
@created_options
@click.option(
    "-f", "--follow", is_flag=True, help="Go on with what follows, in all sessions and new ones."
)
@click.option(
    "--inherited",
    is_flag=True,
    help="Also in the rows that a session has copied from an earlier one; else each is searched once.",
)
@click.option(
    "--full",
    is_flag=True,
    help="Long lines whole; at a terminal, 400 letters around the first match are shown.",
)
@output_option(
    "text",
    "json",
    "jsonl",
    text="text: for people. json: one array. jsonl: one object a match, as it comes.",
)
@look_options(records=False, paged=True)
@click.argument("pattern", metavar="PATTERN")
@id_argument(many=True, required=False)
def command(
    *,
    directory: str | None,
    pattern: str,
    ids: tuple[str, ...],
    literal: bool,
    ignore_case: bool,
    count: bool,
    only_ids: bool,
    context: int,
    most: int | None,
    kinds: tuple[str, ...],
    tools: tuple[str, ...],
    states: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    follow: bool,
    inherited: bool,
    output: Literal["text", "json", "jsonl"],
    look: Look,
) -> int:
    """Search sessions: what was said and thought, what tools were given and gave.

    ID is an id, the beginning of one, or a path; '-' reads them from standard input, one a line.
    Without any, all sessions are searched, running ones as far as they are written; those that
    changed last come last.

    Arguments of tools are searched as they were written, and where these have a backslash and do
    not match, the texts in them, as the tool got them.
    """
    ids = given_ids(ids)
    if ids and (states or since or until):
        raise click.UsageError(
            "--state, --since and --until choose sessions: give them or IDs, not both"
        )
    if count and only_ids:
        raise click.UsageError("give -c or -l, not both")
    if follow and (count or states or until or output == "json"):
        raise click.UsageError(
            "-f never ends: -c, --state, --until and -o json need a search that does"
        )
    options = SearchOptions(
        literal=literal,
        ignore_case=ignore_case,
        kinds=kinds or None,
        tools=tools,
        context=context,
        max_per_session=1 if only_ids else most,
        inherited="include" if inherited else "skip",
        since=since,
        until=until,
        states=states or None,
    )
    try:
        store = SessionStore(directory)
        # Before anything is read, and before a pager starts.
        store.search(pattern, **options).close()
        out = (look._replace(pager=False) if follow else look).open()
        printer = FoundPrinter(
            out, output, what="counts" if count else "ids" if only_ids else "lines", full=look.full
        )
        run = _follow if follow else _search
        return anyio.run(partial(run, store, pattern, options, ids, printer))
    except PersistenceError as error:  # 1 would say that it is not there
        way = "; -F takes it as it stands" if isinstance(error, InvalidPattern) and pattern else ""
        note(f"{error}{way}")
        return 2


async def _search(
    store: SessionStore,
    pattern: str,
    options: SearchOptions,
    ids: tuple[str, ...],
    printer: FoundPrinter,
) -> int:
    """Print what there is; return the exit code."""
    targets, missed = await _targets(store, ids)
    if ids and not targets:
        return 2
    if targets:
        options["ids"] = [one.session_id for one in targets if one.session_id is not None]
        options["paths"] = [one.path for one in targets if one.session_id is None and one.path]
    search = store.search(pattern, **options)
    meter = Meter("searching")
    try:
        with unwrapped():
            async with search, anyio.create_task_group() as beside:
                beside.start_soon(_show, search, meter, printer)
                async for match in search:
                    if not printer.printed and sys.stdout.isatty():
                        meter.close()
                    printer.put(match)
                beside.cancel_scope.cancel()
    finally:
        meter.close()
    printer.close()
    _tell(search.failed)
    tell_skipped(search.skipped)
    if search.damaged:
        lines = counted(search.damaged, "damaged line")
        note(f"{lines} not searched, that could match; -k damage searches damaged lines")
    if search.failed or missed:
        return 2
    if not printer.printed and not search.total:
        _tell_why_none(store, options)
        if not store.directory.is_dir():
            return 2
    return 0 if printer.printed else 1


async def _follow(
    store: SessionStore,
    pattern: str,
    options: SearchOptions,
    ids: tuple[str, ...],
    printer: FoundPrinter,
) -> int:
    """Print what there is and what follows; it ends by an interrupt, or with its reader."""
    targets, missed = await _targets(store, ids)
    if ids and not targets:
        return 2
    if any(one.session_id is None for one in targets):
        raise click.UsageError("-f follows sessions of the directory: give ids, not paths")
    if targets:
        options["ids"] = [one.session_id for one in targets if one.session_id is not None]
    search = store.search_live(pattern, **options)
    with unwrapped():
        async with store, search, anyio.create_task_group() as beside:
            beside.start_soon(watch_stdout)
            note(f"searching what follows in {store.directory}; Ctrl-C ends it")
            async for match in search:
                printer.put(match)
                printer.flush()
    return 2 if missed else 0


async def _targets(store: SessionStore, ids: tuple[str, ...]) -> tuple[list[Target], int]:
    return await Finder(store).find_all(ids) if ids else ([], 0)


async def _show(search: Search, meter: Meter, printer: FoundPrinter) -> None:
    """Hand over what was printed, and show how far it is, until there are matches at a terminal."""
    while True:
        if not (printer.printed and sys.stdout.isatty()):
            if search.searched_bytes:
                meter.show(search.searched_bytes, search.total_bytes)
            else:  # which files there are, and what each has inherited
                meter.show(0, None, what="looking at the directory")
        printer.flush()
        await anyio.sleep(_MOVES_S)


def _tell(failed: Collection[PersistenceError]) -> None:
    for error in [*failed][:_NAMED]:
        note(str(error))
    if len(failed) > _NAMED:
        note(f"and {counted(len(failed) - _NAMED, 'more file')} that cannot be read")


def _tell_why_none(store: SessionStore, options: SearchOptions) -> None:
    chosen = any(options.get(name) is not None for name in ("states", "since", "until"))
    if chosen and store.directory.is_dir():
        note(f"no session in {store.directory} fits")
    else:
        tell_why_none(store.directory, 0)

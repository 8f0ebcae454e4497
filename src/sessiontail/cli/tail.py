"""``sessiontail tail``: the last records of sessions, and what follows."""

from __future__ import annotations

import re
import sys
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Literal

import anyio
import click

from sessiontail.cli.beside import unwrapped, watch_stdout
from sessiontail.cli.choosing import Choice
from sessiontail.cli.cursor_file import CursorKeeper
from sessiontail.cli.live import Live, Options
from sessiontail.cli.look import Look, look_options
from sessiontail.cli.mirrored import from_option, mirror_directory, mirroring
from sessiontail.cli.mistakes import OneOf
from sessiontail.cli.options import (
    directory_option,
    grep_option,
    id_argument,
    inherited_option,
    kinds_option,
    output_option,
    states_option,
    window_option,
)
from sessiontail.cli.printing import Printer
from sessiontail.cli.terminal import note
from sessiontail.cli.values import Moment, Window
from sessiontail.cli.words import given_ids
from sessiontail.errors import CursorInvalid
from sessiontail.format.lifecycle import Outcome
from sessiontail.store import SessionStore

__all__ = ["command"]

_STATS_INTERVAL_S = 10.0
_ID_BEGIN = re.compile(r"[0-9A-Fa-f-]+")


@click.command(
    epilog="""\
\b
Examples:
  sessiontail tail -f                        every running session, each line with its id
  sessiontail tail -f 4f2c                   one session until it ends
  sessiontail tail 4f2c -n 3 -k assistant    the last three answers
  sessiontail tail -f -n all -g 'Traceback'  records whose text matches, from the start
  sessiontail tail -f ID --wait              also if the session does not exist yet
  sessiontail tail --until-end 4f2c && ...   go on when the agent is done
  sessiontail tail -f --since 1h             running sessions of the last hour, and new ones
  sessiontail tail --state abandoned -n 1    how what crashed ended
  sessiontail tail -f 4f2c -o jsonl --cursor-file at
                                             go on where the last run stopped
  sessiontail tail -f --from redis://10.0.0.5
                                             the running sessions of all machines that relay
                                             theirs there (sessiontail help relay)

\b
Exit codes: 0 fine; 1 nothing printed, a session not found or not to be read, or (--until-end)
not closed; 2 usage, or a cursor that does not fit; 130 interrupted.
"""
)
@directory_option
@from_option
@click.option("-f", "--follow", is_flag=True, help="Go on with what follows, until the end.")
@window_option(
    "The last N records of each session; +N: from the N-th on; all. Counted after -k and -g, but "
    "before them with -f and no ID.  [default: 10; after a cursor: all]"
)
@kinds_option
@grep_option
@states_option(
    "Without ID: sessions in this state, instead of those that run (live, unknown); may be "
    "repeated. With -f, of those that are there at the start: what begins later, or is taken up "
    "again by a writer, is followed too."
)
@click.option(
    "--since",
    type=Moment(),
    help="Without ID: only sessions created at or after: 90s, 15m, 2h, 3d, 1w ago, 2026-01-31, "
    "2026-01-31T08:00 (local time).",
)
@output_option(
    "text",
    "jsonl",
    "raw",
    json="jsonl",
    text="text: for people. jsonl: one object a record. raw: the file's lines.",
)
@click.option(
    "--wait",
    is_flag=True,
    help="Wait for a session that does not exist yet (with -f and whole IDs); else that is an "
    "error.",
)
@click.option("--cursor", "cursor", metavar="TOKEN", help="Begin where this token stands.")
@click.option("--show-cursor", is_flag=True, help="At the end, print the token to go on with.")
@click.option(
    "--cursor-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Begin where FILE says, if it exists; keep it up to date.",
)
@click.option(
    "--until-end", is_flag=True, help="As -f; exit code 0 only if every session was closed."
)
@click.option(
    "--on-abandoned",
    type=OneOf(["stop", "wait"]),
    default="stop",
    show_default=True,
    help="When a writer is gone without closing: stop, or wait for one to come back.",
)
@click.option("--stats", is_flag=True, help="At the end, print counters on stderr.")
@inherited_option
@look_options(records=True, paged=False)
@id_argument(many=True, required=False)
def command(
    *,
    directory: str | None,
    source: str | None,
    ids: tuple[str, ...],
    follow: bool,
    window: Window | None,
    kinds: tuple[str, ...],
    grep: re.Pattern[str] | None,
    states: tuple[str, ...],
    since: datetime | None,
    output: Literal["text", "jsonl", "raw"],
    wait: bool,
    cursor: str | None,
    show_cursor: bool,
    cursor_file: Path | None,
    until_end: bool,
    on_abandoned: Literal["stop", "wait"],
    stats: bool,
    inherited: bool,
    look: Look,
) -> int:
    """Print the last records of sessions; with -f, go on until they end.

    ID is an id, the beginning of one, or a path; '-' reads them from standard input, one a line.
    Without any, every running session is meant, and with -f those that begin later; that never
    ends by itself. What is watched, and how a session ended (closed, abandoned, deleted,
    replaced), is told on stderr.
    """
    ids = given_ids(ids)
    follow = follow or until_end
    choice = Choice(states, since)
    one = len(ids) == 1
    if wait and not follow:
        raise click.UsageError("--wait needs -f")
    if until_end and not ids:
        raise click.UsageError("--until-end needs an ID: without one, it never ends")
    if choice.made and ids:
        raise click.UsageError("--state and --since choose sessions: give them or IDs, not both")
    if states and (cursor or cursor_file):
        raise click.UsageError("--state needs a start without a cursor: states change meanwhile")
    if output == "raw" and not one:
        raise click.UsageError("-o raw needs one ID")
    if (cursor or cursor_file or show_cursor) and not (one or (follow and not ids)):
        raise click.UsageError("a cursor needs one ID, or -f without any")
    if cursor and cursor_file:
        raise click.UsageError("give --cursor or --cursor-file, not both")
    if window is not None and window.first > 1 and follow and not ids:
        raise click.UsageError("-n +N needs an ID")
    if source is not None:
        if not follow:
            raise click.UsageError("--from needs -f")
        if not all(map(_ID_BEGIN.fullmatch, ids)):
            raise click.UsageError("--from needs ids, or beginnings of them: paths are not there")
        directory = click.get_current_context().with_resource(mirror_directory(source, directory))
    store = SessionStore(directory)
    out = look.open(output)
    printer = Printer(out, output, kinds=kinds, pattern=grep, max_lines=look.lines(out))
    keeper = CursorKeeper(cursor_file, show=show_cursor)
    after = keeper.read() if cursor_file else cursor
    options = Options(
        follow=follow,
        window=window,
        wait=wait,
        on_abandoned=on_abandoned,
        after=after,
        choice=choice,
        inherited="include" if inherited or output == "raw" else "skip",
    )
    mirror = mirroring(
        source,
        store.directory,
        closed=bool(ids) or "closed" in states,
        only=[one.lower() for one in ids],
    )
    try:
        outcomes = anyio.run(_tail, Live(store, printer, keeper, options), ids, stats, mirror)
    except CursorInvalid as error:
        if cursor_file is None:
            raise
        raise CursorInvalid(f"{cursor_file}: {error}; or delete that file") from None
    finally:
        keeper.close()
        if stats:
            _tell_stats(store)
    if until_end:
        return 0 if all(outcome is Outcome.CLOSED for outcome in outcomes) else 1
    if None in outcomes:
        return 1
    if ids and not (printer.printed or follow):
        note("no record matches" if printer.filtered else "nothing to print")
    return 0 if printer.printed or follow else 1


async def _tail(
    live: Live,
    ids: tuple[str, ...],
    stats: bool,  # noqa: FBT001 - passed through anyio.run
    mirror: AbstractAsyncContextManager[None],
) -> list[Outcome | None]:
    """Print everything; return how each session ended (None: it could not be read)."""
    with unwrapped():
        if not live.options.follow:
            return await live.print_last(ids)
        async with mirror, live.store, anyio.create_task_group() as beside:
            beside.start_soon(watch_stdout)
            if stats and sys.stderr.isatty():
                beside.start_soon(_tell_stats_regularly, live.store)
            outcomes = await live.follow(ids)
            beside.cancel_scope.cancel()
    return outcomes


async def _tell_stats_regularly(store: SessionStore) -> None:
    while True:
        await anyio.sleep(_STATS_INTERVAL_S)
        _tell_stats(store)


def _tell_stats(store: SessionStore) -> None:
    figures = store.stats.as_dict().items()
    note("stats: " + " ".join(f"{name}={value:.6g}" for name, value in figures))

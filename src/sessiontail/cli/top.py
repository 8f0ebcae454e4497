"""``sessiontail top``: what the running sessions do, as it happens."""

from __future__ import annotations

import math
import os
import time

import anyio
import click

from sessiontail.cli.look import Look, look_options
from sessiontail.cli.mistakes import OneOf
from sessiontail.cli.options import directory_option, states_option
from sessiontail.cli.screen import Screen
from sessiontail.cli.terminal import Output, note
from sessiontail.cli.top_table import SORTS, Screenful, screenful
from sessiontail.directory.activity_sums import DirectoryActivity
from sessiontail.directory.monitor import monitor_sessions
from sessiontail.system.paths import sessions_dir

__all__ = ["command"]

# Four a second: an eye reads no more of them.
_LEAST_INTERVAL_S = 0.25
# How soon a screen that has another size is drawn anew, and how often what is told of times is.
_LOOK_S = 0.25
_AGES_S = 1.0


@click.command(
    epilog="""\
\b
Examples:
  sessiontail top                       who works, and on what; Ctrl-C ends it
  sessiontail top --sort damage         who writes what cannot be read comes first
  sessiontail top --state live -n 10    of those that a writer holds, ten
  sessiontail top --once                one table, also for a pipe

\b
Exit codes: 0 fine; 1 (with --once) no session runs, or what is asked for; 2 usage;
130 interrupted.
"""
)
@directory_option
@states_option("Only sessions in this state; may be repeated. The sums are of all.")
@click.option(
    "--sort",
    type=OneOf(list(SORTS)),
    default="rate",
    show_default=True,
    help="Order; the most, or the newest, first.",
)
@click.option(
    "-n",
    "--number",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only the first N of the order.  [default: as many as the screen has lines for]",
)
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=_LEAST_INTERVAL_S, max=3600),
    metavar="S",
    default=0.5,
    show_default=True,
    help="Seconds from one look to the next, at least.",
)
@click.option(
    "--once", is_flag=True, help="Print one table of what runs now, without rates, and end."
)
@look_options(records=False, paged=False)
def command(
    *,
    directory: str | None,
    states: tuple[str, ...],
    sort: str,
    number: int | None,
    interval_s: float,
    once: bool,
    look: Look,
) -> int:
    """Watch all running sessions in one table.

    ROWS are a session's own, without those that it has copied from an earlier one. ROWS/S is by the
    last ten seconds, of what came since top began. IDLE is how long no line came. WAITS FOR is the
    tool whose result is not there; +N: so many more calls wait. DAMAGE is how many of its lines
    cannot be read, and "torn" that its writer died within one; `sessiontail audit` says which.
    TOKENS is "?" while a session runs: it says how many with its last line. A "+" behind a number:
    the session was taken up again by a new writer, and only what came since is counted.

    What ended stays for a minute. Sessions that were closed or given up before are not read.
    """
    if math.isnan(interval_s):  # in any range, for click
        raise click.BadParameter("nan is no number of seconds", param_hint="--interval")
    where = str(sessions_dir(directory))
    top = _Top(where, states, sort, number)
    out = look.open()
    if once:
        return anyio.run(top.print_once, out)
    if not out.terminal or os.environ.get("TERM") == "dumb":
        raise click.UsageError(
            "top wants the screen of a terminal: --once prints one table, and "
            "`sessiontail tail -f -o jsonl` what is written as it comes"
        )
    anyio.run(top.show, out, interval_s)
    return 0


class _Top:
    """One call of ``top``."""

    def __init__(
        self, directory: str, states: tuple[str, ...], sort: str, number: int | None
    ) -> None:
        self._directory = directory
        self._states = states
        self._sort = sort
        self._number = number

    async def print_once(self, out: Output) -> int:
        """Print what runs now; return the exit code."""
        async with monitor_sessions(directory=self._directory) as monitor:
            moment = await monitor.caught_up()
        page = self._page(out, moment, out.width, None)
        if not page.shown:
            self._tell_why_none(moment)
            return 1
        for line in page.lines:
            out.line(line)
        out.flush()
        if page.left_out:
            note(f"{out.width} columns have no place for {', '.join(page.left_out)}")
        if page.more:
            note(f"{page.more} more; -n {page.more + (self._number or 0)} shows all")
        return 0

    def _tell_why_none(self, moment: DirectoryActivity) -> None:
        where = self._directory
        if not moment.present:
            note(f"{where}: no such directory; give the one where sessions lie with --dir")
        elif moment.sessions:
            note(f"none of the {len(moment.sessions)} running sessions in {where} fits")
        else:
            note(f"no session runs in {where}; `sessiontail ls` lists all")

    async def show(self, out: Output, interval_s: float) -> None:
        """Show what runs until it is interrupted."""
        async with monitor_sessions(directory=self._directory, interval_s=interval_s) as monitor:
            with Screen(out) as screen:
                moment: DirectoryActivity | None = None
                size, shown_s = screen.size, 0.0
                while True:
                    found: DirectoryActivity | None = None
                    with anyio.move_on_after(_LOOK_S):
                        found = await anext(monitor)
                    moment, now_s = found or moment, time.monotonic()
                    if moment is None:
                        continue
                    if found or screen.size != size or now_s - shown_s >= _AGES_S:
                        size, shown_s = screen.size, now_s
                        screen.show(self._page(out, moment, *size).lines)

    def _page(
        self, out: Output, moment: DirectoryActivity, width: int | None, height: int | None
    ) -> Screenful:
        return screenful(
            out,
            moment,
            title=self._directory,
            now_s=time.monotonic(),
            sort=self._sort,
            rated=height is not None,
            states=self._states,
            most=self._number,
            width=width,
            height=height,
        )

"""``sessiontail ls``: the sessions of a directory."""

from __future__ import annotations

import json
from datetime import datetime
from functools import partial

import anyio
import click

from sessiontail.cli.listing import print_table, print_trees
from sessiontail.cli.look import Look, look_options
from sessiontail.cli.mistakes import OneOf
from sessiontail.cli.options import (
    cache_option,
    created_options,
    directory_option,
    output_option,
    states_option,
)
from sessiontail.cli.progress import Meter
from sessiontail.cli.targets import shorten
from sessiontail.cli.telling import tell_skipped, tell_why_none
from sessiontail.cli.terminal import note
from sessiontail.directory.outlines import SessionOutline, outlines_of
from sessiontail.directory.scan import Scan
from sessiontail.directory.selecting import ORDERS, Selection
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.store import SessionStore

__all__ = ["command"]


@click.command(
    epilog="""\
\b
Examples:
  sessiontail ls --state live           what runs now
  sessiontail ls --since 2h --sort size what the last two hours wrote, biggest first
  sessiontail ls -n 5 -r                the five oldest
  sessiontail ls --tree                 conversations: which session goes on from which
  sessiontail ls --verify               decode every line; exit code 1 if one is damaged
  sessiontail ls -o jsonl | jq .id      whole ids, for a program

\b
Exit codes: 0 sessions listed, 1 none found or (with --verify) damage found, 2 usage.
"""
)
@directory_option
@states_option("Only sessions in this state; may be repeated.")
@created_options
@click.option(
    "--sort",
    type=OneOf(list(ORDERS)),
    default="created",
    show_default=True,
    help="Order; the newest, largest or most first.",
)
@click.option("-r", "--reverse", is_flag=True, help="The other way round.")
@click.option(
    "-n", "--number", type=click.IntRange(min=0), metavar="N", help="Only the first N of the order."
)
@click.option(
    "--verify",
    is_flag=True,
    help="Decode every line; count the damaged ones, and the bytes after the last whole one.",
)
@cache_option
@click.option("--tree", is_flag=True, help="Conversations as trees, a session each turn.")
@output_option(
    "table",
    "json",
    "jsonl",
    default="table",
    text="table: for people. json: one array. jsonl: one object a line.",
)
@look_options(records=False, paged=True)
def command(
    *,
    directory: str | None,
    states: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    sort: str,
    reverse: bool,
    number: int | None,
    verify: bool,
    cache: bool,
    tree: bool,
    output: str,
    look: Look,
) -> int:
    """List sessions, the newest first.

    STATE is closed (the agent ended it), live (a writer holds it), abandoned (no clean end and no
    writer) or unknown. CHUNKS are its own, without those that it has copied from an earlier
    session. TOKENS is "?" where the session has no count. FROM is the session that it goes on from;
    LINEAGE is how it came to be, and of how many parents. TITLE is its first own user message.

    With --tree, a turn stands below the one that it goes on from, and what leads another way is
    indented; a conversation is shown if one of its sessions fits.
    """
    if tree and output != "table":
        raise click.UsageError("--tree is for people; in -o json each session names its parent")
    store = SessionStore(directory, cache=cache)
    scan = store.scan(verify=verify)
    metas = anyio.run(_collect, scan)
    chosen = [*filter(Selection(states=states, since=since, until=until).takes, metas)]
    chosen.sort(key=lambda meta: str(meta.path))
    chosen.sort(key=ORDERS[sort], reverse=(sort != "id") != reverse)
    shown = chosen[:number]
    outlines = anyio.run(partial(_outline, cache=cache), metas if tree else shown, metas, store)
    short = shorten({str(meta.id) for meta in metas})
    out = look.open()
    if output == "json":
        text = json.dumps([one.to_dict() for one in outlines], indent=2, ensure_ascii=False)
        out.line(out.json(text))
    elif output == "jsonl":
        for one in outlines:
            out.line(out.json(json.dumps(one.to_dict(), ensure_ascii=False)))
    elif tree:
        shown = print_trees(out, outlines, chosen, short, number=number, oldest_first=reverse)
    elif shown:
        print_table(out, outlines, short)
    out.flush()
    if len(shown) < len(chosen) and not tree:
        note(f"{len(chosen) - len(shown)} more; -n {len(chosen)} shows all")
    tell_skipped(scan.skipped)
    if not chosen:
        tell_why_none(store.directory, len(metas))
    if not shown:
        return 1
    return 1 if any(meta.damaged_lines for meta in shown) or (verify and scan.skipped) else 0


async def _collect(scan: Scan) -> list[PersistedSessionMeta]:
    meter = Meter("reading sessions")
    metas: list[PersistedSessionMeta] = []
    try:
        async for meta in scan:
            metas.append(meta)
            meter.show(len(metas), scan.total)
    finally:
        meter.close()
    return metas


async def _outline(
    shown: list[PersistedSessionMeta],
    metas: list[PersistedSessionMeta],
    store: SessionStore,
    *,
    cache: bool,
) -> list[SessionOutline]:
    meter = Meter("comparing sessions")
    try:
        return await outlines_of(
            shown,
            store.directory,
            among=metas,
            progress=lambda done: meter.show(done, len(shown)),
            cache=cache,
        )
    finally:
        meter.close()

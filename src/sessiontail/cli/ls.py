"""``sessiontail ls``: the sessions of a directory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

import anyio
import click

from sessiontail.cli.look import Look, look_options
from sessiontail.cli.mistakes import OneOf
from sessiontail.cli.options import (
    STATES,
    Moment,
    directory_option,
    output_option,
    states_option,
)
from sessiontail.cli.progress import Meter
from sessiontail.cli.rendering import age, size, tokens
from sessiontail.cli.table import Column, print_rows
from sessiontail.cli.targets import shorten
from sessiontail.cli.terminal import Output, note
from sessiontail.directory.scan import Scan
from sessiontail.errors import PersistenceError
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.store import SessionStore

__all__ = ["as_builtins", "command", "print_table", "tell_skipped"]

_SORTS: dict[str, Callable[[PersistedSessionMeta], Any]] = {
    "created": lambda meta: meta.created_at,
    "modified": lambda meta: meta.modified_at,
    "size": lambda meta: meta.size_bytes,
    "chunks": lambda meta: meta.chunk_count,
    # Unknown comes last.
    "tokens": lambda meta: meta.cumulative_usage.total_tokens if meta.cumulative_usage else -1,
    "state": lambda meta: STATES[::-1].index(meta.state),
    "id": lambda meta: str(meta.id),
}
_STATE_STYLES = {"live": "green", "abandoned": "red", "unknown": "yellow", "closed": "dim"}
# Names that a summary of skipped files gives for each reason.
_NAMED = 3


@click.command(
    epilog="""\
\b
Examples:
  sessiontail ls --state live           what runs now
  sessiontail ls --since 2h --sort size what the last two hours wrote, biggest first
  sessiontail ls -n 5 -r                the five oldest
  sessiontail ls --verify               decode every line; exit code 1 if one is damaged
  sessiontail ls -o jsonl | jq .id      whole ids, for a program

\b
Exit codes: 0 sessions listed, 1 none found or (with --verify) damage found, 2 usage.
"""
)
@directory_option
@states_option("Only sessions in this state; may be repeated.")
@click.option("--since", type=Moment(), help="Created at or after: 2h, 3d, 2026-01-31.")
@click.option("--until", type=Moment(), help="Created before: 2h, 3d, 2026-01-31.")
@click.option(
    "--sort",
    type=OneOf(list(_SORTS)),
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
    output: str,
    look: Look,
) -> int:
    """List sessions, the newest first.

    STATE is closed (the agent ended it), live (a writer holds it), abandoned (no clean end and no
    writer) or unknown. TOKENS is "?" where the session has no count. LINEAGE is how the session
    came to be, and of how many parents.
    """
    store = SessionStore(directory)
    scan = store.scan(verify=verify)
    metas = anyio.run(_collect, scan)
    chosen = [
        meta
        for meta in metas
        if (not states or meta.state in states)
        and (since is None or meta.created_at >= since)
        and (until is None or meta.created_at < until)
    ]
    chosen.sort(key=lambda meta: str(meta.path))
    chosen.sort(key=_SORTS[sort], reverse=(sort != "id") != reverse)
    shown = chosen[:number]
    short = shorten({str(meta.id) for meta in metas})
    out = look.open()
    if output == "json":
        text = json.dumps([as_builtins(meta) for meta in shown], indent=2, ensure_ascii=False)
        out.line(out.json(text))
    elif output == "jsonl":
        for meta in shown:
            out.line(out.json(json.dumps(as_builtins(meta), ensure_ascii=False)))
    elif shown:
        print_table(out, shown, short)
    out.flush()
    if len(shown) < len(chosen):
        note(f"{len(chosen) - len(shown)} more; -n {len(chosen)} shows all")
    tell_skipped(scan.skipped)
    if not chosen:
        _tell_why_none(store, metas)
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


def tell_skipped(skipped: Collection[PersistenceError]) -> None:
    """Tell how many files are no sessions, and why."""
    if not skipped:
        return
    by_reason: dict[str, list[str]] = {}
    for error in skipped:
        by_reason.setdefault(error.message, []).append(error.path.name if error.path else "?")
    parts = []
    for reason, count in Counter(
        {reason: len(by_reason[reason]) for reason in by_reason}
    ).most_common():
        names = by_reason[reason]
        more = ", ..." if count > _NAMED else ""
        parts.append(f"{count} x {reason} ({', '.join(sorted(names)[:_NAMED])}{more})")
    files = "file" if len(skipped) == 1 else "files"
    note(f"{len(skipped)} {files} skipped: {'; '.join(parts)}")


def _tell_why_none(store: SessionStore, metas: list[PersistedSessionMeta]) -> None:
    if metas:
        note(f"none of the {len(metas)} sessions in {store.directory} fits")
    elif store.directory.is_dir():
        note(f"no sessions in {store.directory}; give another directory with --dir")
    else:
        note(f"{store.directory}: no such directory; give the one where sessions lie with --dir")


def print_table(
    out: Output, metas: list[PersistedSessionMeta], short: dict[str, str] | None = None
) -> None:
    """Print sessions as an aligned table.

    Args:
        out: where to.
        metas: the sessions, in order.
        short: what to call each id; by default whole.
    """
    now = datetime.now(UTC)
    verified = any(meta.damaged_lines is not None for meta in metas)
    columns = [
        Column("STATE", styles=_STATE_STYLES),
        Column("AGE", right=True, spare=1),
        Column("CHUNKS", right=True, spare=3),
        Column("SIZE", right=True, spare=2),
        Column("TOKENS", right=True, spare=4),
        Column("ID"),
        Column("LINEAGE", spare=5),
    ]
    if verified:
        columns[5:5] = [Column("DAMAGED", right=True), Column("TORN", right=True)]
    rows = []
    for meta in metas:
        row = [
            meta.state.value,
            age(meta.created_at, now),
            str(meta.chunk_count),
            size(meta.size_bytes),
            tokens(meta.cumulative_usage),
            short[str(meta.id)] if short else str(meta.id),
            _lineage(meta),
        ]
        if verified:
            row[5:5] = [str(meta.damaged_lines or 0), size(meta.torn_bytes)]
        rows.append(row)
    print_rows(out, columns, rows)


def _lineage(meta: PersistedSessionMeta) -> str:
    lineage = f"{meta.lineage_operator}/{meta.lineage_kind}"
    parents = len(meta.parent_session_ids)
    if parents:
        lineage += f" of {parents}"
    return lineage


def as_builtins(meta: PersistedSessionMeta) -> dict[str, Any]:
    """Return a meta as JSON has it."""
    return meta.to_dict()

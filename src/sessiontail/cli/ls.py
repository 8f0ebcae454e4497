"""``sessiontail ls``: the sessions of a directory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

import anyio
import click
import msgspec

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
from sessiontail.cli.targets import shorten
from sessiontail.cli.terminal import Output, clean, note
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
    out = Output()
    if output == "json":
        out.line(json.dumps([as_builtins(meta) for meta in shown], indent=2, ensure_ascii=False))
    elif output == "jsonl":
        for meta in shown:
            out.line(json.dumps(as_builtins(meta), ensure_ascii=False))
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
    head = ["STATE", "AGE", "CHUNKS", "SIZE", "TOKENS", "ID", "LINEAGE"]
    right = {1, 2, 3, 4}
    if verified:
        head[5:5] = ["DAMAGED", "TORN"]
        right |= {5, 6}
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
    if out.terminal:
        _print_rich(out, head, right, rows)
        return
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        cells = [
            cell.rjust(widths[i]) if i in right else cell.ljust(widths[i])
            for i, cell in enumerate(row)
        ]
        out.line("  ".join(cells).rstrip())


def _print_rich(out: Output, head: list[str], right: set[int], rows: list[list[str]]) -> None:
    """Print a table that fits the terminal."""
    from rich.console import Console  # noqa: PLC0415 - 50 ms that a pipe saves
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    # Only the last column gives way where the terminal is narrow.
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head) - 1)]
    for name, width in zip(head, [*widths, 0], strict=True):
        table.add_column(
            name,
            justify="right" if head.index(name) in right else "left",
            min_width=width,
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in rows:
        state = Text(row[0], style=_STATE_STYLES[row[0]])
        table.add_row(state, *[Text(clean(cell)) for cell in row[1:]])
    out.flush()
    console = Console(color_system="auto" if out.color else None, highlight=False)
    # Too narrow even for that: lines wrap, and nothing is left out.
    console.width = max(console.width, sum(widths) + 2 * len(widths) + len(head[-1]))
    console.print(table)


def _lineage(meta: PersistedSessionMeta) -> str:
    lineage = f"{meta.lineage_operator}/{meta.lineage_kind}"
    parents = len(meta.parent_session_ids)
    if parents:
        lineage += f" of {parents}"
    # A name may hold a line end; a table row may not.
    return lineage.replace("\n", "\\n").replace("\t", "\\t")


def as_builtins(meta: PersistedSessionMeta) -> dict[str, Any]:
    """Return a meta as JSON has it."""
    value: dict[str, Any] = msgspec.to_builtins(meta, enc_hook=str)
    del value["file_id"], value["mtime_ns"]
    return value

"""outlines of sessions -> a table of them, or conversations as trees, printed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sessiontail.cli.colors import STATE_STYLES
from sessiontail.cli.rendering import age, tokens
from sessiontail.cli.table import Column, print_rows
from sessiontail.cli.terminal import Output, note
from sessiontail.directory.conversations import trees
from sessiontail.directory.outlines import SessionOutline
from sessiontail.format.guides import guided
from sessiontail.reports.amounts import size
from sessiontail.session.meta import PersistedSessionMeta

__all__ = ["print_table", "print_trees"]

# Where no terminal says how wide it is.
_TITLE = 100
# Before it is cut more, other columns give way.
_LEAST_TITLE = 30


def print_table(
    out: Output, outlines: Sequence[SessionOutline], short: dict[str, str] | None = None
) -> None:
    """Print sessions as an aligned table.

    Args:
        out: where to.
        outlines: the sessions, in order.
        short: what to call each id; by default whole.
    """
    now = datetime.now(UTC)
    short = short or {}
    verified = any(one.meta.damaged_lines is not None for one in outlines)
    columns = [
        Column("STATE", styles=STATE_STYLES),
        Column("AGE", right=True, spare=2),
        Column("CHUNKS", right=True, spare=3),
        Column("SIZE", right=True, spare=4),
        Column("TOKENS", right=True, spare=5),
        Column("ID"),
        Column("FROM", spare=6),
        Column("LINEAGE", spare=7),
        Column("TITLE", spare=1, least=_LEAST_TITLE),
    ]
    if verified:
        columns[5:5] = [Column("DAMAGED", right=True), Column("TORN", right=True)]
    rows = []
    for one in outlines:
        meta, parent = one.meta, one.parent_text
        row = [
            meta.state.value,
            age(meta.created_at, now),
            str(one.own_count),
            size(meta.size_bytes),
            tokens(meta.cumulative_usage),
            short.get(meta.id_text, meta.id_text),
            "" if parent is None else short.get(parent, parent[:8]),
            _lineage(meta),
            _title(one, out),
        ]
        if verified:
            row[5:5] = [str(meta.damaged_lines or 0), size(meta.torn_bytes)]
        rows.append(row)
    print_rows(out, columns, rows)


def print_trees(
    out: Output,
    outlines: Sequence[SessionOutline],
    chosen: Sequence[PersistedSessionMeta],
    short: dict[str, str],
    *,
    number: int | None,
    oldest_first: bool,
) -> list[PersistedSessionMeta]:
    """Print the conversations in which sessions were chosen; return their sessions.

    Args:
        out: where to.
        outlines: all sessions of the directory.
        chosen: those that are looked for.
        short: what to call each id.
        number: so many conversations; None: all.
        oldest_first: else the newest comes first.
    """
    now = datetime.now(UTC)
    wanted = {meta.id_text for meta in chosen}
    found = []
    for root in trees(outlines):
        turns = [*guided(root, lambda turn: turn.children)]
        if any(turn.outline.meta.id_text in wanted for _, turn in turns):
            found.append(turns)
    if not oldest_first:
        found.reverse()
    columns = [
        Column("STATE", styles=STATE_STYLES),
        Column("AGE", right=True, spare=2),
        Column("CHUNKS", right=True, spare=3),
        Column("ID"),
        Column("CONVERSATION", spare=1, least=_LEAST_TITLE),
    ]
    rows = []
    for turns in found[:number]:
        for guide, turn in turns:
            meta = turn.outline.meta
            own = str(turn.outline.own_count)
            title = guide + _title(turn.outline, out)
            state = meta.state.value
            rows.append([state, age(meta.created_at, now), own, short[meta.id_text], title])
    if rows:
        print_rows(out, columns, rows)
    if number is not None and number < len(found):
        note(f"{len(found) - number} more conversations; -n {len(found)} shows all")
    return [turn.outline.meta for turns in found[:number] for _, turn in turns]


def _lineage(meta: PersistedSessionMeta) -> str:
    lineage = f"{meta.lineage_operator}/{meta.lineage_kind}"
    parents = len(meta.parent_texts)
    return f"{lineage} of {parents}" if parents else lineage


def _title(one: SessionOutline, out: Output) -> str:
    title = one.title or ""
    if not one.own_count and one.inherited_count and one.title is None:
        title = f"(all of it is in {str(one.parent)[:8]})"
    if out.width is None and len(title) > _TITLE:
        title = title[: _TITLE - 1] + "…"
    return title

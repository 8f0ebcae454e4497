"""a lineage -> trees of its sessions, printed: each below the one that it goes on from."""

from __future__ import annotations

from datetime import UTC, datetime

from sessiontail.cli.colors import STATE_STYLES
from sessiontail.cli.rendering import age
from sessiontail.cli.table import Column, print_rows
from sessiontail.cli.targets import shorten
from sessiontail.cli.terminal import Output, note
from sessiontail.directory.family import family_of
from sessiontail.directory.lineage import Lineage, LineageNode
from sessiontail.format.guides import guided

__all__ = ["print_kin"]

_LEAST_TITLE = 30
# Where no terminal says how wide it is.
_TITLE = 100
# Of the parents of one session; a merge has two.
_PARENTS = 4


def print_kin(out: Output, lineage: Lineage, whole: Lineage) -> None:
    """Print a lineage as trees, the youngest tree first, and what its signs mean.

    Args:
        out: where to.
        lineage: what is shown.
        whole: that of all sessions, which has all parents of those that are shown.
    """
    now = datetime.now(UTC)
    short = shorten(set(whole.by_id))
    focus = "" if lineage.focus is None else short[str(lineage.focus)]
    columns = [
        Column("STATE", styles=STATE_STYLES),
        Column("AGE", right=True, spare=3),
        Column("CHUNKS", right=True, spare=4),
        Column("ID", styles={focus: "bold"}),
        Column("PARENTS", spare=2),
        Column("CONVERSATION", spare=1, least=_LEAST_TITLE),
    ]
    family = family_of(lineage)
    rows = []
    signs: set[str] = set()
    for root in reversed(family.roots):
        for guide, name in guided(root, lambda name: family.children.get(name, [])):
            node = lineage.by_id[name]
            parents = _parents(name, whole, short)
            signs.update(parent[0] for parent in parents)
            rows.append(
                [
                    str(node.state or "missing"),
                    "" if node.created_at is None else age(node.created_at, now),
                    "?" if node.own_count is None else str(node.own_count),
                    short[name],
                    " ".join(parents),
                    guide + _title(node, out),
                ]
            )
    if rows:
        print_rows(out, columns, rows)
    meanings = [("~", "found by content, not named"), ("?", "has no file")]
    told = [f"{sign} {meaning}" for sign, meaning in meanings if sign in signs]
    if told:
        note(f"PARENTS: {'; '.join(told)}")
    for node in lineage.nodes:
        if len(node.files) > 1:
            note(f"{short[node.id_text]} has {len(node.files)} files: {', '.join(node.files)}")


def _parents(name: str, whole: Lineage, short: dict[str, str]) -> list[str]:
    """Return the parents of a session, each with the sign of what it is."""
    found: dict[str, None] = {}
    for edge in whole.parents.get(name, ()):
        sign = "?" if whole.by_id[edge.parent].missing else "~" if edge.by_content else ""
        found[sign + short[edge.parent]] = None
    told = [*found]
    more = len(told) - _PARENTS
    return told if more <= 0 else [*told[:_PARENTS], f"+{more}"]


def _title(node: LineageNode, out: Output) -> str:
    if node.missing:
        return "(no file)"
    title = node.title or ""
    return title if out.width is not None or len(title) <= _TITLE else title[: _TITLE - 1] + "…"

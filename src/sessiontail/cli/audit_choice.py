"""audits of sessions -> those that are asked for, in the order that is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sessiontail.cli.options import STATES
from sessiontail.cli.terminal import note
from sessiontail.directory.selecting import Selection
from sessiontail.format.audit import SessionAudit
from sessiontail.format.brief import counted
from sessiontail.reports.order import newest_first, worst_first

__all__ = ["SORTS", "chosen_of", "ordered"]

_SORTS: dict[str, Callable[[SessionAudit], Any]] = {
    "size": lambda one: one.size_bytes,
    "rows": lambda one: one.own_rows,
    "calls": lambda one: sum(one.own.tool_calls.values()),
    "failed": lambda one: sum(one.own.tool_errors.values()),
    # Unknown comes last.
    "tokens": lambda one: one.usage.total_tokens if one.usage else -1,
    "state": lambda one: STATES[::-1].index(one.state),
    "id": lambda one: one.id_text or "",
}
#: What sessions are sorted by.
SORTS = ("findings", "created", *_SORTS)


def chosen_of(
    found: list[SessionAudit],
    states: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
) -> list[SessionAudit]:
    """Return the sessions that are asked for; tell how many cannot be placed in time."""
    asked = Selection(states=states, since=since, until=until)
    if undated := sum(map(asked.cannot_place, found)):
        told = counted(undated, "session")
        note(f"{told} left out: without a header, nothing says when it was created")
    return [*filter(asked.takes, found)]


def ordered(chosen: list[SessionAudit], sort: str, *, reverse: bool) -> list[SessionAudit]:
    """Return the sessions by one of ``SORTS``, the worst, newest, largest or most first."""
    ordered = worst_first(chosen) if sort == "findings" else newest_first(chosen)
    if sort in _SORTS:
        ordered.sort(key=_SORTS[sort], reverse=sort != "id")
    return ordered[::-1] if reverse else ordered

"""what the sessions of a directory do -> lines for people, as many as a screen has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len, set_cell_size

from sessiontail.cli.colors import STATE_STYLES, Painted
from sessiontail.cli.escaping import one_line
from sessiontail.cli.rendering import age, tokens
from sessiontail.cli.table import Column, lay_out
from sessiontail.cli.targets import shorten
from sessiontail.cli.terminal import Output
from sessiontail.directory.activity import SessionActivity
from sessiontail.directory.activity_sums import DirectoryActivity
from sessiontail.format.brief import counted
from sessiontail.format.lifecycle import SessionState
from sessiontail.reports.amounts import size

__all__ = ["SORTS", "Screenful", "screenful"]

#: What the most of comes first.
SORTS: dict[str, Callable[[SessionActivity], Any]] = {
    # Of those that do the same now, who did it last.
    "rate": lambda one: (round(one.rows_per_s, 1), one.active_s),
    "rows": lambda one: one.rows,
    "age": lambda one: one.created_at or datetime.min.replace(tzinfo=UTC),
    "damage": lambda one: (one.damaged_lines, sum(one.findings_by_reason.values())),
}
_BETWEEN = " · "
_ABSENT = "no such directory yet: waiting for it"
# A tool's name may be as long as its author likes; on a screen its column keeps this width.
_TOOL = 16
# Columns, by number.
_RATE, _FAILED, _LAST_TOOL, _DAMAGE = 3, 7, 8, 10
# Where no terminal says how wide it is.
_TITLE = 100
# Before it is cut more, other columns give way.
_LEAST_TITLE = 20


@dataclass(frozen=True)
class Screenful:
    """What fits on a screen."""

    lines: list[Painted]
    #: How many sessions are on it, and how many have no place.
    shown: int = 0
    more: int = 0
    #: The columns that have none.
    left_out: list[str] = field(default_factory=list)


def screenful(
    out: Output,
    moment: DirectoryActivity,
    *,
    title: str,
    now_s: float,
    sort: str,
    rated: bool = True,
    states: Sequence[str] = (),
    most: int | None = None,
    width: int | None = None,
    height: int | None = None,
) -> Screenful:
    """Return a moment as lines: the sums, then a table of sessions.

    Args:
        out: says whether there are colours.
        moment: what is shown.
        title: the directory.
        now_s: the time, on the monotonic clock.
        sort: one of ``SORTS``.
        rated: whether it was watched long enough for rates.
        states: only sessions in one of these; none: in any.
        most: so many sessions; None: as many as there is place for.
        width: columns of the terminal; None: there is none.
        height: lines of the terminal; None: no end.
    """
    chosen = [one for one in moment.sessions if not states or one.state in states]
    if not (chosen or moment.present):  # of which nothing is known: its sums would be zeros
        where = out.styled(_cut(f"{title}:", width), "bold")
        return Screenful([where, out.styled(_cut(_ABSENT, width))][:height])
    lines = [out.styled(line) for line in _wrapped(_sums(moment, title, rated=rated), width)]
    if lines:
        lines[0] = out.styled(lines[0], "bold")
    lines += _warnings(out, moment, width)
    if not chosen:
        return Screenful([*lines, out.styled(_none(moment, width))][:height])
    chosen.sort(key=SORTS[sort], reverse=True)
    place = len(chosen)
    if height is not None:
        # The table's heads have a line; "more" has one where it is needed.
        place = max(1, height - len(lines) - 1)
        if place < len(chosen):
            place = max(1, place - 1)
    shown = chosen[: place if most is None else min(place, most)]
    table, left_out = _table(out, shown, chosen, now_s, width, rated=rated)
    lines += table
    more = len(chosen) - len(shown)
    if more and height is not None:
        lines.append(out.styled(f"{more} more", "dim"))
    return Screenful(lines[:height], len(shown), more, left_out)


def _sums(moment: DirectoryActivity, title: str, *, rated: bool) -> list[str]:
    """Return the parts of the first lines."""
    states = [f"{count} {state}" for state in SessionState if (count := moment.by_state.get(state))]
    rows = length = ""
    if rated:
        rows = f", {moment.rows_per_s:.1f} a second"
        length = f", {size(int(moment.bytes_per_s))} a second"
    calls = counted(moment.tool_calls, "tool call")
    usage = moment.usage
    known = f"{usage.known} known, {usage.unknown + usage.damaged} unknown"
    parts = [
        f"{title}: {', '.join(states) or 'no session runs'}",
        f"{counted(moment.rows, 'row')}{rows}",
        f"{size(moment.size_bytes)}{length}",
        f"{calls}, {moment.tool_errors} failed, {moment.unanswered_calls} open",
        f"{usage.total_tokens if usage.known else '?'} tokens ({known})",
        f"{counted(moment.damaged_lines, 'damaged line')}",
    ]
    if moment.inherited_rows:
        parts.insert(2, f"{moment.inherited_rows} inherited")
    return parts


def _warnings(out: Output, moment: DirectoryActivity, width: int | None) -> list[Painted]:
    lines = []
    if moment.unread:
        lines.append(out.styled(f"reading: {counted(moment.unread, 'session')} to go", "yellow"))
    if moment.unreadable:
        name, why = next(iter(moment.unreadable.items()))
        files = counted(len(moment.unreadable), "session")
        text = f"{files} cannot be read: {why or name}"
        lines.append(out.styled(_cut(text, width), "red"))
    return lines


def _none(moment: DirectoryActivity, width: int | None) -> str:
    return _cut("none of these sessions fits" if moment.sessions else "no session runs yet", width)


def _table(
    out: Output,
    shown: Sequence[SessionActivity],
    among: Sequence[SessionActivity],
    now_s: float,
    width: int | None,
    *,
    rated: bool,
) -> tuple[list[Painted], list[str]]:
    now = datetime.now(UTC)
    short = shorten({one.id_text for one in among})
    rows = [_row(one, short[one.id_text], now, now_s, width) for one in shown]
    damage = {row[_DAMAGE]: "red" for row in rows if row[_DAMAGE] not in ("0", "0+")}
    failed = {row[_FAILED]: "red" for row in rows if row[_FAILED][0] != "0"}
    tools = {row[_LAST_TOOL]: "yellow" for row in rows}
    wide = _TOOL if rated else 0
    columns = [
        Column("STATE", styles=STATE_STYLES),
        Column("ID"),
        Column("ROWS", right=True, spare=2),
        Column("ROWS/S", right=True, spare=1, styles={"0.0": "dim"}),
        Column("IDLE", right=True, spare=6),
        Column("SIZE", right=True, spare=9),
        Column("CALLS", right=True, spare=8),
        Column("FAILED", right=True, spare=10, styles=failed),
        Column("LAST TOOL".ljust(wide), spare=4, styles=tools),
        Column("WAITS FOR".ljust(wide), spare=7),
        Column("DAMAGE", right=True, spare=3, styles=damage),
        Column("TOKENS", right=True, spare=5),
        Column("AGE", right=True, spare=11),
        Column("TITLE", spare=12, least=_LEAST_TITLE),
    ]
    if not rated:
        del columns[_RATE]
        for row in rows:
            del row[_RATE]
    return lay_out(out, columns, rows, width)


def _row(
    one: SessionActivity, short: str, now: datetime, now_s: float, width: int | None
) -> list[str]:
    # What was not read from its start has more than was counted.
    more = "" if one.is_whole else "+"
    waits = ""
    if one.unanswered_calls and one.state in (SessionState.LIVE, SessionState.UNKNOWN):
        waits = _cut(one.waits_for[-1] if one.waits_for else "?", _TOOL)
        if one.unanswered_calls > 1:
            waits += f" +{one.unanswered_calls - 1}"
    return [
        one.state.value,
        short,
        f"{one.rows}{more}",
        f"{one.rows_per_s:.1f}",
        _span(now_s - one.active_s),
        size(one.size_bytes),
        f"{one.tool_calls}{more}",
        f"{one.tool_errors}{more}",
        _cut(one.last_tool or "", _TOOL),
        waits,
        f"{one.damaged_lines}{more}" + (" torn" if one.torn_bytes else ""),
        tokens(one.usage),
        age(one.created_at, now) if one.created_at else "?",
        _cut(one.title or "", _TITLE if width is None else None),
    ]


def _span(seconds: float) -> str:
    """Return a length of time: 12s, 5m, 3h, 2d."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"


def _wrapped(parts: list[str], width: int | None) -> list[str]:
    """Put parts on as few lines as hold them."""
    lines: list[str] = []
    for part in parts:
        text = one_line(part)
        longer = f"{lines[-1]}{_BETWEEN}{text}" if lines else text
        if lines and (width is None or cell_len(longer) <= width):
            lines[-1] = longer
        else:
            lines.append(_cut(text, width))
    return lines


def _cut(text: str, width: int | None) -> str:
    """Return text as one line of so many columns at most."""
    text = one_line(text)
    if width is None or cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…"

"""audits of sessions -> a table of them, and what there is in all, printed for people."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sessiontail.cli.rendering import age
from sessiontail.cli.table import Column, print_rows
from sessiontail.cli.terminal import Output
from sessiontail.format.audit import DirectoryAudit, SessionAudit
from sessiontail.format.brief import counted
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.records import ChunkKind, DamageReason
from sessiontail.reports.amounts import UNKNOWN, number, size
from sessiontail.reports.order import reasons_of
from sessiontail.reports.tools import ToolUse, together, tools_of
from sessiontail.urls import is_url

__all__ = ["print_audits", "print_total", "ways_on"]

_STYLES = {"error": "red", "warning": "yellow", "info": "dim"}
# A screen has place for so many; -o jsonl has all.
_MOST_TOOLS = 15
_LEAST_FINDINGS = 20
# What a clean copy is without; of a file that has no header there is none.
_MENDED = {*map(str, DamageReason), "torn-tail"}


def print_audits(out: Output, audits: Sequence[SessionAudit], short: dict[str, str]) -> None:
    """Print sessions as a table.

    Args:
        out: where to.
        audits: in order, at least one.
        short: what to call each id.
    """
    now = datetime.now(UTC)
    columns = [
        Column("WORST", styles=_STYLES),
        Column("STATE", spare=2),
        Column("AGE", right=True, spare=3),
        Column("OWN", right=True, spare=4),
        Column("ROWS", right=True, spare=7),
        Column("SIZE", right=True, spare=5),
        Column("TOKENS", right=True, spare=6),
        Column("CALLS", right=True, spare=9),
        Column("FAILED", right=True, spare=8),
        Column("ID"),
        Column("FINDINGS", spare=1, least=_LEAST_FINDINGS),
    ]
    rows = [_row(one, short, now) for one in audits]
    if not any(one.findings_by_reason for one in audits):  # the first and the last say nothing
        columns, rows = columns[1:-1], [row[1:-1] for row in rows]
    print_rows(out, columns, rows)


def print_total(out: Output, total: DirectoryAudit) -> None:
    """Print what there is in all sessions: sums, tools, findings."""
    own, by_state = total.own, total.sessions_by_state
    states = ", ".join(
        f"{by_state[state]:,} {state}" for state in SessionState if state in by_state
    )
    lines = [
        (
            "sessions",
            f"{total.sessions:,}: {states}; {counted(total.conversations, 'conversation')}",
        )
    ]
    if total.unreadable:
        lines.append(("unreadable", f"{counted(total.unreadable, 'file')}, in no sum but the size"))
    torn = f", {size(total.torn_bytes)} of it torn" if total.torn_bytes else ""
    lines.append(("size", f"{size(total.size_bytes)}{torn}"))
    by_kind = own.rows_by_kind
    kinds = "".join(f"; {by_kind[kind]:,} {kind}" for kind in ChunkKind if kind in by_kind)
    copies = total.rows - total.own_rows
    lines.append(("rows", f"{own.rows:,}{kinds}"))
    if copies:
        lines.append(
            (
                "",
                f"and {counted(copies, 'row')} copied from earlier sessions, which are not counted",
            )
        )
    if total.inherited_unknown:
        sessions = counted(total.inherited_unknown, "session")
        lines.append(("", f"of {sessions} it is unknown what is copied: all of theirs are counted"))
    lines += _calls(total)
    lines += _tokens(total)
    width = max(len(label) for label, _ in lines) + 2
    for label, text in lines:
        out.line(out.styled(label.ljust(width), "bold"), text)
    tools = tools_of(own)
    if tools:
        out.line()
        _print_tools(out, tools)
    if total.findings_by_reason:
        out.line()
        _print_findings(out, total)


def ways_on(audits: Iterable[SessionAudit], directory: str | None) -> list[str]:
    """Return how to go on from what was found, a line each; none where nothing was.

    Args:
        audits: all that fit.
        directory: where they lie, if that is to be typed again.
    """
    typed = [] if directory is None else [directory]
    odd = [one.findings_by_reason.keys() for one in audits if one.findings_by_reason]
    if not odd:
        return []
    ways = [f"lines and messages: `{shlex.join(['sessiontail', 'audit', *typed, '-o', 'jsonl'])}`"]
    mends = any(_MENDED & reasons and "no-header" not in reasons for reasons in odd)
    if mends and not is_url(directory or ""):
        place = ["--dir", *typed] if typed else []
        words = ["sessiontail", "repair", "ID", *place, "--to", "FILE"]
        ways.append(f"a clean copy: `{shlex.join(words)}`")
    return ways


def _row(one: SessionAudit, short: dict[str, str], now: datetime) -> list[str]:
    own = one.own
    counts = (own.rows, one.rows, sum(own.tool_calls.values()), sum(own.tool_errors.values()))
    own_rows, rows, calls, failed = (number(count if one.was_read else None) for count in counts)
    ident = one.path.name if one.id_text is None else short.get(one.id_text, one.id_text)
    return [
        str(one.severity or ""),
        str(one.state),
        UNKNOWN if one.created_at is None else age(one.created_at, now),
        own_rows,
        rows,
        size(one.size_bytes),
        number(None if one.usage is None else one.usage.total_tokens),
        calls,
        failed,
        ident,
        ", ".join(
            (reason if count == 1 else f"{count:,} {reason}") + _more(one, reason)
            for _, reason, count in reasons_of(one.findings_by_reason)
        ),
    ]


def _more(one: SessionAudit, reason: str) -> str:
    """Return what a reason alone does not say: how the file is called, and why it is not read."""
    if reason == "name-differs":
        return f" ({one.path.name})"
    if reason == "unreadable":
        return "".join(f" ({found.message})" for found in one.findings if found.reason == reason)
    return ""


def _calls(total: DirectoryAudit) -> list[tuple[str, str]]:
    """Return how many calls there are, how many failed, and what does not fit together."""
    own = total.own
    every = together(tools_of(own), "")
    failed = f"; {every.errors:,} of {counted(every.results, 'result')} failed ({every.failed})"
    lines = [("calls", f"{every.calls:,}{failed if every.results else ''}")]
    if own.unanswered_calls:
        lines.append(("", f"{counted(own.unanswered_calls, 'call')} without a result"))
    if own.unasked_results:
        lines.append(("", f"{counted(own.unasked_results, 'result')} that no call asked for"))
    return lines


def _tokens(total: DirectoryAudit) -> list[tuple[str, str]]:
    """Return the sums, of how many sessions they are, and of how many they are not."""
    usage = total.usage
    if not usage.known:
        lines = [("tokens", UNKNOWN)]
    else:
        parts = (
            f"{number(usage.prompt_tokens)} prompt, {number(usage.completion_tokens)} completion"
        )
        lines = [
            ("tokens", f"{number(usage.total_tokens)} ({parts})"),
            ("", f"of {counted(usage.known, 'session')}"),
        ]
    if usage.unknown:
        lines.append(("", f"of {counted(usage.unknown, 'session')} unknown: no trailer says them"))
    if usage.damaged:
        lines.append(("", f"of {counted(usage.damaged, 'session')} unknown: damaged"))
    return lines


def _print_tools(out: Output, tools: list[ToolUse]) -> None:
    columns = [
        Column("CALLS", right=True),
        Column("RESULTS", right=True, spare=2),
        Column("FAILED", right=True, spare=1),
        Column("OF RESULTS", right=True, spare=3),
        Column("TOOL"),
    ]
    shown = tools[:_MOST_TOOLS]
    if rest := tools[_MOST_TOOLS:]:
        shown = [*shown, together(rest, f"({len(rest):,} more)")]
    rows = [
        [f"{one.calls:,}", f"{one.results:,}", f"{one.errors:,}", one.failed, one.name]
        for one in shown
    ]
    print_rows(out, columns, rows)


def _print_findings(out: Output, total: DirectoryAudit) -> None:
    columns = [
        Column("SEVERITY", styles=_STYLES),
        Column("SESSIONS", right=True),
        Column("FOUND", right=True, spare=1),
        Column("FINDING"),
    ]
    rows = [
        [str(severity), f"{total.sessions_by_reason[reason]:,}", f"{count:,}", reason]
        for severity, reason, count in reasons_of(total.findings_by_reason)
    ]
    print_rows(out, columns, rows)

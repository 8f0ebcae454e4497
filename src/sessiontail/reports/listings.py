"""audits of sessions -> the sections of a page that name sessions: the worst of them, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from sessiontail.format.audit import SessionAudit
from sessiontail.format.audit_state import in_utc
from sessiontail.format.findings import Finding
from sessiontail.reports.amounts import UNKNOWN, number, size
from sessiontail.reports.markup import Html, Table, marked, name, table
from sessiontail.reports.order import SEVERITIES, reasons_of, worst_first
from sessiontail.reports.sections import Section

__all__ = ["MOST_FINDINGS", "MOST_SESSIONS", "listings_of"]

#: Who reads more asks a program; a page of all of ten thousand sessions is no page.
MOST_SESSIONS = 200
MOST_FINDINGS = 200


def listings_of(audits: Sequence[SessionAudit]) -> Iterator[Section]:
    """Yield a section of single findings, if there are any, and one of sessions."""
    ordered = worst_first(audits)
    count = sum(len(one.findings) for one in ordered)
    if count:
        yield Section("single", "Single findings", _findings(ordered, count))
    yield Section("sessions", "Sessions", _sessions(ordered))


def _findings(ordered: list[SessionAudit], count: int) -> Html:
    shown = list(islice(_single(ordered), MOST_FINDINGS))
    rows = [
        [
            _session(one),
            marked(found.severity),
            found.reason,
            _line(found.line),
            found.message,
        ]
        for one, found in shown
    ]
    caption = _caption("finding", len(shown), count)
    heads = ["Session", "Severity", "Finding", "Line", "What exactly"]
    return table("single-table", Table(caption, heads, rows, frozenset({3})))


def _single(ordered: list[SessionAudit]) -> Iterator[tuple[SessionAudit, Finding]]:
    for severity in SEVERITIES:
        for one in ordered:
            for found in one.findings:
                if found.severity is severity:
                    yield one, found


def _sessions(ordered: list[SessionAudit]) -> Html:
    rows = [_row(one) for one in ordered[:MOST_SESSIONS]]
    heads = [
        "Session", "Findings", "State", "Created (UTC)", "Own rows", "Rows", "Size", "Tokens", "Own calls",
        "Failed",
    ]  # fmt: skip
    caption = _caption("session", len(rows), len(ordered))
    return table("sessions-table", Table(caption, heads, rows, frozenset({4, 5, 6, 7, 8, 9})))


def _row(one: SessionAudit) -> list[str]:
    own = one.own
    created = UNKNOWN if one.created_at is None else f"{in_utc(one.created_at):%Y-%m-%d %H:%M}"
    counts = (own.rows, one.rows, sum(own.tool_calls.values()), sum(own.tool_errors.values()))
    own_rows, rows, calls, errors = (number(count if one.was_read else None) for count in counts)
    tokens = number(None if one.usage is None else one.usage.total_tokens)
    return [
        _session(one), _found(one), str(one.state), created, own_rows, rows, size(one.size_bytes), tokens,
        calls, errors,
    ]  # fmt: skip


def _found(one: SessionAudit) -> Html:
    """Return the reasons of a session's findings."""
    return Html(
        ", ".join(
            marked(severity, reason) + (f" ({count:,})" if count > 1 else "")
            for severity, reason, count in reasons_of(one.findings_by_reason)
        )
        or "none"
    )


def _session(one: SessionAudit) -> Html:
    called = Html(f"<code>{name(one.id_text or one.path.name)}</code>")
    if "name-differs" not in one.findings_by_reason:
        return called
    return Html(f"{called} in <code>{name(one.path.name)}</code>")


def _line(line: int | None) -> str:
    """Return the number of a line; of the whole file there is none."""
    return "" if line is None else f"{line:,}"


def _caption(noun: str, shown: int, count: int) -> str:
    if shown == count:
        return f"All {noun}s, the worst first" if count > 1 else f"The only {noun}"
    return (
        f"The {shown:,} worst of {count:,} {noun}s; all are in what 'sessiontail audit' writes with "
        "-o jsonl or -o parquet"
    )

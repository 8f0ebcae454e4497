"""audits of sessions -> the sections of a page: each a chart, and a table that has its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sessiontail.format.audit import DirectoryAudit, SessionAudit
from sessiontail.format.brief import counted
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.records import ChunkKind
from sessiontail.reports.amounts import number, percent, size
from sessiontail.reports.histograms import by_size, by_time
from sessiontail.reports.markup import Html, Table, html, marked, name, table
from sessiontail.reports.order import reasons_of
from sessiontail.reports.svg import Bar, bars, columns
from sessiontail.reports.tools import ToolUse, together, tools_of

__all__ = ["Section", "numbers_of"]

# The others are summed up in a last row.
_MOST_TOOLS = 30


class Section(NamedTuple):
    """A part of the page, under a heading."""

    ident: str
    heading: str
    body: Html


def numbers_of(audits: Sequence[SessionAudit], total: DirectoryAudit) -> Iterator[Section]:
    """Yield the sections that are of all sessions together; there is at least one."""
    yield Section("states", "Sessions by state", _states(total))
    yield Section("time", "Sessions over time", _over_time(audits))
    yield Section("sizes", "Sizes", _sizes(audits))
    yield Section("rows", "Rows", _rows(total))
    yield Section("tools", "Tools", _tools(total))
    yield Section("tokens", "Tokens", _tokens(total))
    yield Section("findings", "Findings", _findings(total))


def _states(total: DirectoryAudit) -> Html:
    counts = [(state, total.sessions_by_state.get(state, 0)) for state in map(str, SessionState)]
    title, text = "Sessions by state", ", ".join(f"{count:,} {state}" for state, count in counts)
    items = [Bar(state, count, f"{count:,}") for state, count in counts]
    rows = [[state, f"{count:,}", percent(count, total.sessions)] for state, count in counts]
    return _pair(
        bars("states-chart", title, f"{text}.", items),
        table("states-table", Table(title, ["State", "Sessions", "Share"], rows, _N12)),
    )


def _over_time(audits: Sequence[SessionAudit]) -> Html:
    line = by_time(audits)
    undated = (
        f"Of {counted(line.undated, 'session')} it is unknown when: they have no header."
        if line.undated
        else ""
    )
    if not line.spans:
        return _said(undated)
    most = max(line.spans, key=lambda one: one.sessions)
    title = f"Sessions that began, by {line.unit} (UTC)"
    rows = [
        [one.label, f"{one.sessions:,}", f"{one.own_rows:,}", number(one.tokens) if one.known else "?",
         f"{one.known:,}"]
        for one in line.spans
        if one.sessions
    ]  # fmt: skip
    heads = [line.unit.capitalize(), "Sessions", "Own rows", "Tokens", "Known of"]
    text = f"From {line.spans[0].label} to {line.spans[-1].label}; the most, {most.sessions:,}: {most.label}."
    items = [(one.label, one.sessions) for one in line.spans]
    empty = len(line.spans) - len(rows)
    return _shown(
        columns("time-chart", title, text, items),
        table("time-table", Table(title, heads, rows, frozenset({1, 2, 3, 4}))),
        _said(f"In {counted(empty, 'other ' + line.unit)} none began." if empty else ""),
        _said(undated),
    )


def _sizes(audits: Sequence[SessionAudit]) -> Html:
    classes = by_size(audits)
    title = "Sessions by the size of their file"
    most = max(classes, key=lambda one: one.sessions)
    items = [Bar(one.label, one.sessions, f"{one.sessions:,}") for one in classes]
    rows = [[one.label, f"{one.sessions:,}", size(one.size_bytes)] for one in classes]
    return _pair(
        bars("sizes-chart", title, f"The most, {most.sessions:,}, have {most.label}.", items),
        table("sizes-table", Table(title, ["Size", "Sessions", "Together"], rows, _N12)),
    )


def _rows(total: DirectoryAudit) -> Html:
    own = total.own
    title = "Rows by kind, each counted once"
    kinds = [kind for kind in map(str, ChunkKind) if kind in own.rows_by_kind]
    copies = total.rows - total.own_rows
    note = _said(
        f"The files have {counted(total.rows, 'row')}; {f'{copies:,}' if copies else 'none'} of these "
        "are copies of an earlier session's, which are not counted here."
    )
    unknown = _said(
        f"Of {counted(total.inherited_unknown, 'session')} it is unknown what is copied: all their "
        "rows are counted."
        if total.inherited_unknown
        else ""
    )
    if not kinds:
        return _shown(note, unknown)
    items = [Bar(kind, own.rows_by_kind[kind], f"{own.rows_by_kind[kind]:,}") for kind in kinds]
    rows = [
        [kind, f"{own.rows_by_kind[kind]:,}", size(own.bytes_by_kind.get(kind, 0))]
        for kind in kinds
    ]
    foot = ["Together", f"{own.rows:,}", size(sum(own.bytes_by_kind.values()))]
    text = f"{', '.join(f'{own.rows_by_kind[kind]:,} {kind}' for kind in kinds)}."
    return _shown(
        note,
        unknown,
        _pair(
            bars("rows-chart", title, text, items),
            table("rows-table", Table(title, ["Kind", "Rows", "Size"], rows, _N12, foot)),
        ),
    )


def _tools(total: DirectoryAudit) -> Html:
    tools = tools_of(total.own)
    if not tools:
        return _said("No session calls a tool.")
    shown, rest = tools[:_MOST_TOOLS], tools[_MOST_TOOLS:]
    title = "Calls by tool, each counted once"
    items = [Bar(one.name, one.calls, one.figure, one.errors) for one in shown[:10]]
    rows = [[name(one.name), *_use(one)] for one in shown]
    if rest:
        rows.append([counted(len(rest), "more tool"), *_use(together(rest, ""))])
    foot = ["Together", *_use(together(tools, ""))]
    heads = ["Tool", "Calls", "Results", "Failed", "Of results"]
    text = (
        f"The most, {shown[0].calls:,}, are of {shown[0].name}; what failed is in the other colour."
    )
    own = total.own
    return _shown(
        _pair(
            bars("tools-chart", f"{title}: the most used" if tools[10:] else title, text, items),
            table("tools-table", Table(title, heads, rows, frozenset({1, 2, 3, 4}), foot)),
        ),
        _said(
            f"{counted(own.unanswered_calls, 'call')} without a result, "
            f"{counted(own.unasked_results, 'result')} that no call asked for."
        ),
    )


def _tokens(total: DirectoryAudit) -> Html:
    usage = total.usage
    title = "Sessions by what is known of their tokens"
    known = [
        ("known", usage.known, "", "the last trailer says them"),
        ("unknown", usage.unknown, "warning", "no trailer says them"),
        ("damaged", usage.damaged, "error", "no trailer says them, and a line is damaged"),
    ]
    sums = (
        [number(usage.prompt_tokens), number(usage.completion_tokens), number(usage.total_tokens)]
        if usage.known
        else ["?", "?", "?"]
    )
    names = ["Prompt", "Completion", "Total"]
    beside = [f"{usage.known:,}", f"{usage.unknown:,}", f"{usage.damaged:,}"]
    text = f"{', '.join(f'{count:,} {label}' for label, count, _, _ in known)}."
    items = [Bar(label, count, f"{count:,}", style=style) for label, count, style, _ in known]
    caption = "Tokens, and of how many sessions"
    heads = ["Tokens", "Sum", "Known", "Unknown", "Damaged"]
    rows = [[one, value, *beside] for one, value in zip(names, sums, strict=True)]
    return _shown(
        _pair(
            bars("tokens-chart", title, text, items),
            table("tokens-table", Table(caption, heads, rows, frozenset({1, 2, 3, 4}))),
        ),
        _said(
            "; ".join(f"{label}: {means}" for label, _, _, means in known)
            + ". What is unknown is in no sum."
        ),
    )


def _findings(total: DirectoryAudit) -> Html:
    found = reasons_of(total.findings_by_reason)
    if not found:
        return _said("None.")
    title = "Sessions by finding"
    in_sessions = total.sessions_by_reason
    items = [
        Bar(
            f"{reason} ({severity})",
            in_sessions[reason],
            f"{in_sessions[reason]:,}",
            style=severity,
        )
        for severity, reason, _ in found
    ]
    rows = [
        [reason, marked(severity), f"{in_sessions[reason]:,}", f"{count:,}"]
        for severity, reason, count in found
    ]
    text = f"{', '.join(f'{in_sessions[reason]:,} {reason}' for _, reason, _ in found)}."
    heads = ["Finding", "Severity", "Sessions", "Findings"]
    return _pair(
        bars("findings-chart", title, text, items),
        table("findings-table", Table(title, heads, rows, frozenset({2, 3}))),
    )


_N12 = frozenset({1, 2})


def _use(one: ToolUse) -> list[str]:
    return [f"{one.calls:,}", f"{one.results:,}", f"{one.errors:,}", one.failed]


def _shown(*parts: Html) -> Html:
    return Html("".join(parts))


def _pair(chart: Html, figures: Html) -> Html:
    """Return a chart and its table, side by side where there is place."""
    return Html(f'<div class="pair">{chart}{figures}</div>')


def _said(text: str) -> Html:
    return Html(f"<p>{html(text)}</p>" if text else "")

"""audits of sessions -> one HTML page that stands alone: no script, nothing that is loaded.

A browser that opens it asks nobody for anything (``POLICY``), whatever the sessions say. It is bounded:
charts and tables are of all sessions, and of single ones the worst are named.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sessiontail.format.audit import DirectoryAudit, SessionAudit, summarize
from sessiontail.format.audit_state import in_utc
from sessiontail.format.brief import counted
from sessiontail.reports.amounts import UNKNOWN, number, size
from sessiontail.reports.listings import listings_of
from sessiontail.reports.markup import Html, html, name
from sessiontail.reports.sections import Section, numbers_of
from sessiontail.reports.style import POLICY, STYLE

__all__ = ["audits_to_html"]

_FOOTNOTE = (
    "“?” is unknown, never zero. A row, a call or a result that a session has copied from an earlier one "
    "counts once, where it was said first."
)


def audits_to_html(
    audits: Iterable[SessionAudit],
    *,
    directory: str | None = None,
    made_at: datetime | None = None,
) -> str:
    """Return a report of audits as one HTML page, for a browser, a screen reader or paper.

    Args:
        audits: from ``audit_sessions``, in any order.
        directory: where the sessions lie, as the page is to call it.
        made_at: when the audit was made, as the page is to say it; aware.
    """
    found = list(audits)
    total = summarize(found)
    sections = [*numbers_of(found, total), *listings_of(found)] if found else []
    title = "Audit of sessions"
    return "".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta name="color-scheme" content="light dark">\n',
            '<meta name="referrer" content="no-referrer">\n',
            f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n",
            _origin(directory, made_at),
            "</header>\n",
            _contents(sections),
            "<main>\n",
            _glance(total) if found else "<p>There are no sessions.</p>\n",
            *(_section(one) for one in sections),
            f"</main>\n<footer><p>{_FOOTNOTE}</p></footer>\n</body>\n</html>\n",
        ]
    )


def _origin(directory: str | None, made_at: datetime | None) -> str:
    where = "" if directory is None else f"of <code>{name(directory)}</code>"
    when = ""
    if made_at is not None:
        utc = in_utc(made_at)
        when = f'on <time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}">{utc:%Y-%m-%d at %H:%M UTC}</time>'
    said = " ".join(filter(None, [where, when]))
    return f'<p class="quiet">{said}</p>\n' if said else ""


def _contents(sections: list[Section]) -> str:
    if not sections:
        return ""
    links = "".join(f'<li><a href="#{one.ident}">{html(one.heading)}</a></li>' for one in sections)
    return f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n'


def _section(one: Section) -> str:
    return (
        f'<section aria-labelledby="{one.ident}">\n<h2 id="{one.ident}">{html(one.heading)}</h2>\n'
        f"{one.body}\n</section>\n"
    )


def _glance(total: DirectoryAudit) -> str:
    """Return what one looks for first, in eight numbers."""
    usage = total.usage
    without = usage.unknown + usage.damaged
    worst = total.sessions_by_severity
    copies = total.rows - total.own_rows
    failed, results = sum(total.own.tool_errors.values()), sum(total.own.tool_results.values())
    facts = [
        (
            "Sessions",
            number(total.sessions),
            f"{total.unreadable:,} could not be read" if total.unreadable else "",
        ),
        ("Conversations", number(total.conversations), ""),
        ("Rows", number(total.own_rows), f"and {copies:,} copies" if copies else ""),
        (
            "Size",
            size(total.size_bytes),
            f"{size(total.torn_bytes)} torn" if total.torn_bytes else "",
        ),
        (
            "Tokens",
            number(usage.total_tokens) if usage.known else UNKNOWN,
            f"of {counted(usage.known, 'session')}; unknown of {without:,}",
        ),
        (
            "Tool calls",
            number(sum(total.own.tool_calls.values())),
            f"{failed:,} of {counted(results, 'result')} failed" if results else "",
        ),
        ("With errors", number(worst.get("error", 0)), "sessions, something in them lost"),
        ("With warnings", number(worst.get("warning", 0)), "sessions, and no error"),
    ]
    return Html(
        '<dl class="facts">'
        + "".join(
            f"<div><dt>{html(label)}</dt><dd><b>{html(value)}</b>{html(beside)}</dd></div>"
            for label, value, beside in facts
        )
        + "</dl>\n"
    )

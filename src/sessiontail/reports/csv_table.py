"""audits of sessions -> CSV, one row a session, that a spreadsheet takes as text and numbers.

Whatever a session says, no cell is a formula: text that would begin one gets an apostrophe before it,
as OWASP advises. Control characters and marks that turn the order of letters are shown as escapes.
Source: RFC 4180, but that lines end with a newline alone; https://owasp.org/www-community/attacks/CSV_Injection.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from sessiontail.format.audit import SessionAudit
from sessiontail.format.inert import inert
from sessiontail.reports.rows import COLUMNS, session_row

__all__ = ["audits_to_csv", "csv_text"]

# A spreadsheet also takes their wide forms, and looks behind blanks.
_BEGINS_A_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - wide on purpose


def audits_to_csv(audits: Iterable[SessionAudit]) -> str:
    """Return a CSV table of audits: a line of names, then one a session, in their order.

    An empty cell is unknown, never zero. Lists are one cell: ids with a space between them, findings
    as ``reason=count``. The columns and their order are those of ``query_audits``.

    Args:
        audits: from ``audit_sessions``.
    """
    rows = (session_row(one) for one in audits)
    return csv_text([*COLUMNS], ([row[name] for name in COLUMNS] for row in rows))


def csv_text(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a line of names and lines of values as CSV, with no cell that is a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(_cell, names))
    for row in rows:
        writer.writerow(map(_cell, row))
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, dict):
        value = " ".join(f"{key}={count}" for key, count in value.items())
    elif isinstance(value, (list, tuple)):
        value = " ".join(map(str, value))
    text = inert(str(value))
    return f"'{text}" if text.lstrip().startswith(_BEGINS_A_FORMULA) else text

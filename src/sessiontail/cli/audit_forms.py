"""audits of sessions, or what a query answers -> bytes in the form that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sessiontail.cli.escaping import clean_json, encoded
from sessiontail.cli.table import Column, print_rows
from sessiontail.cli.terminal import Output
from sessiontail.format.audit import DirectoryAudit, SessionAudit
from sessiontail.format.dumping import dump
from sessiontail.format.plain import SCHEMA
from sessiontail.reports.amounts import UNKNOWN
from sessiontail.reports.csv_table import audits_to_csv, csv_text
from sessiontail.reports.page import audits_to_html
from sessiontail.reports.parquet import audits_to_parquet
from sessiontail.reports.sql import QueryResult

__all__ = ["ANSWER_FORMS", "FORMS", "answer_as", "form_of", "print_answer", "report_as"]

#: Forms for programs, by the ending of a file's name.
FORMS = {
    "json": "json",
    "jsonl": "jsonl",
    "csv": "csv",
    "parquet": "parquet",
    "html": "html",
    "htm": "html",
}
#: Those that a query's answer has.
ANSWER_FORMS = ("json", "jsonl", "csv")


def form_of(name: str) -> str | None:
    """Return the form that the name of a file asks for; None where it asks for none."""
    return FORMS.get(name.rpartition(".")[2].lower()) if "." in name else None


def report_as(
    form: str,
    audits: Sequence[SessionAudit],
    total: DirectoryAudit,
    *,
    directory: str,
    made_at: datetime,
) -> bytes:
    """Return audits in one of ``FORMS``.

    Args:
        form: which.
        audits: those that are shown, in order.
        total: of all that fit.
        directory: where they lie.
        made_at: now.
    """
    match form:
        case "json":
            sessions = [one.to_dict() for one in audits]
            return _json(
                {"schema": SCHEMA, "summary": total.to_dict(), "sessions": sessions}, indent=2
            )
        case "jsonl":
            return b"".join(_json(one.to_dict()) for one in audits)
        case "csv":
            return encoded(audits_to_csv(audits))
        case "parquet":
            return audits_to_parquet(audits)
        case _:
            return encoded(audits_to_html(audits, directory=directory, made_at=made_at))


def answer_as(form: str, answer: QueryResult) -> bytes:
    """Return what a query answers in one of ``ANSWER_FORMS``."""
    if form == "csv":
        return encoded(csv_text(answer.columns, answer.rows))
    rows = answer.to_dicts()
    return _json(rows, indent=2) if form == "json" else b"".join(map(_json, rows))


def print_answer(out: Output, answer: QueryResult) -> None:
    """Print what a query answers as a table; "?" is NULL."""
    columns = [
        Column(name, right=all(_is_number(row[i]) for row in answer.rows), spare=i)
        for i, name in enumerate(answer.columns)
    ]
    print_rows(out, columns, [[_cell(value) for value in row] for row in answer.rows])


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _cell(value: Any) -> str:
    if value is None:
        return UNKNOWN
    return dump(value) if isinstance(value, (dict, list, bool)) else str(value)


def _json(value: Any, indent: int | None = None) -> bytes:
    return encoded(clean_json(dump(value, indent=indent))) + b"\n"

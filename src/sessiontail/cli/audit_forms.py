"""audits, or what a query answers -> bytes, piece by piece, in the form that was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
) -> Iterator[bytes]:
    """Yield audits in one of ``FORMS``.

    Args:
        form: which.
        audits: those that are shown, in order.
        total: of all that fit.
        directory: where they lie.
        made_at: now.
    """
    match form:
        case "json":
            yield from _whole(audits, total)
        case "jsonl":
            for one in audits:
                yield _json(one.to_dict())
        case "csv":
            yield encoded(audits_to_csv(audits))
        case "parquet":
            yield audits_to_parquet(audits)
        case _:
            yield encoded(audits_to_html(audits, directory=directory, made_at=made_at))


def answer_as(form: str, answer: QueryResult) -> Iterator[bytes]:
    """Yield what a query answers in one of ``ANSWER_FORMS``."""
    if form == "csv":
        yield encoded(csv_text(answer.columns, answer.rows))
    elif form == "json":
        yield _json(answer.to_dicts(), indent=2)
    else:
        yield from map(_json, answer.to_dicts())


def print_answer(out: Output, answer: QueryResult) -> None:
    """Print what a query answers as a table; "?" is NULL."""
    columns = [
        Column(name, right=all(_is_number(row[i]) for row in answer.rows), spare=i)
        for i, name in enumerate(answer.columns)
    ]
    print_rows(out, columns, [[_cell(value) for value in row] for row in answer.rows])


def _whole(audits: Sequence[SessionAudit], total: DirectoryAudit) -> Iterator[bytes]:
    """Yield one object, a session at a time: all at once, ten thousand take 150 MB."""
    empty = _json({"schema": SCHEMA, "summary": total.to_dict(), "sessions": []}, indent=2)
    head, tail = empty[: -len(b"]\n}\n")], b"]\n}\n"
    yield head
    for i, one in enumerate(audits):
        text = _json(one.to_dict(), indent=2).rstrip().replace(b"\n", b"\n    ")
        yield (b",\n    " if i else b"\n    ") + text
    yield b"\n  " * bool(audits) + tail


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _cell(value: Any) -> str:
    if value is None:
        return UNKNOWN
    return dump(value) if isinstance(value, (dict, list, bool)) else str(value)


def _json(value: Any, indent: int | None = None) -> bytes:
    return encoded(clean_json(dump(value, indent=indent))) + b"\n"

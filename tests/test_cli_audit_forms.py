"""Audits and answers in forms for programs: each whole, each safe at a terminal."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from audits import MOMENT, family, ident
from sessiontail.cli.audit_forms import (
    ANSWER_FORMS,
    FORMS,
    answer_as,
    form_of,
    print_answer,
    report_as,
)
from sessiontail.cli.escaping import clean_json
from sessiontail.cli.terminal import Output
from sessiontail.format.audit import summarize
from sessiontail.reports.sql import QueryResult

ANSWER = QueryResult(
    ("id", "n", "at", "what"),
    [("\x1b[2Ja", 1, datetime(2026, 1, 2, tzinfo=UTC), ["x"]), ("=b", None, None, {"y": True})],
)


def report(form: str, count: int = 4) -> bytes:
    audits = family()
    total = summarize(audits)
    return b"".join(report_as(form, audits[:count], total, directory="/sessions", made_at=MOMENT))


def answer(form: str) -> bytes:
    return b"".join(answer_as(form, ANSWER))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.html", "html"),
        ("a.HTM", "html"),
        ("dir.csv/a.jsonl", "jsonl"),
        ("a.json", "json"),
        ("a.b.parquet", "parquet"),
        ("csv", None),
        ("a.txt", None),
        ("a", None),
    ],
)
def test_the_name_of_a_file_says_the_form(name: str, form: str | None) -> None:
    assert form_of(name) == form


def test_json_has_the_sums_of_all_beside_the_sessions_that_are_shown() -> None:
    told: dict[str, Any] = json.loads(report("json", 2))

    assert [*told] == ["schema", "summary", "sessions"]
    assert told["summary"] == json.loads(json.dumps(summarize(family()).to_dict()))
    assert [one["id"] for one in told["sessions"]] == [ident(1), ident(2)]
    # As one call writes it, which takes more memory.
    for count in (2, 0):
        whole = {**told, "sessions": told["sessions"][:count]}
        text = clean_json(json.dumps(whole, indent=2, ensure_ascii=False))
        assert report("json", count).decode() == f"{text}\n"


def test_jsonl_has_a_session_a_line() -> None:
    lines = report("jsonl").decode().splitlines()

    assert [json.loads(line) for line in lines] == [
        json.loads(json.dumps(one.to_dict())) for one in family()
    ]


def test_csv_parquet_and_html_are_what_the_library_makes() -> None:
    rows = list(csv.DictReader(io.StringIO(report("csv").decode())))

    assert [row["id"] for row in rows] == [ident(1), ident(2), ident(3), ident(9)]
    assert report("parquet")[:4] == report("parquet")[-4:] == b"PAR1"
    assert b"of <code><bdi>/sessions</bdi></code> on <time" in report("html")


@pytest.mark.parametrize("form", sorted({*FORMS.values()} - {"parquet"}))
def test_no_text_commands_a_terminal(form: str) -> None:
    data = report(form)

    assert b"\x1b" not in data
    assert "\u202e" not in data.decode()


def test_an_answer_has_a_form_for_programs() -> None:
    rows = [
        {"id": "\x1b[2Ja", "n": 1, "at": "2026-01-02T00:00:00+00:00", "what": ["x"]},
        {"id": "=b", "n": None, "at": None, "what": {"y": True}},
    ]

    assert json.loads(answer("json")) == rows
    assert [json.loads(line) for line in answer("jsonl").splitlines()] == rows
    assert answer("csv").decode() == (
        "id,n,at,what\n\\x1b[2Ja,1,2026-01-02 00:00:00+00:00,x\n'=b,,,y=True\n"
    )
    assert all(b"\x1b" not in answer(form) for form in ANSWER_FORMS)


def test_an_answer_is_a_table_and_null_is_unknown(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    print_answer(Output("never"), ANSWER)
    sys.stdout.flush()

    assert capsysbinary.readouterr().out.decode().splitlines() == [
        "id        n  at                         what",
        '\\x1b[2Ja  1  2026-01-02 00:00:00+00:00  ["x"]',
        '=b        ?  ?                          {"y": true}',
    ]

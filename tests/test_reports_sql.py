"""A query over audits: its answer, or one line that says what is wrong, and no way out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from audits import family, ident
from sessiontail.reports.sql import QueryResult, query_audits


def test_an_answer_has_names_and_rows() -> None:
    answer = query_audits(
        family(), "SELECT tool AS name, sum(own_calls) AS n FROM tools GROUP BY 1 ORDER BY 2 DESC"
    )

    assert answer.columns == ("name", "n")
    assert [row[1] for row in answer.rows] == [2, 1]
    assert repr(answer) == "QueryResult(2 columns, 2 rows)"


def test_each_row_counts_once_in_the_sum_of_own_rows() -> None:
    answer = query_audits(family(), "SELECT sum(own_rows), sum(rows) FROM sessions")

    assert answer.rows == [(8, 12)]


def test_an_answer_is_json_whatever_it_has() -> None:
    sql = """\
    SELECT created_at, findings, findings_by_reason, parent_session_ids, 1.0 / 0 AS never,
           1.5::DECIMAL(9, 2) AS exact, NULL AS nothing
    FROM sessions WHERE state = 'abandoned'"""

    [row] = query_audits(family(), sql).to_dicts()

    assert row["findings"].pop(0)["reason"] == "invalid-json"
    assert json.loads(json.dumps(row, allow_nan=False)) == {
        "created_at": "2026-01-02T06:04:00+00:00",
        "findings": [
            {
                "severity": "warning",
                "reason": "torn-tail",
                "line": 3,
                "byte_offset": 150,
                "message": "7 bytes after the last whole line",
            }
        ],
        "findings_by_reason": {"invalid-json": 1, "torn-tail": 1},
        "parent_session_ids": [],
        "never": None,
        "exact": "1.50",
        "nothing": None,
    }


def test_moments_are_in_utc_wherever_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")

    [row] = query_audits(family()[:1], "SELECT created_at, created_at::VARCHAR FROM sessions").rows

    assert row == (datetime(2026, 1, 2, 4, 4, tzinfo=UTC), "2026-01-02 04:04:00+00")


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELEC 1", "Parser Error: syntax error at or near"),
        ("SELECT nothing FROM sessions", 'Binder Error: Referenced column "nothing" not found'),
        ("SELECT id::INT FROM sessions", "Conversion Error: Could not convert string"),
        ("  ", "it asks nothing"),
        (";", "it asks nothing"),
    ],
)
def test_what_is_refused_is_told_in_one_line(sql: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        query_audits(family(), sql)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM '{file}'",
        "COPY sessions TO '{file}.csv'",
        "ATTACH '{file}.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
    ],
)
def test_a_query_reaches_nothing_but_its_tables(tmp_path: Path, sql: str) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("a,b\n1,2\n")

    with pytest.raises(ValueError, match="Error: "):
        query_audits(family(), sql.format(file=file))

    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_of_several_queries_the_last_one_answers() -> None:
    sql = "CREATE TABLE mine AS SELECT id FROM sessions; SELECT min(id) AS first FROM mine"

    assert query_audits(family(), sql) == QueryResult(("first",), [(ident(1),)])

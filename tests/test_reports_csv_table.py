"""CSV: a row a session, and no cell that a spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings, strategies as st

from audits import audit, family
from sessiontail.reports.csv_table import audits_to_csv, csv_text
from sessiontail.reports.rows import COLUMNS


def test_a_row_a_session_in_columns_that_stay() -> None:
    rows = list(csv.DictReader(io.StringIO(audits_to_csv(family()))))

    assert [*rows[0]] == [*COLUMNS]
    assert [row["id"][:8] for row in rows] == ["00000001", "00000002", "00000003", "00000009"]
    assert [row["total_tokens"] for row in rows] == ["30", "30", "", ""]
    assert [row["own_rows"] for row in rows] == ["4", "3", "1", ""]
    assert [row["was_read"] for row in rows] == ["true", "true", "true", "false"]
    assert rows[2]["findings_by_reason"] == "invalid-json=1 torn-tail=1"
    assert rows[1]["parent_session_ids"].split() == [
        "00000001-0000-4000-8000-000000000000",
        "00000007-0000-4000-8000-000000000000",
    ]


def test_no_sessions_are_a_line_of_names() -> None:
    assert audits_to_csv([]) == ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", " =1", "\t=1", "＝1", "\n-1"])  # noqa: RUF001 - wide on purpose
def test_no_text_begins_a_formula(text: str) -> None:
    assert csv_text(["a"], [[text]]).partition("\n")[2].lstrip('"').startswith("'")


def test_numbers_stay_numbers_though_they_are_negative() -> None:
    assert csv_text(["a", "b", "c", "d"], [[-1, -0.5, None, False]]) == "a,b,c,d\n-1,-0.5,,false\n"


def test_what_commands_a_terminal_or_turns_letters_is_shown() -> None:
    text = audits_to_csv([audit(lineage_operator="\x1b[2J\u202ea,b\r\n\ud800")])

    assert '"\\x1b[2J\\u202ea,b\\x0d\n\\ud800"' in text


@given(st.lists(st.text(), min_size=1, max_size=3))
@settings(max_examples=25, deadline=None)
def test_any_text_comes_back_as_one_cell(cells: list[str]) -> None:
    [row] = csv.reader(io.StringIO(csv_text(cells, []), newline=""))

    assert len(row) == len(cells)
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in row)

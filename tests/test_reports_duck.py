"""Audits as tables: as many as they are, with the right types, and whatever they say."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from audits import HOSTILE, audit, family, ident
from sessiontail.errors import MissingExtra
from sessiontail.format.records import TokenUsage
from sessiontail.reports import duck
from sessiontail.reports.duck import interruptible, need_duckdb, tables_of
from sessiontail.reports.rows import COLUMNS, NESTED


def test_each_session_is_a_row_with_the_types_that_are_said() -> None:
    with tables_of(family()) as tables:
        described = tables.execute("DESCRIBE sessions").fetchall()
        rows = tables.execute(
            "SELECT id, created_at, own_rows, total_tokens, findings_by_reason FROM sessions"
        ).fetchall()

    types = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
    assert [(name, kind) for name, kind, *_ in described] == [
        (name, types.get(kind, kind)) for name, kind in {**COLUMNS, **NESTED}.items()
    ]
    assert rows == [
        (ident(1), datetime(2026, 1, 2, 4, 4, tzinfo=UTC), 4, 30, {}),
        (ident(2), datetime(2026, 1, 2, 5, 4, tzinfo=UTC), 3, 30, {"missing-parent": 1}),
        (
            ident(3),
            datetime(2026, 1, 2, 6, 4, tzinfo=UTC),
            1,
            None,
            {"invalid-json": 1, "torn-tail": 1},
        ),
        (ident(9), None, None, None, {"unreadable": 1}),
    ]


def test_findings_and_tools_are_tables_of_their_own() -> None:
    with tables_of(family()) as tables:
        found = tables.execute("SELECT * EXCLUDE (file) FROM findings ORDER BY ALL").fetchall()
        tools = tables.execute("SELECT * EXCLUDE (file) FROM tools ORDER BY ALL").fetchall()

    assert found == [
        (ident(2), "info", "missing-parent", None, None, "no file of its parent"),
        (ident(3), "error", "invalid-json", 2, 100, f"invalid JSON: {HOSTILE}"),
        (ident(3), "warning", "torn-tail", 3, 150, "7 bytes after the last whole line"),
        (ident(9), "error", "unreadable", None, None, "Permission denied"),
    ]
    assert tools == [
        (ident(1), "bash", 2, 2, 1, 1, 1, 1),
        (ident(2), HOSTILE, 1, 1, 1, 1, 0, 0),
        (ident(2), "bash", 2, 0, 1, 0, 1, 0),
    ]


def test_many_sessions_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duck, "_AT_ONCE", 2)

    with tables_of(audit(number) for number in range(5)) as tables:
        ids = tables.execute("SELECT id FROM sessions").fetchall()

    assert ids == [(ident(number),) for number in range(5)]


def test_a_number_without_a_place_in_64_bits_is_null() -> None:
    usage = TokenUsage(2**63 - 1, 2**63, 10**3000)

    with tables_of([audit(usage=usage)]) as tables:
        row = tables.execute(
            "SELECT prompt_tokens, completion_tokens, total_tokens FROM sessions"
        ).fetchone()

    assert row == (2**63 - 1, None, None)


@pytest.mark.parametrize("year", [1, 9999])
def test_a_moment_at_the_end_of_the_calendar_has_its_place(year: int) -> None:
    moment = datetime(year, 1, 1, tzinfo=UTC)

    with tables_of([audit(created_at=moment)]) as tables:
        assert tables.execute("SELECT created_at FROM sessions").fetchone() == (moment,)


def test_without_duckdb_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)

    with pytest.raises(MissingExtra) as caught:
        need_duckdb()

    assert str(caught.value) == "Parquet and SQL need duckdb: pip install duckdb"


def test_an_interrupt_is_what_it_is_everywhere() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        raise RuntimeError("Query interrupted")
    with pytest.raises(RuntimeError, match="another"), interruptible():
        raise RuntimeError("another")

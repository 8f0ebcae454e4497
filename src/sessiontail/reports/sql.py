"""audits of sessions, and a query -> its answer. Blocks: for threads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from sessiontail.format.audit import SessionAudit
from sessiontail.format.brief import brief, counted
from sessiontail.format.plain import plain
from sessiontail.reports.duck import interruptible, need_duckdb, tables_of

__all__ = ["QueryResult", "query_audits"]


class QueryResult(msgspec.Struct, frozen=True):
    """What a query answers: names, and rows of as many values."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def __repr__(self) -> str:
        return brief(self, counted(len(self.columns), "column"), counted(len(self.rows), "row"))

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return each row as JSON has it (``plain``), by the names of the columns."""
        return [dict(zip(self.columns, map(_plain, row), strict=True)) for row in self.rows]


def query_audits(audits: Iterable[SessionAudit], sql: str) -> QueryResult:
    """Ask SQL, as DuckDB speaks it, of audits.

    Three tables are there: ``sessions``, one row a session; ``findings`` and ``tools``, one a finding
    and one a tool of a session. A session repeats the rows of those that it goes on from: sum up the
    ``own_`` columns, which have each row once. Unknown is NULL. Nothing else can be reached: no
    file, no network, no setting.

    Args:
        audits: from ``audit_sessions``.
        sql: a query; of several, the last one's answer is returned.

    Raises:
        ValueError: DuckDB refuses the query; the message says why, on one line.
        MissingExtra: DuckDB is not installed (extra ``audit``).
    """
    duckdb = need_duckdb()
    with tables_of(audits) as tables:
        tables.execute("SET enable_external_access = false; SET lock_configuration = true")
        try:
            with interruptible():
                answer = tables.execute(sql) if sql.strip() else None
            description = answer.description if answer is not None else None
            if answer is None or description is None:
                raise ValueError("it asks nothing")
            return QueryResult(tuple(column[0] for column in description), answer.fetchall())
        except duckdb.Error as error:
            # What follows shows the query, and points at a place in it.
            what = str(error).partition("\n\n")[0]
            raise ValueError(" ".join(what.split())) from error


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:  # infinite, or no number
        return None
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return plain(value)

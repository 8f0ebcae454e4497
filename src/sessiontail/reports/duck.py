"""audits of sessions -> tables in a DuckDB of their own, in memory. Blocks: for threads.

DuckDB is the extra ``audit``; it is imported inside functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from sessiontail.errors import MissingExtra
from sessiontail.format.audit import SessionAudit
from sessiontail.reports.rows import COLUMNS, NESTED, session_row

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["interruptible", "need_duckdb", "tables_of"]

# So many sessions are in memory as JSON at a time.
_AT_ONCE = 1000
_LARGEST = 2**63 - 1

_TYPES = {**COLUMNS, **NESTED}
# As one text that is taken apart there: a hundred times as fast as a row at a time.
_INSERT = f"""\
INSERT INTO sessions SELECT {", ".join(f'one."{name}"' for name in _TYPES)}
FROM (SELECT unnest(from_json_strict(?, '{json.dumps([_TYPES])}')) AS one)
"""  # noqa: S608 - names and types of this package
_VIEWS = [
    f"CREATE VIEW {name} AS SELECT id, file, unnest({name}, recursive := true) FROM sessions"  # noqa: S608 - likewise
    for name in NESTED
]


def need_duckdb() -> Any:
    """Return the module ``duckdb``.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import duckdb  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as error:
        raise MissingExtra("Parquet and SQL need duckdb: pip install duckdb") from error
    return duckdb


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C be ``KeyboardInterrupt``, as it is everywhere but in DuckDB."""
    try:
        yield
    except RuntimeError as error:
        if "interrupted" in str(error):
            raise KeyboardInterrupt from error
        raise


def tables_of(audits: Iterable[SessionAudit]) -> DuckDBPyConnection:
    """Return a connection with the tables ``sessions``, ``findings`` and ``tools``; close it.

    A number that has no place in 64 bits is NULL: no count is so large, but a file may say it.

    Raises:
        MissingExtra: DuckDB is not installed.
    """
    connection: DuckDBPyConnection = need_duckdb().connect(":memory:", config={"threads": 1})
    # One thread, this one: where another one works, Ctrl-C is not heard before all is done.
    # What is told in the zone of the machine differs on each; and no bar is drawn by a library.
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    columns = ", ".join(f'"{name}" {kind}' for name, kind in _TYPES.items())
    connection.execute(f"CREATE TABLE sessions ({columns})")
    rest = iter(audits)
    while rows := [_row(one) for one in islice(rest, _AT_ONCE)]:
        with interruptible():
            connection.execute(_INSERT, [json.dumps(rows)])
    for view in _VIEWS:
        connection.execute(view)
    return connection


def _row(audit: SessionAudit) -> dict[str, Any]:
    row = session_row(audit)
    return {
        name: None if isinstance(value, int) and abs(value) > _LARGEST else value
        for name, value in row.items()
    }

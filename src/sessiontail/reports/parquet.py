"""audits of sessions -> Parquet, one row a session. Blocks: for threads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from sessiontail.errors import PersistenceError
from sessiontail.format.audit import SessionAudit
from sessiontail.reports.duck import interruptible, need_duckdb, tables_of

__all__ = ["audits_to_parquet"]


def audits_to_parquet(audits: Iterable[SessionAudit]) -> bytes:
    """Return audits as the bytes of a Parquet file, one row a session, in their order.

    The columns are those of the table ``sessions`` of ``query_audits``: moments are timestamps in
    UTC, findings and tools lists of structs, unknown is NULL. It is made in a file of the system's
    temporary directory, which is gone then.

    Args:
        audits: from ``audit_sessions``.

    Raises:
        MissingExtra: DuckDB is not installed (extra ``audit``).
        OSError: there is no temporary directory.
        PersistenceError: its disk is full.
    """
    duckdb = need_duckdb()
    with (
        tempfile.TemporaryDirectory(prefix="sessiontail-") as directory,
        tables_of(audits) as tables,
    ):
        file = Path(directory, "audit.parquet")
        name = str(file).replace("'", "''")
        try:
            with interruptible():
                tables.execute(f"COPY sessions TO '{name}' (FORMAT parquet, COMPRESSION zstd)")
        except duckdb.IOException as error:
            message = "the Parquet file cannot be written there; the disk may be full"
            raise PersistenceError(message, path=directory) from error
        return file.read_bytes()

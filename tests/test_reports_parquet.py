"""Parquet: what is read from it again is what was counted; a full disk is one error."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import pytest

from audits import family
from sessiontail.errors import PersistenceError
from sessiontail.reports.duck import tables_of
from sessiontail.reports.parquet import audits_to_parquet


def test_what_is_read_again_is_what_the_table_has(tmp_path: Path) -> None:
    file = tmp_path / "it's.parquet"
    file.write_bytes(audits_to_parquet(family()))

    with duckdb.connect() as fresh:
        fresh.execute("SET TimeZone = 'UTC'")
        described = fresh.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(file)]).fetchall()
        rows = fresh.execute("SELECT * FROM read_parquet(?)", [str(file)]).fetchall()
    with tables_of(family()) as tables:
        assert described == tables.execute("DESCRIBE sessions").fetchall()
        assert rows == tables.execute("SELECT * FROM sessions").fetchall()


def test_no_sessions_are_a_file_with_all_columns(tmp_path: Path) -> None:
    file = tmp_path / "none.parquet"
    file.write_bytes(audits_to_parquet([]))

    with duckdb.connect() as fresh:
        assert fresh.execute("SELECT count(*) FROM read_parquet(?)", [str(file)]).fetchone() == (0,)


def test_nothing_is_left_in_the_temporary_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    audits_to_parquet(family())

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(tempfile.TemporaryDirectory[str]):
        def __enter__(self) -> str:
            Path(self.name, "audit.parquet").symlink_to("/dev/full")
            return self.name

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile, "TemporaryDirectory", Full)

    with pytest.raises(PersistenceError) as caught:
        audits_to_parquet(family())

    assert caught.value.message == "the Parquet file cannot be written there; the disk may be full"
    assert list(tmp_path.iterdir()) == []

"""A database that several processes share is there whole, or not at all; and is put aside once."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from sessiontail.system.shared_database import Schema, Unusable, opened, put_aside, why_not
from sessiontail.system.stamps import id_of_name

SCHEMA = Schema(7, 3, "CREATE TABLE word (it TEXT)")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a#b?c%20" / "words.sqlite"


def test_what_one_connection_wrote_the_next_one_reads(path: Path) -> None:
    with opened(path, SCHEMA) as database:
        database.execute("INSERT INTO word VALUES ('one')")
    with opened(path, SCHEMA) as database:
        mode = database.execute("PRAGMA journal_mode").fetchone()
        words = database.execute("SELECT it FROM word").fetchall()

    assert (mode, words) == (("wal",), [("one",)])


def test_a_connection_is_closed_behind_the_work(path: Path) -> None:
    with opened(path, SCHEMA) as database:
        assert database.execute("SELECT 1").fetchone() == (1,)

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        database.execute("SELECT 1")


def test_an_older_version_is_opened_and_a_newer_one_is_not(path: Path) -> None:
    with opened(path, SCHEMA):
        pass
    with opened(path, SCHEMA._replace(version=4)):
        pass

    with pytest.raises(Unusable, match="newer version"), opened(path, SCHEMA._replace(version=2)):
        pass


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners")
def test_one_of_another_user_is_not_written_to(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could be read by who made it."""
    with opened(path, SCHEMA):
        pass
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)

    with pytest.raises(Unusable, match="another user's; name another"), opened(path, SCHEMA):
        pass


def test_a_database_that_cannot_be_made_leaves_nothing(path: Path) -> None:
    with (
        pytest.raises(sqlite3.OperationalError, match="syntax error"),
        opened(path, SCHEMA._replace(sql="CREATE nothing")),
    ):
        pass

    assert [one.name for one in path.parent.iterdir()] == ["words.sqlite.lock"]


def test_only_the_file_that_was_found_damaged_is_put_aside(path: Path) -> None:
    with opened(path, SCHEMA):
        pass
    first = id_of_name(str(path))
    assert first is not None
    put = [put_aside(path, first)]
    with opened(path, SCHEMA):
        pass
    second = id_of_name(str(path))
    put.append(put_aside(path, first))

    assert put == [True, True]
    assert id_of_name(str(path)) == second != first
    assert id_of_name(f"{path}.damaged") == first


def test_a_damaged_one_that_is_open_stays(path: Path) -> None:
    with opened(path, SCHEMA):
        which = id_of_name(str(path))
        assert which is not None
        put = [put_aside(path, which)]
    put.append(put_aside(path, which))
    put.append(put_aside(path.with_name("absent"), which))

    assert put == [False, True, False]


def test_each_error_says_what_to_do_or_that_it_is_damage(path: Path) -> None:
    found = []
    for code in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_BUSY_SNAPSHOT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_READONLY,
    ):
        error = sqlite3.OperationalError("it says")
        error.sqlite_errorcode = code
        found.append(why_not(error))

    assert found == [
        None,
        None,
        None,
        "other processes keep it locked",
        "it says; free some space",
        "it says; free some space",
        "it says; look at its owner and mode",
    ]
    assert why_not(sqlite3.OperationalError("Could not decode to UTF-8")) is None

"""directory, file names -> what was made of these files before, in a database of the user's.

It knows no format: a value is bytes, and so is the stamp of the file that it was made of
(``stamps.lasting_stamp``). It is a cache: what goes wrong with it is told once in a process, and the
work goes on without. Each value has a checksum, because SQLite has none: a damaged file gives
nothing rather than something else. It holds texts of sessions, so nobody else may read it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from zlib import crc32

from sessiontail.system.shared_database import Schema, Unusable, opened, put_aside, why_not
from sessiontail.system.stamps import id_of_name

__all__ = ["Cache", "cache_path"]

# Of its own, below "sessiontail": who silences that for its own words may still tell of the cache.
logger = logging.getLogger("sessiontail.cache")

# 512 MiB: what is known of 10,000 sessions takes some 40 MB, their folds with it.
_MOST_BYTES = 512 * 1024 * 1024
# A directory that nobody asked for in 90 days is not asked for again; that it is used is noted once
# a day.
_UNUSED_S = 90 * 86400
_NOTED_S = 86400

_SCHEMA = Schema(
    int.from_bytes(b"stc1"),
    1,
    """
    CREATE TABLE directory (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, path BLOB NOT NULL, used_s INTEGER NOT NULL,
        UNIQUE (kind, path)
    );
    CREATE TABLE entry (
        directory INTEGER NOT NULL, name NOT NULL, stamp BLOB NOT NULL, value BLOB NOT NULL,
        checksum INTEGER NOT NULL, PRIMARY KEY (directory, name)
    ) WITHOUT ROWID;
    """,
)

_T = TypeVar("_T")


class _Damaged(Exception):
    """An entry is not what was written."""


class Cache:
    """What was made of the files of directories. Blocks; for any thread, and several processes.

    Args:
        path: the database; by default as ``cache_path`` says.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = cache_path() if path is None else path

    @property
    def is_off(self) -> bool:
        """Whether there is none, or none any more: nothing is read, and nothing kept."""
        return self._path is None

    def read(self, kind: str, directory: str) -> dict[str, tuple[bytes, bytes]]:
        """Return stamp and value of each file that is known, by name.

        Nothing where there is no cache, or it cannot be used.

        Args:
            kind: what the values are; with its version, as an older program may have written them.
            directory: where the files lie.
        """
        return self._use(lambda database: _read(database, kind, directory)) or {}

    def write(
        self,
        kind: str,
        directory: str,
        entries: Mapping[str, tuple[bytes, bytes]],
        gone: Iterable[str] = (),
    ) -> None:
        """Keep stamp and value of files, all or none.

        Args:
            kind: as for ``read``.
            directory: where the files lie.
            entries: by name.
            gone: names that are to be forgotten.
        """
        gone = [*gone]
        if entries or gone:
            self._use(lambda database: _write(database, kind, directory, entries, gone))

    def _use(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        path = self._path
        if path is None:
            return None
        which = id_of_name(str(path))
        try:
            with opened(path, _SCHEMA) as database:
                return work(database)
        except sqlite3.Error as error:
            why = why_not(error)
        except (_Damaged, UnicodeDecodeError):  # SQLite quotes the damage, which may be no text
            why = None
        except Unusable as error:
            why = str(error)
        except OSError as error:
            why = f"{error.strerror or error}; look at its owner and mode"
        if why is None:
            aside = put_aside(path, which) if which is not None else False
            why = "it is damaged" + (f", and now {path.name}.damaged" if aside else "")
            _warn(path, f"{why}; a new one is made")
        else:
            self._path = None
            _warn(path, f"{why}, or set SESSIONTAIL_CACHE=off")
        return None


def cache_path() -> Path | None:
    """Return where the cache is: what ``SESSIONTAIL_CACHE`` names, else in the user's directory.

    Returns:
        None where it is "off" or empty, or the user has no directory.
    """
    named = os.environ.get("SESSIONTAIL_CACHE")
    if named is not None:
        return Path(named).absolute() if named not in ("", "off") else None
    try:
        return _user_directory() / "sessiontail" / "cache-1.sqlite"
    except RuntimeError:
        return None


def _user_directory() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    configured = os.environ.get("XDG_CACHE_HOME", "")
    # One that is relative is to be ignored, says the XDG Base Directory Specification.
    return Path(configured) if configured.startswith("/") else Path.home() / ".cache"


def _read(
    database: sqlite3.Connection, kind: str, directory: str
) -> dict[str, tuple[bytes, bytes]]:
    number = _number(database, kind, directory)
    if number is None:
        return {}
    seed = _seed(kind, directory)
    rows = database.execute(
        "SELECT name, stamp, value, checksum FROM entry WHERE directory = ?", (number,)
    )
    try:
        found = {
            name: (stamp, value)
            for name, stamp, value, checksum in rows
            if crc32(value, crc32(stamp, seed)) == checksum or _damaged()
        }
        for name in [name for name in found if type(name) is not str]:
            found[os.fsdecode(name)] = found.pop(name)
    except TypeError as error:
        raise _Damaged from error
    with suppress(sqlite3.OperationalError):  # a full disk, or a lock: then another time
        now_s = int(time.time())
        database.execute(
            "UPDATE directory SET used_s = ? WHERE id = ? AND used_s < ?",
            (now_s, number, now_s - _NOTED_S),
        )
    return found


def _write(
    database: sqlite3.Connection,
    kind: str,
    directory: str,
    entries: Mapping[str, tuple[bytes, bytes]],
    gone: Iterable[str],
) -> None:
    now_s = int(time.time())
    seed = _seed(kind, directory)
    database.execute("BEGIN IMMEDIATE")
    with database:
        database.execute(
            "INSERT INTO directory (kind, path, used_s) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET used_s = excluded.used_s",
            (kind, os.fsencode(directory), now_s),
        )
        number = _number(database, kind, directory)
        assert number is not None
        database.executemany(
            "DELETE FROM entry WHERE directory = ? AND name = ?",
            ((number, _of_name(name)) for name in gone),
        )
        database.executemany(
            "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?)",
            (
                (number, _of_name(name), stamp, value, crc32(value, crc32(stamp, seed)))
                for name, (stamp, value) in entries.items()
            ),
        )
        _make_room(database, number, now_s)
    with suppress(sqlite3.OperationalError):  # as above
        database.executescript("PRAGMA incremental_vacuum")  # ``execute`` frees one page


def _make_room(database: sqlite3.Connection, number: int, now_s: int) -> None:
    """Forget directories that are not used, and, above the limit, those that were used first."""
    others = database.execute(
        "SELECT id, used_s FROM directory WHERE id <> ? ORDER BY used_s, id", (number,)
    ).fetchall()
    for other, used_s in others:
        if used_s >= now_s - _UNUSED_S and _bytes_used(database) <= _MOST_BYTES:
            return
        database.execute("DELETE FROM entry WHERE directory = ?", (other,))
        database.execute("DELETE FROM directory WHERE id = ?", (other,))
    if _bytes_used(database) > _MOST_BYTES:
        raise Unusable(
            f"what is to be kept of one directory takes more than {_MOST_BYTES >> 20} MiB"
        )


def _bytes_used(database: sqlite3.Connection) -> int:
    used = (
        "SELECT (page_count - freelist_count) * page_size "
        "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    )
    return int(database.execute(used).fetchone()[0])


def _number(database: sqlite3.Connection, kind: str, directory: str) -> int | None:
    row = database.execute(
        "SELECT id FROM directory WHERE kind = ? AND path = ?", (kind, os.fsencode(directory))
    ).fetchone()
    return None if row is None else row[0]


def _seed(kind: str, directory: str) -> int:
    return crc32(os.fsencode(directory), crc32(kind.encode()))


def _of_name(name: str) -> str | bytes:
    # Text is read faster, but what is no UTF-8 is none.
    return name if name.isascii() else os.fsencode(name)


def _damaged() -> bool:
    raise _Damaged


_told: set[Path] = set()
_telling = threading.Lock()


def _warn(path: Path, why: str) -> None:
    """Warn of a cache once in a process."""
    with _telling:
        if path in _told:
            return
        _told.add(path)
    logger.warning("going without the cache %s: %s", path, why)

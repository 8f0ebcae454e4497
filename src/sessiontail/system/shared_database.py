"""path -> an open SQLite database that several processes use at once. Blocks: for threads.

It is there whole or not at all: a new one is made under another name. It is opened for one piece of
work and closed behind it, so that no connection is in two threads or outlives a fork. Beside it
lies a file whose lock is shared by all who have it open: only who has that lock alone makes the
database, or puts a damaged one aside. A file that is renamed under an open connection would share
its log with the next one of its name.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from sessiontail.system.stamps import FileId

__all__ = ["Schema", "Unusable", "opened", "put_aside", "why_not"]

# How long another process is waited for; its longest work is some 0.1 s, 10,000 entries written.
_WAIT_S = 2.0
# How often a lock is tried meanwhile.
_TRY_S = 0.005
# 8 KiB: 10,000 entries of 300 bytes are read in 14 ms; with 4 KiB in 16.
_PAGE_BYTES = 8192

_LOGS = ("-wal", "-shm", "-journal")


class Schema(NamedTuple):
    """What is in a database, and whose it is."""

    #: Tells it from the databases of other programs.
    application_id: int
    version: int
    #: What makes the tables.
    sql: str


class Unusable(Exception):
    """The database is not to be had now; the text says why, and what to do."""


@contextmanager
def opened(path: Path, schema: Schema) -> Iterator[sqlite3.Connection]:
    """Open a database, making it where there is none; each statement is its own transaction.

    Raises:
        Unusable: another program's, user's or newer version's, or no file; or others keep it locked.
        sqlite3.Error: as ``why_not`` explains.
        OSError: its directory cannot be written.
    """
    _is_there(path)  # before anything is made beside what is no file
    with _lock_file(path) as fd:
        _share(fd, path, schema)
        with closing(_connect(path)) as database:
            _check(database, schema)
            yield database


def why_not(error: sqlite3.Error) -> str | None:
    """Return why a database is not to be had; None: it is damaged."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    # SQLITE_ERROR: a table is not there, or is another.
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        return None
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "other processes keep it locked"
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return f"{error}; free some space"
    return f"{error}; look at its owner and mode"


def put_aside(path: Path, which: FileId) -> bool:
    """Rename a damaged database to ``<name>.damaged``; return whether it is out of the way.

    Not while others have it open: then the next who meets it does.

    Args:
        path: its name.
        which: the file that was found to be damaged; another is left alone.
    """
    with suppress(OSError), _lock_file(path) as fd:
        if not _try_lock(fd, alone=True):
            return False
        if FileId.of(path.lstat()) == which:
            path.replace(f"{path}.damaged")
            _remove_logs(path)
        return True
    return False


@contextmanager
def _lock_file(path: Path) -> Iterator[int]:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
    try:
        fd = os.open(f"{path}.lock", flags, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(f"{path}.lock", flags, 0o600)
    try:
        yield fd
    finally:
        _unlock(fd)
        os.close(fd)


def _share(fd: int, path: Path, schema: Schema) -> None:
    """Take part in the lock, once there is a database."""
    until_s = time.monotonic() + _WAIT_S
    while True:
        if _try_lock(fd, alone=False):
            if _is_there(path):
                return
            _unlock(fd)
        if _try_lock(fd, alone=True):
            if not _is_there(path):
                _make(path, schema)
            _unlock(fd)
            continue
        if time.monotonic() > until_s:
            raise Unusable("other processes keep it locked")
        time.sleep(_TRY_S)


def _is_there(path: Path) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise Unusable("no regular file; name another")
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        raise Unusable("another user's; name another")  # who could read what is kept
    return status.st_size > 0


def _make(path: Path, schema: Schema) -> None:
    """Make a new database: its name has it once it is whole. Nobody else has it open."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    for one in (path, fresh):
        _remove_logs(one)
    os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(_connect(fresh)) as database:
            database.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")
            database.executescript(schema.sql)
            database.execute(f"PRAGMA application_id = {schema.application_id}")
            database.execute(f"PRAGMA user_version = {schema.version}")
            database.execute("PRAGMA journal_mode = WAL").fetchall()
    except BaseException:
        fresh.unlink()
        _remove_logs(fresh)
        raise
    fresh.replace(path)


def _remove_logs(path: Path) -> None:
    for ending in _LOGS:
        Path(f"{path}{ending}").unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    # Made here only: SQLite would make one that others may read.
    name = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(name, uri=True, timeout=_WAIT_S, isolation_level=None)


def _check(database: sqlite3.Connection, schema: Schema) -> None:
    (application_id,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application_id != schema.application_id:
        raise Unusable("another program's database; name another file")
    if version > schema.version:
        raise Unusable("made by a newer version; upgrade, or name another file")
    # A power cut may cost what was written last, and nothing else.
    database.execute("PRAGMA synchronous = NORMAL")


if sys.platform == "win32":

    def _try_lock(_: int, *, alone: bool) -> bool:  # noqa: ARG001 - as below
        """Without ``flock``: a file that is open cannot be renamed there."""
        return True

    def _unlock(_: int) -> None:
        """There was none."""

else:
    import fcntl

    def _try_lock(fd: int, *, alone: bool) -> bool:
        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(fd: int) -> None:
        """Let go of it: said, not left to ``close``, as a forked child may have the descriptor."""
        fcntl.flock(fd, fcntl.LOCK_UN)

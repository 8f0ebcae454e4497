"""path -> one session in brief: its first line and its last, whatever its length. Blocks.

Only a file without a trailer is counted, and without decoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path

from sessiontail.errors import SessionNotFound
from sessiontail.format.decoding import RecordDecoder
from sessiontail.session.counting import Brief, count, counted_before, decode_all, last_index
from sessiontail.session.ends import END_BYTES, header_of, trailer_of
from sessiontail.session.generations import not_found
from sessiontail.session.known import keep
from sessiontail.session.meta import PersistedSessionMeta, as_meta
from sessiontail.system.files import SessionFile, explain
from sessiontail.system.locks import LockTable, table_for
from sessiontail.urls import as_path

__all__ = ["Detail", "first_meta", "read_and_keep", "read_meta"]


class Detail(Enum):
    """How much of a file is read for its meta."""

    #: Its first line and its last: the chunks of a large file without a trailer are as many as
    #: its last one says, which is what its trailer would say.
    ENDS = "ends"
    #: The same, and all lines of a file without a trailer, to count its chunks.
    LINES = "lines"
    #: All lines, decoded: chunks are counted instead of believing the trailer, and damage too.
    RECORDS = "records"


def read_meta(
    path: Path | str, locks: LockTable, *, detail: Detail = Detail.LINES
) -> tuple[PersistedSessionMeta, bool]:
    """Read one file's meta, blocking; return it and whether the page cache had its ends.

    Args:
        path: the file.
        locks: the lock table, for its state.
        detail: how much of it is read.

    Raises:
        DamagedSession: the file does not start with a header.
        SessionNotFound: it is no longer there.
        PersistenceError: it cannot be read.
    """
    try:
        file = SessionFile(path)
        try:
            return _meta(file, str(path), locks, detail=detail)
        finally:
            file.close()
    except OSError as error:
        raise explain(error, as_path(path)) from error


def read_and_keep(
    path: str, locks: LockTable, *, detail: Detail
) -> tuple[PersistedSessionMeta, bool]:
    """Read one file's meta as ``read_meta`` does, and keep it for the next listing."""
    try:
        file = SessionFile(path)
        try:
            status = file.stat()
            found = _meta(file, path, locks, detail=detail)
        finally:
            file.close()
    except OSError as error:
        raise explain(error, as_path(path)) from error
    if detail is Detail.LINES:
        keep(found[0], status)
    return found


def _meta(
    file: SessionFile, path: str, locks: LockTable, *, detail: Detail
) -> tuple[PersistedSessionMeta, bool]:
    decoder = RecordDecoder()
    head = file.read_cached(0, END_BYTES)
    cached = head is not None
    if head is None:
        head = file.read_now(0, END_BYTES)
    header, body = header_of(file, decoder, head)
    # Behind the header: a file that is being created is then not shorter than it.
    status = file.stat()
    size = max(status.st_size, body)
    brief = Brief()
    if detail is Detail.RECORDS:
        decode_all(file, size, brief)
    else:
        start = max(body, size - END_BYTES)
        last = head[start:] if len(head) == size else file.read_cached(start, size - start)
        if last is None:
            cached, last = False, file.read_now(start, size - start)
        if start > body:  # what is left of the line before could look like a whole one
            last = last[last.find(b"\n") + 1 :]
        trailer_of(last, brief)
        if brief.trailer is None:
            brief = (
                counted_before(status, size)
                or (last_index(file, body, size) if detail is Detail.ENDS else None)
                or count(file, body, size, decoder, status)
            )
    meta = as_meta(
        path,
        status,
        size,
        header,
        brief.trailer,
        brief.chunks,
        locks,
        brief.torn_bytes,
        brief.damaged if detail is Detail.RECORDS else None,
    )
    return meta, cached


def first_meta(names: Sequence[str], detail: Detail) -> PersistedSessionMeta:
    """Return the meta of the first of these files that is there, blocking.

    Raises:
        SessionNotFound: none is.
        DamagedSession: the file does not start with a header.
        PersistenceError: it cannot be read.
    """
    for name in names:
        with suppress(SessionNotFound):
            return read_meta(name, table_for(name), detail=detail)[0]
    raise not_found(names)

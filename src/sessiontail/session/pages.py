"""a reader, and how much is wanted -> a page of its records, each with its line and cursor.

A page is read in one go in a thread: what is not wanted costs a look at it, and no place in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass

from sessiontail.format.kinds import kind_of
from sessiontail.format.needles import Needles
from sessiontail.format.records import Record
from sessiontail.session.reading import SessionReader
from sessiontail.session.stream import RecordStream
from sessiontail.system.files import in_thread

__all__ = ["PAGE_SCAN_BYTES", "PAGE_SCAN_RECORDS", "PagedRecord", "RecordPage", "read_page"]

#: A page of records of some kinds ends after so much of the file, though it is short: 0.3 s.
PAGE_SCAN_BYTES = 32 * 1024 * 1024
#: And after so many records: 0.4 s where each is a damaged line of two bytes.
PAGE_SCAN_RECORDS = 20_000


@dataclass(frozen=True, slots=True)
class PagedRecord:
    """A record, and where it stands."""

    record: Record
    #: From 1; None where reading began so far from the start that lines were not counted.
    line: int | None
    #: Behind it.
    cursor: str
    #: Of its line, in bytes, and of blank lines behind it.
    size: int


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records of a session, in order."""

    records: list[PagedRecord]
    #: Where the next page begins; at the end of the file, what is written later.
    next: str
    #: Whether the end of the file was met, so that there is no next page now.
    at_end: bool
    #: Up to where in the file records were looked at.
    offset: int


async def read_page(
    reader: SessionReader,
    *,
    limit: int,
    most_weight: int | None = None,
    weigh: Callable[[Record], int] = lambda _: 0,
    most_bytes: int | None = None,
    kinds: Collection[str] | None = None,
    wants: Callable[[Record], bool] | None = None,
    needles: Needles | None = None,
    scan_bytes: int = PAGE_SCAN_BYTES,
    scan_records: int = PAGE_SCAN_RECORDS,
    finish: Callable[[RecordPage], object] = lambda _: None,
) -> RecordPage:
    """Return the next records of a session; the reader is closed.

    Args:
        reader: gives them; nothing was asked of it so far.
        limit: so many at most.
        most_weight: of all of them together; a single record may weigh more.
        weigh: gives the weight of one; called in a thread.
        most_bytes: of the file that they take together; a single record may take more.
        kinds: only these, as ``KINDS`` has them; None: all.
        wants: only records that it takes; called in a thread.
        needles: it takes none in whose line is none of these: such are not even decoded.
        scan_bytes: so many bytes of file are read at most, and to the end of what was read last.
        scan_records: so many records are looked at, and to the end of what was read last.
        finish: called with the page, in the same thread: where many pages are read, one that waits
            for another thread to be worked on waits behind all that are to be read.

    Raises:
        PersistenceError: the session is not there or cannot be read.
    """

    def takes(record: Record) -> bool:
        return (kinds is None or kind_of(record) in kinds) and (wants is None or wants(record))

    page = _Page(limit, most_weight, most_bytes, weigh)

    def read() -> RecordPage:
        with closing(reader.streamed(needles)) as streams:
            found = _read(streams, page, takes, scan_bytes, scan_records)
        finish(found)
        return found

    try:
        return await in_thread(read, place=str(reader.path.parent))
    finally:
        reader.close()


def _read(
    streams: Iterator[RecordStream],
    page: _Page,
    takes: Callable[[Record], bool],
    scan_bytes: int,
    scan_records: int,
) -> RecordPage:
    begin: int | None = None
    looked = 0
    for stream in streams:
        if begin is None:
            begin = stream.position.offset
        while stream.waiting:
            record = stream.take()
            looked += 1
            if takes(record) and page.add(record, stream):
                last = page.records[-1]
                return RecordPage(page.records, last.cursor, at_end=False, offset=page.end)
        end = stream.position
        if end.offset - begin > scan_bytes or looked >= scan_records:
            return RecordPage(page.records, end.encode(), at_end=False, offset=end.offset)
    return RecordPage(page.records, end.encode(), at_end=True, offset=end.offset)


class _Page:
    """Records, until there are enough."""

    def __init__(
        self,
        limit: int,
        most_weight: int | None,
        most_bytes: int | None,
        weigh: Callable[[Record], int],
    ) -> None:
        self.records: list[PagedRecord] = []
        #: Where in the file the last of them ends.
        self.end = 0
        self._limit = limit
        self._weight_left = most_weight
        self._bytes_left = most_bytes
        self._weigh = weigh

    def add(self, record: Record, stream: RecordStream) -> bool:
        """Take a record that was just taken from the stream; return whether the page is full.

        It is left for the next page where it would be too much.
        """
        position = stream.position
        line, start = stream.place
        assert start is not None
        size = position.offset - start
        if self._is_too_much(record, size) and self.records:
            return True
        self.end = position.offset
        self.records.append(PagedRecord(record, line, position.encode(), size))
        return len(self.records) == self._limit

    def _is_too_much(self, record: Record, size: int) -> bool:
        if self._weight_left is not None:
            self._weight_left -= self._weigh(record)
        if self._bytes_left is not None:
            self._bytes_left -= size
        return min(self._weight_left or 0, self._bytes_left or 0) < 0

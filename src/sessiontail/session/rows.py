"""a session's file -> what stands for each of its rows, read when it is asked for. Blocks.

The file is opened for as long as it is read, and by its name: a row is what others can have a copy
of, so it counts while the file is there.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.framing import Block, LineFramer, LongLine
from sessiontail.format.inheritance import DIGEST_BYTES, Order, digest_of
from sessiontail.format.records import Chunk, ChunkKind, Header
from sessiontail.system.files import SessionFile
from sessiontail.system.stamps import FileId

__all__ = ["FileRows", "Looks", "RowsChanged"]

# 8 KiB: the header and a few rows; who differs there is not read further. Twice as much each time.
_FIRST_BYTES = 8 * 1024
_MOST_BYTES = 256 * 1024


class RowsChanged(Exception):
    """The file is another one, or what was read of it is not there any more."""


@dataclass
class Looks:
    """How many times was looked: within one look, the end of a file is met once."""

    number: int = 0


class FileRows:
    """The rows of one file: the chunks behind its header, up to its first line that is none.

    Args:
        names: those that the file has, or may get.
        file_id: which file it is.
        looks: counted up where files may have grown.
    """

    __slots__ = (
        "_answers",
        "_decoder",
        "_digests",
        "_ends",
        "_framer",
        "_looked",
        "_looks",
        "_made",
        "_size",
        "_want",
        "file_id",
        "finished",
        "header",
        "name",
        "names",
    )

    def __init__(self, names: Sequence[str], file_id: FileId, looks: Looks) -> None:
        self.names = names
        self.file_id = file_id
        #: The file, as text.
        self.name = names[0]
        #: None: it was not read, or there is none.
        self.header: Header | None = None
        #: Whether there will be no more: a line that is no chunk ends them.
        self.finished = False
        self._looks = looks
        # The look in which the end was met last, and how long the file was.
        self._looked = -1
        self._size = -1
        self._want = _FIRST_BYTES
        self._decoder = RecordDecoder()
        self._framer = LineFramer()
        # When it had last changed, and its size, as its header was read: these tell twins apart.
        self._made = 0, 0
        self._digests = bytearray()
        # Where each ends in the file; and which of them are an assistant's.
        self._ends = array("Q")
        self._answers = array("Q")

    @property
    def order(self) -> Order:
        """By time; the header must have been read."""
        assert self.header is not None
        return self.header.created_at, *self._made, self.name

    def __len__(self) -> int:
        return len(self._ends)

    def digest(self, index: int) -> bytes | None:
        """Return what stands for a row; None where there is none, now.

        Raises:
            RowsChanged: it is not the file that it was.
        """
        if not self._has(index):
            return None
        at = index * DIGEST_BYTES
        return bytes(self._digests[at : at + DIGEST_BYTES])

    def answered(self, count: int) -> int:
        """Return how many rows there are up to the last assistant's among the first ``count``."""
        found = bisect_left(self._answers, count)
        return self._answers[found - 1] + 1 if found else 0

    def end(self, count: int) -> int:
        """Return where in the file the first ``count`` rows end; 0 for none."""
        return self._ends[count - 1] if count else 0

    def read_header(self) -> Header | None:
        """Return the header; None where the file does not begin with one, now."""
        while self.header is None and self._more():
            pass
        return self.header

    def _has(self, index: int) -> bool:
        while len(self._ends) <= index:
            if not self._more():
                return False
        return True

    def is_there(self) -> bool:
        """Say whether the file is there, and what was read is in it."""
        try:
            file = self._open()
        except RowsChanged:
            return False
        if file is None:
            return False
        try:
            self._compare(file)
        except RowsChanged:
            return False
        finally:
            file.close()
        return True

    def _more(self) -> bool:
        """Read on until there is a row more; False at the end."""
        if self.finished or self._looked == self._looks.number or not self._may_have_grown():
            return False
        file = self._open()
        if file is None:
            self._looked = self._looks.number
            return False
        try:
            return self._read_on(file)
        finally:
            file.close()

    def _may_have_grown(self) -> bool:
        for name in self.names:
            with suppress(OSError):
                if os.stat(name).st_size == self._size:  # noqa: PTH116 - a tenth of the time
                    self._looked = self._looks.number
                    return False
        return True

    def _open(self) -> SessionFile | None:
        """Open the file under one of its names; None where it is gone, or cannot be read.

        Raises:
            RowsChanged: another one has its name.
        """
        others = False
        for name in self.names:
            try:
                file = SessionFile(name)
            except OSError:
                continue  # what cannot be read hides nothing
            if file.id == self.file_id:
                return file
            others = True
            file.close()
        if others:
            raise RowsChanged(self.name)
        return None

    def _compare(self, file: SessionFile) -> None:
        """Raise RowsChanged where what was read is not there any more."""
        mark = self._decoder.mark
        start = mark.offset - len(mark.before)
        if (
            file.read_now(0, len(mark.head)) != mark.head
            or file.read_now(start, len(mark.before)) != mark.before
        ):
            raise RowsChanged(self.name)

    def _read_on(self, file: SessionFile) -> bool:
        framer = self._framer
        self._compare(file)
        known, begun = len(self._ends), self.header is not None
        status = file.stat()
        if not begun:
            self._made = status.st_mtime_ns, status.st_size
        while True:
            data = file.read_now(framer.position, self._want)
            if not data:
                framer.rewind()  # a torn tail is no truth
                self._size, self._looked = status.st_size, self._looks.number
                return False
            self._want = min(2 * self._want, _MOST_BYTES)
            for item in framer.feed(data):
                self._take(item)
                if self.finished:
                    break
            if len(self._ends) > known or begun is (self.header is None):
                framer.rewind()  # the rest of it is read again: it may have been cut by then
                return True
            if self.finished:
                return False

    def _take(self, item: Block | LongLine) -> None:
        batch = self._decoder.decode(item)
        if isinstance(item, LongLine):
            self.finished = True
            return
        start = 0
        ends = item.ends if batch.ends is None else [end - item.offset for end, _ in batch.ends]
        for record, end in zip(batch.records, ends, strict=True):
            if type(record) is Chunk:
                if record.kind is ChunkKind.ASSISTANT:
                    self._answers.append(len(self._ends))
                self._digests += digest_of(item.data[start:end].lstrip())
                self._ends.append(item.offset + end)
            elif isinstance(record, Header) and self.header is None:
                self.header = record
            else:
                self.finished = True
                return
            start = end

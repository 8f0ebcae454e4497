"""a session's file -> what stands for each of its rows, read when it is asked for. Blocks.

The file is opened for as long as it is read, and by its name: a row is what others can have a copy
of, so it counts while the file is there. There is one of these for each file of a directory: little
of it is the garbage collector's business.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.framing import MAX_LINE_BYTES, Block, LineFramer, LongLine
from sessiontail.format.inheritance import DIGEST_BYTES, Order, digest_of, may_inherit, sums_up
from sessiontail.format.marks import BEGIN, Mark
from sessiontail.format.records import Chunk, ChunkKind, Header
from sessiontail.system.files import SessionFile
from sessiontail.system.stamps import FileId, FileStamp
from sessiontail.system.statuses import status_of

__all__ = ["FileRows", "Looks", "RowsChanged"]

# 8 KiB: the header and a few rows; who differs there is not read further. Twice as much each time.
_FIRST_BYTES = 8 * 1024
_MOST_BYTES = 256 * 1024
# Before a header was read.
_NEVER = datetime.min.replace(tzinfo=UTC)


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
        max_line_bytes: a longer line is no chunk.
    """

    __slots__ = (
        "_answers",
        "_created_at",
        "_digests",
        "_ends",
        "_looked",
        "_looked_ns",
        "_looks",
        "_made",
        "_mark",
        "_max_line_bytes",
        "_seen",
        "_want",
        "file_id",
        "finished",
        "gone",
        "id_text",
        "may_inherit",
        "name",
        "names",
        "parent_text",
        "sums_up",
    )

    def __init__(
        self,
        names: Sequence[str],
        file_id: FileId,
        looks: Looks,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self.names = names
        self.file_id = file_id
        #: The file, as text.
        self.name = names[0]
        #: The header's id, None before it was read; and the first parent that it names.
        self.id_text: str | None = None
        self.parent_text: str | None = None
        #: Whether it can begin with another's rows, and sums another up, by what the header says.
        self.may_inherit = self.sums_up = False
        #: Whether there will be no more: a line that is no chunk ends them.
        self.finished = False
        #: Whether the file is not there any more.
        self.gone = False
        self._looks = looks
        self._max_line_bytes = max_line_bytes
        self._created_at = _NEVER
        # When it had last changed, and its size, as its header was read: these tell twins apart.
        self._made = 0, 0
        # What it was like when last read; since when, by the wall clock, if all was read of it as
        # it was then; and the look in which its end was met.
        self._seen: FileStamp | None = None
        self._looked_ns = 0
        self._looked = -1
        self._want = _FIRST_BYTES
        # The place behind what was read, by which the file is known.
        self._mark: Mark = BEGIN
        self._digests = bytearray()
        # Where each ends in the file; and which of them are an assistant's.
        self._ends = array("Q")
        self._answers = array("Q")

    @property
    def order(self) -> Order:
        """By time; the header must have been read."""
        return self._created_at, *self._made, self.name

    def digest(self, index: int) -> bytes | None:
        """Return what stands for a row; None where there is none, now.

        Raises:
            RowsChanged: it is not the file that it was.
        """
        while len(self._ends) <= index:
            if not self._more():
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

    def begun(self) -> bool:
        """Read the header, if it was not; False where the file does not begin with one, now."""
        while self.id_text is None and self._more():
            pass
        return self.id_text is not None

    def is_there(self) -> bool:
        """Say whether the file is there, and what was read is in it."""
        if self._is_as_seen():
            return True
        try:
            file = self._open()
        except RowsChanged:
            return False
        if file is None:
            return False
        try:
            now, seen = FileStamp.of(file.stat()), self._seen
            if seen is not None and now.size == seen.size:
                # Else rewritten in place, or touched: it is read anew.
                return now.mtime_ns == seen.mtime_ns
            self._compare(file)
        except (OSError, RowsChanged):
            return False
        finally:
            file.close()
        return True

    def _is_as_seen(self) -> bool:
        """Say whether it is there as it was when it was read last; opens nothing."""
        for name in self.names:
            with suppress(OSError):
                status = status_of(name)
                if FileId.of(status) == self.file_id:
                    return FileStamp.of(status) == self._seen
        return False

    def _more(self) -> bool:
        """Read on until there is a row more; False at the end."""
        if (
            self.gone
            or self.finished
            or self._looked == self._looks.number
            or not self._may_have_grown()
        ):
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
        """Say whether there may be more than when the end was met."""
        if self._looked < 0:
            return True
        for name in self.names:
            with suppress(OSError):
                if self._seen is not None and status_of(name).st_size == self._seen.size:
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
        mark = self._mark
        start = mark.offset - len(mark.before)
        if not file.never_changes and (
            file.read_now(0, len(mark.head)) != mark.head
            or file.read_now(start, len(mark.before)) != mark.before
        ):
            raise RowsChanged(self.name)

    def _read_on(self, file: SessionFile) -> bool:
        self._compare(file)
        now_ns, seen = time.time_ns(), FileStamp.of(file.stat())
        known, begun, mark = len(self._ends), self.id_text, self._mark
        if seen != self._seen:
            self._looked_ns = 0 if mark.offset else now_ns
        self._seen = seen
        self._made = self._made if begun else (seen.mtime_ns, seen.size)
        # A torn tail is no truth: what has no end yet is read again.
        framer = LineFramer(
            offset=mark.offset, line=(mark.lines or 0) + 1, max_line_bytes=self._max_line_bytes
        )
        decoder = RecordDecoder(start=mark)
        while True:
            data = file.read_now(framer.position, self._want)
            if not data:
                self._looked = self._looks.number
                return False
            self._want = min(2 * self._want, _MOST_BYTES)
            for item in framer.feed(data):
                self._take(item, decoder)
                if self.finished:
                    break
            if len(self._ends) > known or begun is not self.id_text:
                return True
            if self.finished:
                return False

    def _take(self, item: Block | LongLine, decoder: RecordDecoder) -> None:
        batch = decoder.decode(item)
        self._mark = decoder.mark
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
            elif isinstance(record, Header) and self.id_text is None:
                self._take_header(record)
            else:
                self.finished = True
                return
            start = end

    def _take_header(self, header: Header) -> None:
        self.id_text = str(header.id)
        self._created_at = header.created_at
        self.may_inherit = may_inherit(header)
        self.sums_up = sums_up(header.lineage_kind)
        if header.parent_session_ids:
            self.parent_text = str(header.parent_session_ids[0])

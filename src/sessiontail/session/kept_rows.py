"""what was read of a session's rows <-> bytes, for another process and the file as it is now."""

from __future__ import annotations

import os
import time
from array import array

from sessiontail.format.rows_read import RowsKept
from sessiontail.session.rows import FileRows
from sessiontail.system.stamps import FileId, FileStamp, lasting_stamp

__all__ = ["KeptRows"]

# 1,000 rows, 24 bytes each: of 10,000 files that is half of what the cache holds.
_MOST_ROWS = 1000


class KeptRows(FileRows):
    """The rows of one file, which another process may have read."""

    __slots__ = ("_restored",)

    # How many rows were restored, and whether up to the end of the file; absent: none were.
    _restored: tuple[int, bool]

    def restore(self, kept: RowsKept, status: os.stat_result) -> None:
        """Take what was read of the file when it had this status, which it has."""
        self.id_text = kept.id_text
        self.parent_text = kept.parent_text
        self.may_inherit = kept.may_inherit
        self.sums_up = kept.sums_up
        self.finished = kept.finished
        self._created_at = kept.created_at
        self._mark = kept.mark
        self._digests = bytearray(kept.digests)
        self._ends = array("Q", kept.ends)
        self._answers = array("Q", kept.answers)
        self._seen = FileStamp.of(status)
        self._made = self._seen.mtime_ns, self._seen.size
        self._looked_ns = time.time_ns()
        self._looked = 0 if kept.ended else -1
        self._restored = len(kept.ends), kept.ended

    @property
    def has_more(self) -> bool:
        """Whether more was read than was restored."""
        return (len(self._ends), self._looked >= 0) != getattr(self, "_restored", None)

    def kept(self, status: os.stat_result, *, same_clock: bool) -> tuple[bytes, RowsKept] | None:
        """Return what was read, and the file's stamp; None where that proves nothing, or too long.

        Args:
            status: of the file.
            same_clock: whether its times are by this clock.
        """
        if (
            self.id_text is None
            or len(self._ends) > _MOST_ROWS
            or FileId.of(status) != self.file_id
            or FileStamp.of(status) != self._seen
        ):
            return None
        stamp = lasting_stamp(status, self._looked_ns, same_clock=same_clock)
        if stamp is None:
            return None
        return stamp, RowsKept(
            self.id_text,
            self.parent_text,
            self._created_at,
            self.may_inherit,
            self.finished,
            self._looked >= 0,
            self._mark,
            bytes(self._digests),
            self._ends.tolist(),
            self._answers.tolist(),
            self.sums_up,
        )

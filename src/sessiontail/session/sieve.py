"""batches of a file that begins with another's rows -> the same without these. Blocks: for threads.

A row is left out only while it is known to be elsewhere. What is the same so far, and proves nothing
yet, is held back for a moment: who writes a copy writes it at once, and with the next row it shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

from msgspec import Struct, structs

from sessiontail.format.batch import Batch
from sessiontail.format.records import Chunk
from sessiontail.system.stamps import FileId

__all__ = ["NOTHING", "NOT_YET", "UNKNOWN", "Find", "Inherited", "Sieve"]


class Inherited(Struct, frozen=True, gc=False):
    """The first rows of a session, where they are copies of an earlier session's."""

    #: How many; None: unknown.
    count: int | None
    #: Where the last of them ends in the file; 0 where there are none.
    end: int = 0
    #: The session that has them all; None: there are none.
    origin: UUID | None = None
    #: Up to where the rows are the same so far, and the last of them prove nothing yet.
    undecided_end: int = 0
    #: Whether that is all: what is written from now on is the session's own.
    settled: bool = True


#: It has rows of its own from the start.
NOTHING = Inherited(0)
#: The file could not be compared: nothing is known to be elsewhere.
UNKNOWN = Inherited(None)
#: It has no header so far.
NOT_YET = Inherited(None, settled=False)

#: Says what of a file is inherited, by its names and which it is; blocks.
Find = Callable[[tuple[str, ...], FileId], Inherited]

# So long the writer of a copy may take from one row to the next: openrath takes 50 us.
HOLD_S = 2.0


class Sieve:
    """Leaves the inherited rows of one file out.

    Args:
        find: says what is inherited, as far as the file is written.
        names: those that the file has, or may get.
        file_id: which file it is.
        finite: nothing is held back: what there is now is all.
    """

    __slots__ = (
        "_file_id",
        "_find",
        "_finite",
        "_names",
        "_same",
        "held_until_s",
        "inherited",
        "left_out",
    )

    def __init__(
        self, find: Find, names: tuple[str, ...], file_id: FileId, *, finite: bool
    ) -> None:
        self._find = find
        self._names = names
        self._file_id = file_id
        self._finite = finite
        #: What is known; None: nothing was read yet.
        self.inherited: Inherited | None = None
        #: How many rows were left out so far.
        self.left_out = 0
        #: Until when rows are held back, on the monotonic clock; None: none are.
        self.held_until_s: float | None = None
        # Up to where rows were the same when that began.
        self._same = 0

    @property
    def settled(self) -> bool:
        """Whether nothing more has to be found out."""
        return self.inherited is not None and self.inherited.settled

    def sift(self, batch: Batch) -> Batch:
        """Return what of a batch, which was just read, is to be handed over now.

        Where it ends before the batch does, the rest is to be read again, at ``held_until_s``.
        """
        if not self.settled:
            self.inherited = self._find(self._names, self._file_id)
        inherited = self.inherited
        assert inherited is not None
        self._hold(inherited)
        if self.held_until_s is not None:
            # Not what comes before it: the header is the session's own.
            batch = batch.first(batch.before_chunk(inherited.end))
        own = batch
        if batch.start.offset < inherited.end:
            own = batch.without_chunks(inherited.end)
            self.left_out += len(batch.records) - len(own.records)
        if not inherited.settled and Chunk in map(type, own.records):
            # Behind a row that was handed over none is inherited, whatever is found out later.
            self.inherited = structs.replace(inherited, settled=True)
        return own

    def _hold(self, inherited: Inherited) -> None:
        """Begin to hold rows back, go on, or end."""
        undecided = inherited.undecided_end
        if inherited.settled or self._finite or undecided <= inherited.end:
            self.held_until_s = None
            return
        now_s = time.monotonic()
        if undecided > self._same:
            self._same, self.held_until_s = undecided, now_s + HOLD_S
        elif self.held_until_s is not None and self.held_until_s <= now_s:
            self.held_until_s = None

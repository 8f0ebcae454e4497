"""open file -> batches of records, forward from a position.

One look at a time: ``next_batch`` reads on and says None where no whole line follows. On the event
loop it takes only what the page cache has, and at most ``READ_BYTES`` at once; where that is not
enough it raises ``BlockingIOError``, and the same step goes on in a thread. A step that fails moves
nothing, so it can be tried again.
"""

from __future__ import annotations

import errno

from sessiontail.format.batch import Batch
from sessiontail.format.cursor import Position
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.framing import MAX_LINE_BYTES, Block, LongLine
from sessiontail.format.marks import Mark
from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.passing import Passed, Passing
from sessiontail.session.blocks import READ_BYTES, BlockReader
from sessiontail.session.fitting import mark_at
from sessiontail.session.sieve import Sieve
from sessiontail.system.files import SessionFile
from sessiontail.system.stats import StoreStats

__all__ = ["FileReader"]


class FileReader:
    """Takes one open file forward, batch by batch. One thread at a time."""

    __slots__ = ("_blocks", "_decoder", "_items", "file", "passing", "sieve")

    def __init__(
        self,
        file: SessionFile,
        *,
        max_line_bytes: int = MAX_LINE_BYTES,
        limit: int | None = None,
        stats: StoreStats | None = None,
    ) -> None:
        self._blocks = BlockReader(
            file, max_line_bytes=max_line_bytes, limit=limit, stats=stats or StoreStats()
        )
        self.file = file
        #: Leaves inherited rows out; None: they are handed over too.
        self.sieve: Sieve | None = None
        #: Tells lines that are not decoded, nor handed over; None: all are.
        self.passing: Passing | None = None
        self._decoder = RecordDecoder()
        # Read, not yet decoded.
        self._items: list[Block | LongLine | Passed] = []

    @property
    def mark(self) -> Mark:
        """The place behind what was returned."""
        return self._decoder.mark

    @property
    def offset(self) -> int:
        """Where the first line begins that was not returned."""
        return self._decoder.mark.offset

    @property
    def torn_bytes(self) -> int:
        """Bytes after the last newline, when the end was last met."""
        return self._blocks.torn_bytes

    @property
    def at_end(self) -> bool:
        """Whether the last batch, or None, came from a read that met the end of the file.

        Not where a read gave several blocks: no event will come for those that still wait, because
        nothing is written for them; and what was written behind that read, the last of them does
        not show, though an event may have asked for the look that returned it.
        """
        return self._blocks.end_met and not self._items

    @property
    def known_end(self) -> int:
        """Up to where the file is known: the offset and the torn tail behind it."""
        return self.offset + self.torn_bytes

    def go_on_in(self, file: SessionFile) -> None:
        """Take the same file, opened again by its name."""
        self.file = self._blocks.file = file

    def resume(self, position: Position, *, block: bool) -> None:
        """Go on from a position, after checking that it fits this file; the start needs no check.

        Raises:
            BlockingIOError: that would have to wait, and ``block`` is False.
            CursorInvalid: it does not fit.
            OSError: the file cannot be read.
        """
        if not position.offset:
            return
        mark = mark_at(self.file, position, block=block)
        self._blocks.go_to(mark)
        self._decoder = RecordDecoder(start=mark)

    @property
    def held_until_s(self) -> float | None:
        """Until when rows are held back, on the monotonic clock; None: none are."""
        return None if self.sieve is None else self.sieve.held_until_s

    def next_batch(self, *, block: bool, thorough: bool = False) -> Batch | None:
        """Return the next records; None where no whole line follows now.

        Args:
            block: whether it may wait and take its time: in a thread.
            thorough: search a big torn tail again from its begin, even if little was added.

        Raises:
            BlockingIOError: there is more to wait for, or to do, than ``block`` allows; with
                ``block`` too, where a line is so long that the caller is to be asked again.
            FileReplaced: what was read before has changed.
            OSError: the file cannot be read.
        """
        sieve = self.sieve
        if sieve is None:
            return self._next_batch(block=block, thorough=thorough)
        if not (sieve.settled or block):
            raise BlockingIOError(errno.EAGAIN, "to be compared with other files")
        batch = self._next_batch(block=block, thorough=thorough)
        if batch is None:
            return None
        try:
            sifted = sieve.sift(batch)
        except BaseException:
            self._go_back(batch.start)
            raise
        if sifted.end.offset < batch.end.offset:
            self._go_back(sifted.end)
        return sifted

    def _go_back(self, mark: Mark) -> None:
        """Read again from a place that was passed."""
        self._items.clear()
        self._blocks.go_to(mark)
        self._blocks.end_met = False
        self._decoder = RecordDecoder(start=mark)

    def _next_batch(self, *, block: bool, thorough: bool) -> Batch | None:
        blocks, decoder = self._blocks, self._decoder
        if self._items:
            blocks.end_met = False  # what was written since the read is not known
        else:
            guard = decoder.mark.before
            if not block:
                if blocks.file.remote:
                    raise BlockingIOError(errno.EAGAIN, "on another machine")
                line = blocks.live_line(guard)
                if line is not None:
                    if not line:
                        return None
                    batch = decoder.decode_usual_line(line)
                    if batch is not None:
                        blocks.took(len(line))
                        blocks.stats.records += 1
                        return batch
            self._items = [*blocks.read(guard, block=block, thorough=thorough)]
            if not self._items:
                return None
        item = self._next_item()
        if isinstance(item, Block) and len(item.data) > READ_BYTES and not block:
            raise BlockingIOError(errno.EAGAIN, "a line that takes long to decode")
        batch = decoder.pass_over(item.block) if isinstance(item, Passed) else decoder.decode(item)
        del self._items[0]
        blocks.stats.records += len(batch.records)
        return batch

    def _next_item(self) -> Block | LongLine | Passed:
        """Return what is to be decoded next, or passed over."""
        item = self._items[0]
        version = self._decoder.header_version
        if self.passing and isinstance(item, Block) and version == CURRENT_SCHEMA_VERSION:
            self._items[:1] = self.passing.parts(item)
        return self._items[0]

    def changed_in_place(self, *, block: bool) -> bool:
        """Say whether its ends differ from what was read: for a file that did not grow."""
        mark, file = self.mark, self.file
        offset, head, before = mark.offset, mark.head, mark.before
        return (
            file.look(0, len(head), block=block) != head
            or file.look(offset - len(before), len(before), block=block) != before
        )

    def close(self) -> None:
        """Close the file; the position stays."""
        self.file.close()

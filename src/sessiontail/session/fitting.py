"""open file, and a position -> the place in the file, if the position fits it."""

from __future__ import annotations

from uuid import UUID

from sessiontail.errors import CursorInvalid
from sessiontail.format.cursor import Position
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.marks import WINDOW_BYTES, Mark
from sessiontail.format.records import Header
from sessiontail.system.files import SessionFile

__all__ = ["mark_at"]

# 64 KiB: a header is some 400 bytes.
HEADER_BYTES = 64 * 1024


def mark_at(file: SessionFile, position: Position, *, block: bool) -> Mark:
    """Return the place in a file that a position names.

    Args:
        file: the file.
        position: not its begin.
        block: whether this may wait: in a thread.

    Raises:
        BlockingIOError: that would have to wait, and ``block`` is False.
        CursorInvalid: the position does not fit.
        OSError: the file cannot be read.
    """
    window = min(WINDOW_BYTES, position.offset)
    head = file.look(0, window, block=block)
    before = file.look(position.offset - window, window, block=block)
    try:
        position.verify(head, before)
    except CursorInvalid as error:
        raise CursorInvalid(error.message, path=file.path) from None
    if position.session_id is not None:
        _verify_id(file, position.session_id, block=block)
    return Mark(position.offset, position.lines, position.header_version, head, before)


def _verify_id(file: SessionFile, session_id: UUID, *, block: bool) -> None:
    """Compare a cursor's session with the first line's, which may be longer than a window."""
    first, _, more = file.look(0, HEADER_BYTES, block=block).partition(b"\n")
    header = RecordDecoder().decode_line(first) if more else None
    if isinstance(header, Header) and header.id != session_id:
        raise CursorInvalid(
            f"the cursor is of session {session_id}, the file of {header.id}", path=file.path
        )

"""open file, and a line's number -> where that line begins. Blocks: for threads.

The newlines of a file are counted once, by blocks, and kept: of a file that grew, what was added is
counted. Which block a line begins in is then known without reading, and one block is searched.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from sessiontail.errors import LineNotFound
from sessiontail.format.brief import counted
from sessiontail.format.cursor import Position
from sessiontail.format.marks import WINDOW_BYTES
from sessiontail.session.before_end import position_at, position_before_end
from sessiontail.session.generations import not_found
from sessiontail.session.lines import newlines
from sessiontail.system.files import SessionFile, explain
from sessiontail.system.kept import Kept
from sessiontail.system.stamps import FileId
from sessiontail.urls import as_path

__all__ = ["BLOCK_BYTES", "cursor_of", "line_start"]

# 256 KiB: 0.1 ms to search; a file of 130 MB has 500 of them.
BLOCK_BYTES = 256 * 1024


class _Places(NamedTuple):
    """What is known of one file."""

    #: Newlines before each whole block, and behind the last one.
    before: array[int]
    #: The file's first bytes, and those before the end of the last block: whoever finds both finds
    #: the file that was counted.
    head: bytes
    tail: bytes


#: By device and inode; 4 KB each for 130 MB of file.
_known: Kept[FileId, _Places] = Kept(1_000)


def cursor_of(names: Sequence[str], line: int | None, *, last: int | None = None) -> str:
    """Return the cursor where a line begins in the first of these files that is there.

    Args:
        names: the files.
        line: from 1.
        last: so many lines before the end instead.

    Raises:
        SessionNotFound: none is.
        LineNotFound: the file has fewer lines.
        DamagedSession: it does not start with a header.
        PersistenceError: it cannot be read.
    """
    for name in names:
        try:
            file = SessionFile(name)
            try:
                return _position(file, line, last).encode()
            finally:
                file.close()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise explain(error, as_path(name)) from error
    raise not_found(names)


def _position(file: SessionFile, line: int | None, last: int | None) -> Position:
    if line is not None:
        return position_at(file, line_start(file, line), line - 1)
    assert last is not None
    position = position_before_end(file, last)
    if position.lines is None:  # it is far from where lines were counted
        position = msgspec.structs.replace(position, lines=_lines_before(file, position.offset))
    return position


def line_start(file: SessionFile, line: int) -> int:
    """Return where a line begins; the one behind the last newline begins there.

    Args:
        file: the session's.
        line: from 1.

    Raises:
        LineNotFound: there are fewer newlines before it.
        OSError: the file cannot be read.
    """
    needed, size = line - 1, file.stat().st_size
    before = _counted(file, size, needed)
    if not needed:
        return 0
    # The block of the newline before the line; behind the last whole one is a part of one.
    block = bisect_left(before, needed) - 1
    start = block * BLOCK_BYTES
    data = file.read_now(start, min(BLOCK_BYTES, size - start))
    at = -1
    for number in range(before[block], needed):
        at = data.find(b"\n", at + 1)
        if at < 0:
            raise LineNotFound(
                f"there is no line {line}: the session has {counted(number, 'line')}",
                path=file.path,
            )
    return start + at + 1


def _lines_before(file: SessionFile, offset: int) -> int:
    """Return how many newlines there are before a place in a file."""
    before = _counted(file, offset, None)
    end = min(len(before) - 1, offset // BLOCK_BYTES)
    return before[end] + newlines(file, end * BLOCK_BYTES, offset)


def _counted(file: SessionFile, size: int, needed: int | None) -> array[int]:
    """Return the newlines before each block, up to a size, or to so many of them."""
    status = file.stat()
    before = _recall(file, FileId.of(status), status.st_size)
    known = len(before)
    while (end := len(before) * BLOCK_BYTES) <= size:
        if needed is not None and before[-1] >= needed:
            break
        before.append(before[-1] + newlines(file, end - BLOCK_BYTES, end))
    if len(before) > known:
        _keep(file, FileId.of(status), before)
    return before


def _recall(file: SessionFile, file_id: FileId, size: int) -> array[int]:
    """Return what is known of a file, as one's own; of one that was rewritten that is nothing."""
    known = _known.get(file_id)
    if known is not None:
        end = (len(known.before) - 1) * BLOCK_BYTES
        if end <= size and (known.head, known.tail) == _ends(file, end):
            return known.before[:]
    return array("q", [0])


def _keep(file: SessionFile, file_id: FileId, before: array[int]) -> None:
    _known.put(file_id, _Places(before[:], *_ends(file, (len(before) - 1) * BLOCK_BYTES)))


def _ends(file: SessionFile, end: int) -> tuple[bytes, bytes]:
    return file.read_now(0, WINDOW_BYTES), file.read_now(end - WINDOW_BYTES, WINDOW_BYTES)

"""files -> what an audit knows behind the last whole line of each. Blocks: for threads and processes.

A request and its answer are bytes, so that another process, or another machine, can do the work. What
was folded before is gone on with, if the bytes before that place are still there. Memory is bounded by
one line. No event loop is imported.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from errno import ENOENT, ESTALE
from typing import TypeVar

import msgspec

from sessiontail.format.audit_state import AuditState
from sessiontail.format.auditing import AuditFold
from sessiontail.format.framing import MAX_LINE_BYTES, Block, LineFramer, LongLine
from sessiontail.format.marks import WINDOW_BYTES
from sessiontail.system.objects import BucketObject, opened_ahead
from sessiontail.system.paths import WAL_ENDING
from sessiontail.system.slices import BUFFER_START, Slices, Source, buffer_of
from sessiontail.urls import is_url

__all__ = ["Folded", "ToFold", "answer_of", "fold_batch", "fold_source", "request_of"]

# 512 KiB, as in loading: three of four sessions in one read, and the processor's cache holds it.
_SLICE_BYTES = 512 * 1024
# What is kept of a line that is too long, as the framer keeps it.
_HEAD_BYTES = 4096
# How often a file that is cut or rewritten while it is read is begun anew.
_TRIES = 3


class ToFold(msgspec.Struct, frozen=True):
    """A file to fold."""

    file: str
    #: ``AuditState.as_bytes`` of what was folded before; None: begin at the start.
    state: bytes | None = None
    #: Where to end, just behind a newline; None: at the end as it is.
    until: int | None = None


class Folded(msgspec.Struct, frozen=True):
    """What came of a file."""

    #: The name that it has by now.
    file: str
    #: ``AuditState.as_bytes``; empty where it could not be read.
    state: bytes = b""
    #: Device, inode, size, and when it was modified and changed, in ns: as it was before.
    status: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    #: The number and the text of the error because of which it could not be read.
    errno: int = 0
    error: str = ""
    #: What stands for its rows, encoded; empty where none can be another's, or they were not read.
    rows: bytes = b""


_Named = TypeVar("_Named", ToFold, Folded)


class _Request(msgspec.Struct, frozen=True):
    files: Sequence[ToFold]
    max_line_bytes: int


_requests = msgspec.msgpack.Decoder(_Request)
_answers = msgspec.msgpack.Decoder(list[Folded])
_encoder = msgspec.msgpack.Encoder()


def request_of(files: Sequence[ToFold], *, max_line_bytes: int = MAX_LINE_BYTES) -> bytes:
    """Return files to fold as ``fold_batch`` takes them."""
    return _encoder.encode(_Request([*map(_sent, files)], max_line_bytes))


def answer_of(answer: bytes) -> list[Folded]:
    """Return what ``fold_batch`` has answered."""
    return [*map(_received, _answers.decode(answer))]


def fold_batch(request: bytes) -> bytes:
    """Fold files; a file that cannot be read is an answer too."""
    asked = _requests.decode(request)
    most = asked.max_line_bytes
    files = [*map(_received, asked.files)]
    in_bucket = [one for one in files if is_url(one.file)]
    folded = [_fold_file(one, Slices, most) for one in files if not is_url(one.file)]
    if in_bucket:
        with closing(opened_ahead([one.file for one in in_bucket])) as opened:
            for one, source in zip(in_bucket, opened, strict=True):
                found = _fold_file(one, source, most)
                if found.errno == ESTALE:  # exchanged since it was listed: as it is by now
                    found = _fold_file(one, BucketObject, most)
                folded.append(found)
    return _encoder.encode([*map(_sent, folded)])


def _sent(one: _Named) -> _Named:
    """Return it as it can be sent: a name may have bytes that are no UTF-8, so each byte is a letter."""
    if one.file.isascii():
        return one
    return msgspec.structs.replace(one, file=os.fsencode(one.file).decode("latin-1"))


def _received(one: _Named) -> _Named:
    """Return what ``_sent`` was given."""
    if one.file.isascii():
        return one
    return msgspec.structs.replace(one, file=os.fsdecode(one.file.encode("latin-1")))


def _fold_file(
    asked: ToFold, opened: Callable[[str], Slices | BucketObject], max_line_bytes: int
) -> Folded:
    # A WAL may have been renamed since it was found.
    names = {asked.file: None, asked.file.removesuffix(WAL_ENDING): None}
    for name in names:
        with suppress(FileNotFoundError):
            try:
                with opened(name) as file:
                    return _fold_named(name, file, asked, max_line_bytes)
            except FileNotFoundError:
                raise
            except OSError as error:
                return Folded(name, errno=error.errno or 0, error=error.strerror or str(error))
    return Folded(asked.file, errno=ENOENT, error=os.strerror(ENOENT))


def _fold_named(
    name: str, file: Slices | BucketObject, asked: ToFold, max_line_bytes: int
) -> Folded:
    state = _state_of(asked)
    for _ in range(_TRIES):
        status = file.now()
        until = status.st_size if asked.until is None else min(asked.until, status.st_size)
        file.size = until
        fold = fold_source(file, state, max_line_bytes=max_line_bytes)
        after = file.now()
        is_still = (after.st_size, after.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
        if is_still or after.st_size > status.st_size:
            break
        state = None  # cut, or rewritten, while it was read
    stamp = (status.st_dev, status.st_ino, until, status.st_mtime_ns, status.st_ctime_ns)
    rows = fold.rows()
    kept = b"" if rows is None else _encoder.encode(rows)
    return Folded(name, fold.state.as_bytes(), stamp, rows=kept)


def _state_of(asked: ToFold) -> AuditState | None:
    """Return the state to go on from; None where there is none, or what is kept is none."""
    if asked.state is None:
        return None
    try:
        return AuditState.from_bytes(asked.state)
    except ValueError:
        return None


class _Buffer(threading.local):
    """One buffer a thread: its pages are there, and its bytes in the processor's cache."""

    def __init__(self) -> None:
        self.data, self.view = buffer_of(_SLICE_BYTES)

    def find(self, got: int) -> int:
        """Return where the first newline of so many bytes ends; 0: there is none."""
        return max(0, self.data.find(b"\n", BUFFER_START, BUFFER_START + got) + 1 - BUFFER_START)

    def rfind(self, got: int) -> int:
        """Return where the last newline of so many bytes ends; 0: there is none."""
        return max(0, self.data.rfind(b"\n", BUFFER_START, BUFFER_START + got) + 1 - BUFFER_START)


_buffer = _Buffer()


def fold_source(
    source: Source, state: AuditState | None, *, max_line_bytes: int = MAX_LINE_BYTES
) -> AuditFold:
    """Fold what a source has behind what was folded before; all of it, where that is not there.

    Args:
        source: up to its ``size``.
        state: behind the lines that were folded before; it is changed. None: none were.
        max_line_bytes: a longer line is one ``Damage``.
    """
    if state is not None and not _is_there(source, state):
        state = None
    fold = AuditFold(state)
    view = _buffer.view
    mark = fold.state.mark
    offset, line = mark.offset, (mark.lines or 0) + 1
    while (left := source.size - offset) > 0:
        got = source.read_into(view[: min(left, _SLICE_BYTES)], offset)
        end = _buffer.rfind(got)
        if end:
            for item in _items(bytes(view[:end]), offset, line, max_line_bytes):
                fold.add_lines(item)
        else:
            long = _long_line(source, offset, line, got, max_line_bytes) if got else None
            if long is None:
                break  # torn, or shorter than it was
            fold.add_lines(long)
        mark = fold.state.mark
        offset, line = mark.offset, (mark.lines or 0) + 1
    return fold


def _is_there(source: Source, state: AuditState) -> bool:
    """Say whether the file is the one whose lines were folded."""
    mark = state.mark
    start = mark.offset - len(mark.before)
    return (
        0 <= start <= mark.offset <= source.size
        and source.read(0, len(mark.head)) == mark.head
        and source.read(start, len(mark.before)) == mark.before
    )


def _items(data: bytes, offset: int, line: int, max_line_bytes: int) -> Sequence[Block | LongLine]:
    if len(data) <= max_line_bytes:
        return [Block.cut(data, offset=offset, line=line)]
    return LineFramer(offset=offset, line=line, max_line_bytes=max_line_bytes).feed(data)


def _long_line(
    source: Source, offset: int, line: int, got: int, max_line_bytes: int
) -> Block | LongLine | None:
    """Return the line that begins there and exceeds a slice; None where it has no end.

    Its end is looked for first, then it is read in one go: it is not held twice.

    Args:
        source: has it.
        offset: where it begins.
        line: its number.
        got: how many of its bytes the buffer holds.
        max_line_bytes: a longer one is not read.
    """
    view = _buffer.view
    head, first, last = bytes(view[:_HEAD_BYTES]), bytes(view[:WINDOW_BYTES]), b""
    length = got
    while True:
        last = (last + bytes(view[max(0, got - WINDOW_BYTES) : got]))[-WINDOW_BYTES:]
        got = source.read_into(
            view[: min(source.size - offset - length, _SLICE_BYTES)], offset + length
        )
        if not got:
            return None
        end = _buffer.find(got)
        if end:
            break
        length += got
    length += end
    if length - 1 > max_line_bytes:
        last = (last + bytes(view[max(0, end - WINDOW_BYTES) : end]))[-WINDOW_BYTES:]
        return LongLine(head[:max_line_bytes], offset, line, length, first, last)
    whole = source.read(offset, length)
    if len(whole) != length or whole.find(b"\n") != length - 1:
        return None  # it is rewritten: the next audit sees what became of it
    return Block(whole, offset, line, [length])

"""path -> one session, whole.

A file is read slice by slice, and each slice decoded where it lies, without a copy: most files are
one read. What the decoder cannot prove to be one record a line goes through the framer, with the
same outcome.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from anyio.lowlevel import checkpoint

from sessiontail.errors import PersistenceError
from sessiontail.format.bigline import BIG_LINE_BYTES
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.folding import PersistedSession, SessionFold
from sessiontail.format.framing import MAX_LINE_BYTES, Block, LineFramer, LongLine
from sessiontail.format.marks import WINDOW_BYTES
from sessiontail.format.runs import decode_run
from sessiontail.session.generations import no_file, not_found
from sessiontail.system.files import NOWAIT, SessionFile, explain, in_thread, open_file
from sessiontail.system.slices import BUFFER_START, buffer_of
from sessiontail.system.stats import StoreStats
from sessiontail.urls import as_path

__all__ = ["load_file"]


async def load_file(
    names: Sequence[str],
    *,
    salvage: bool = False,
    max_line_bytes: int = MAX_LINE_BYTES,
    stats: StoreStats | None = None,
) -> PersistedSession:
    """Read one file whole and fold it.

    Args:
        names: those that it may have; the first that exists is taken.
        salvage: keep what is whole and list the damage, instead of raising at the first.
        max_line_bytes: a longer line is one ``Damage``.
        stats: counts into these.

    Raises:
        SessionNotFound: none of them exists.
        DamagedSession: a line is damaged (not with ``salvage``), or there is no header.
        PersistenceError: the file cannot be read.
    """
    misfit: PersistenceError | None = None
    for path in map(as_path, names):
        try:
            file = await open_file(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            misfit = misfit or no_file(error, path)  # the session may have the other name
            continue
        session = SessionFold(path, salvage=salvage)
        try:
            return await _fold_file(file, session, max_line_bytes, stats or StoreStats())
        except OSError as error:
            raise explain(error, path) from error
        finally:
            file.close()
    raise misfit or not_found(names)


# 512 KiB: three of four sessions in one read, 0.7 ms for one slice; 256 KiB take 3 % longer, and
# 1 MiB, which leaves the processor's second cache, is no faster (231 MB in 1,000 files).
SLICE_BYTES = 512 * 1024

# What is kept of a line that is too long, as the framer keeps it.
_HEAD_BYTES = 4096


class _Buffer(threading.local):
    """One buffer a thread: its pages are there, and its bytes in the processor's cache."""

    def __init__(self) -> None:
        self.data, self.view = buffer_of(WINDOW_BYTES + SLICE_BYTES)


_buffer = _Buffer()


def _read_cached_into(file: SessionFile, view: memoryview, offset: int) -> int:
    """Read from the page cache; -1 where a read would block, or the system cannot say.

    As ``SessionFile.read_cached``, but without the copy, which is a tenth of loading.
    """
    if NOWAIT is None or file.remote:
        return -1
    try:
        return os.preadv(file.fd, [view], offset, NOWAIT)
    except OSError:
        return -1


async def _fold_file(
    file: SessionFile,
    session: SessionFold,
    max_line_bytes: int,
    stats: StoreStats,
) -> PersistedSession:
    framer = LineFramer(max_line_bytes=max_line_bytes)
    decoder = RecordDecoder()
    place = file.place
    end = (await in_thread(file.stat, place=place) if file.remote else file.stat()).st_size
    while (left := end - framer.offset) > 0:
        await checkpoint()
        guard = decoder.mark.before
        at = framer.offset - len(guard)
        want = len(guard) + min(left, SLICE_BYTES)
        # No await from here to where it is decoded: the buffer is every reader's.
        data: bytes | bytearray = _buffer.data
        begin = BUFFER_START
        got = _read_cached_into(file, _buffer.view[:want], at)
        if got < want:
            data, begin = await file.read(at, want), 0
            got = len(data)
        if got < want or not data.startswith(guard, begin):
            raise _rewritten(file.path)
        start, stop = begin + len(guard), begin + got
        stats.reads += 1
        stats.bytes += stop - start
        run = None
        if stop - start <= max_line_bytes:
            run = decode_run(decoder, data, start, stop)
        if run is not None:
            stats.records += session.add_run(run)
            framer.pass_over(run.stop - start, run.lines)
        else:
            # A half line is read again: cheaper than to join a block.
            whole = data.rfind(b"\n", start, stop) + 1
            if whole:
                items = framer.feed(bytes(data[start:whole]))
            else:
                line = await _long_line(file, framer, end, data[start:stop], stats)
                if line is None:
                    break
                items = line
            for item in items:
                if item is not items[0]:
                    await checkpoint()
                big = isinstance(item, Block) and len(item.data) > BIG_LINE_BYTES
                batch = (
                    await in_thread(decoder.decode, item, place=place)
                    if big
                    else decoder.decode(item)
                )
                stats.records += len(batch.records)
                session.add(batch.records)
    return session.finish(torn_bytes=end - framer.offset)


async def _long_line(
    file: SessionFile,
    framer: LineFramer,
    end: int,
    head: bytes | bytearray,
    stats: StoreStats,
) -> list[Block | LongLine] | None:
    """Find the end of a line that exceeds a slice, then read it in one go, in a thread.

    Joining slices of 60 MB would be one call of 20 ms in which nothing else runs; a read lets
    others run.

    Returns:
        What the framer made of it; None where it has no end.
    """
    offset = framer.offset
    stop = offset + len(head)
    window = bytes(head[-WINDOW_BYTES:])
    first = bytes(head[:_HEAD_BYTES])
    while True:
        if stop >= end:
            return None
        await checkpoint()
        data = await file.read(stop - len(window), len(window) + min(end - stop, SLICE_BYTES))
        if len(data) <= len(window) or not data.startswith(window):
            raise _rewritten(file.path)
        stats.reads += 1
        stats.bytes += len(data) - len(window)
        newline = data.find(b"\n", len(window)) + 1
        stop += (newline or len(data)) - len(window)
        if newline:
            break
        window = data[-WINDOW_BYTES:]
    length = stop - offset
    if length - 1 > framer.max_line_bytes:
        number = framer.line
        framer.pass_over(length, 1)
        head = first[: framer.max_line_bytes]
        last = data[max(0, newline - WINDOW_BYTES) : newline]
        return [LongLine(head, offset, number, length, first[:WINDOW_BYTES], last)]
    line = await in_thread(file.read_now, offset, length, place=file.place)
    # It is read twice, and from one generation.
    if not (line.startswith(first) and line.endswith(data[:newline])):
        raise _rewritten(file.path)
    return framer.feed(line)


def _rewritten(path: Path) -> PersistenceError:
    return PersistenceError("cut or rewritten while it was read; read it again", path=path)

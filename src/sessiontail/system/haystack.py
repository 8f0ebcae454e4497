"""a file, block by block, in one buffer -> where in it some bytes lie. Blocks: for threads.

Searched is with what is there: the ``stringzilla`` package (extra ``search``), which looks at 32 bytes
in one step; the C library's ``memmem``, which lets other threads run meanwhile; ``bytes.find``. 231 MB
for two texts, reading them included: 0.07, 0.17 and 0.4 s of one processor.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from functools import partial

from sessiontail.system.files import SessionFile
from sessiontail.system.slices import BUFFER_START, buffer_of

__all__ = ["Haystack", "finds_beside_others"]

# 1 MiB: 0.1 ms of searching and more, beside which a call costs nothing; most files are one read.
_SIZE_BYTES = 1024 * 1024


class Haystack:
    """A buffer that is filled again and again. One thread at a time.

    Args:
        size: bytes at most.
    """

    __slots__ = ("_buffer", "_find", "_find_folded", "_folded", "_view", "length", "size")

    def __init__(self, size: int = _SIZE_BYTES) -> None:
        self.size = size
        #: How many bytes were read last.
        self.length = 0
        self._buffer, self._view = buffer_of(size)
        self._find = _best_find(self._buffer)
        # A copy in small letters, where that is searched.
        self._folded: bytes | None = None
        self._find_folded: Callable[[bytes, bytes, int, int], int] = _stringzilla() or bytes.find

    def fill(self, file: SessionFile, offset: int, size: int, *, fold: bool) -> int:
        """Read what lies at an offset; return how many bytes that are.

        Args:
            file: the open file.
            offset: bytes from 0.
            size: bytes at most, of those that have room.
            fold: search in it as if all ASCII letters were small.

        Raises:
            OSError: the file cannot be read.
        """
        with self._view[: min(size, self.size)] as room:
            self.length = file.read_into(room, offset)
        self._folded = self.cut(0, self.length).lower() if fold else None
        return self.length

    def find(self, needle: bytes, start: int, end: int) -> int:
        """Return where some bytes first lie between two places; -1 if nowhere."""
        if self._folded is not None:
            return self._find_folded(self._folded, needle, start, end)
        at = self._find(needle, start + BUFFER_START, end + BUFFER_START)
        return at if at < 0 else at - BUFFER_START

    def match(self, pattern: re.Pattern[bytes], start: int, end: int) -> int:
        """Return where a pattern first matches between two places; -1 if nowhere."""
        data, begin = self._searched
        found = pattern.search(data, start + begin, end + begin)
        return -1 if found is None else found.start() - begin

    def has(self, pattern: re.Pattern[bytes], at: int) -> bool:
        """Say whether a pattern matches at a place."""
        data, begin = self._searched
        return pattern.match(data, at + begin, self.length + begin) is not None

    @property
    def _searched(self) -> tuple[bytes | bytearray, int]:
        """What is searched, and where in it the file's bytes begin."""
        return (self._buffer, BUFFER_START) if self._folded is None else (self._folded, 0)

    def line_start(self, at: int) -> int:
        """Return where the line begins that has a place in it; 0 where that is before the buffer."""
        found = self._buffer.rfind(b"\n", BUFFER_START, BUFFER_START + at)
        return 0 if found < 0 else found + 1 - BUFFER_START

    def line_end(self, at: int) -> int:
        """Return where it ends, just behind its newline; 0 where that is behind the buffer."""
        begin = BUFFER_START
        found = self._buffer.find(b"\n", begin + at, begin + self.length)
        return 0 if found < 0 else found + 1 - begin

    def cut(self, start: int, end: int) -> bytes:
        """Return the bytes between two places, as the file has them."""
        return bytes(self._view[start:end])


def finds_beside_others() -> bool:
    """Say whether threads that search do so at once, on several processors."""
    buffer = bytearray(1)
    return _by_stringzilla(buffer) is None and _by_memmem(buffer) is not None


def _best_find(buffer: bytearray) -> Callable[[bytes, int, int], int]:
    """Return the fastest ``buffer.find`` that is to be had here."""
    return _by_stringzilla(buffer) or _by_memmem(buffer) or buffer.find


def _stringzilla() -> Callable[..., int] | None:
    try:
        from stringzilla import find  # noqa: PLC0415 - an optional extra
    except ImportError:
        return None
    function: Callable[..., int] = find
    return function


def _by_stringzilla(buffer: bytearray) -> Callable[[bytes, int, int], int] | None:
    find = _stringzilla()
    return None if find is None else partial(find, memoryview(buffer))


def _by_memmem(buffer: bytearray) -> Callable[[bytes, int, int], int] | None:
    try:
        memmem = ctypes.CDLL(None).memmem
    except (AttributeError, OSError, TypeError):  # TypeError: on Windows
        return None
    memmem.restype = ctypes.c_void_p
    memmem.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(buffer))

    def find(needle: bytes, start: int, end: int) -> int:
        at: int | None = memmem(begin + start, end - start, needle, len(needle))
        return -1 if at is None else at - begin

    return find

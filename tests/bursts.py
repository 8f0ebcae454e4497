"""Bursts: many lines, or long ones, that are written in one go.

They are drawn by their shape, so that an example of a model stays short in print and in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

__all__ = ["BURSTS", "SHAPES", "Burst"]

_HEAD = b'{"record_type": "chunk", "index": %d, "kind": "user", "payload": {"content": "'
_TAIL = b'"}}\n'
# What the reader has limits at: a window, a page, a live read, a big torn tail, a read.
_LIMITS = (256, 4096, 16 * 1024, 64 * 1024, 256 * 1024)
_SHORTEST_CHUNK_BYTES = 100
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Burst:
    """Lines of one length."""

    lines: int
    #: Of each line with its newline; chunks have 100 at least, what is shorter is damage.
    line_bytes: int

    def __str__(self) -> str:
        return f"{self.lines}x{self.line_bytes}"

    def data(self, index: int = 0) -> bytes:
        """The lines; the first chunk has this index."""
        size = self.line_bytes
        if size < _SHORTEST_CHUNK_BYTES:
            return (b'{"record_type": "%b"}\n' % (b"x" * (size - 20))) * self.lines
        heads = [_HEAD % n for n in range(index, index + self.lines)]
        return b"".join(
            b"%b%b%b" % (head, b"x" * (size - len(head) - len(_TAIL)), _TAIL) for head in heads
        )


#: The shapes that every way of reading is tested with; the models draw what lies between.
SHAPES = [
    *(Burst(lines, _SHORTEST_CHUNK_BYTES) for lines in (1, 512, 513, 20_000)),
    Burst(5000, 20),
    Burst(1, 16 * 1024),
    Burst(1, 256 * 1024 + 1),
    Burst(700, 4096),
    Burst(1, 3 * _MEGABYTE),
]


@st.composite
def _bursts(draw: st.DrawFn) -> Burst:
    near_limits = [limit + more for limit in _LIMITS for more in (-1, 0, 1)]
    size = draw(
        st.sampled_from([20, _SHORTEST_CHUNK_BYTES, *near_limits, _MEGABYTE, 3 * _MEGABYTE])
        | st.integers(20, 3000)
    )
    # A damaged line takes 20 us, twenty times as much as a chunk.
    most = 1500 if size < _SHORTEST_CHUNK_BYTES else 20_000
    most = max(1, min(most, 3 * _MEGABYTE // size))
    counts = [n for n in (1, 2, 511, 512, 513, 1025, 20_000) if n <= most]
    return Burst(draw(st.sampled_from(counts) | st.integers(1, most)), size)


#: Any shape of some megabytes at most.
BURSTS = _bursts()
